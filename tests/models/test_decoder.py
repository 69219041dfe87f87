"""The decoder's streams against attention written out, and its configurations against one another."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from duologue.nn.attention import FEW, SHORT, attention, rotate, rotation
from duologue.nn.cache import Cache
from duologue.nn.decoder import Decoder, DecoderConfig
from duologue.nn.linear import pack
from duologue.nn.rows import Rows

from .tiny import filled

CONFIG = DecoderConfig(dim=16, layers=2, heads=4, hidden=24, window=5)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def seen(q: int, k: int, window: int, group: int) -> bool:
    """The rule of duologue.nn.cache: causal, and within the window that ends where q's group ends."""
    last_of_group = (q // group + 1) * group - 1
    return k <= q and k > last_of_group - window


def spelt_out(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    scores = torch.einsum("qhd,khd->hqk", q, k) / q.shape[-1] ** 0.5
    weights = scores.masked_fill(~mask, float("-inf")).softmax(-1)
    return torch.einsum("hqk,khd->qhd", weights, v).flatten(1)


@given(
    window=st.integers(2, 9), group=st.sampled_from([1, 2, 3]), spare=st.integers(0, 3),
    pieces=st.lists(st.integers(1, 4), min_size=1, max_size=14), scattered=st.booleans(),
)  # fmt: skip
def test_a_ring_shows_what_the_rule_says(
    window: int, group: int, spare: int, pieces: list[int], scattered: bool
) -> None:
    """Two rows at different places of their streams, any chunking, far beyond the ring."""
    window = max(window, group)
    cache = Cache.empty(
        5, layers=1, kv_heads=2, head_dim=4, window=window, group=group, chunk=group * (1 + spare)
    )
    row_sets = [Rows.of([3, 1] if scattered else [1, 2])]
    heads = [noise(60 * group, 3, 2, 4) + n for n in range(2)]  # q, k, v of each row's steps
    position = [0, 0]

    def take(rows: Rows, which: list[int], steps: int) -> None:
        visit = cache.visit(rows, steps)
        parts = [
            torch.stack([heads[n][position[n] : position[n] + steps, i] for n in which]) for i in range(3)
        ]
        out = visit.attend(0, *parts)
        cache.advance(rows, steps)
        for place, n in enumerate(which):
            positions = range(position[n], position[n] + steps)
            mask = torch.tensor(
                [[seen(q, k, window, group) for k in range(position[n] + steps)] for q in positions]
            )
            past = heads[n][: position[n] + steps]
            want = spelt_out(past[position[n] :, 0], past[:, 1], past[:, 2], mask)
            torch.testing.assert_close(out[place], want, atol=1e-5, rtol=1e-5)
            position[n] += steps

    take(row_sets[0].pick([1]), [1], group)  # the second row is ahead
    for piece in pieces:
        take(row_sets[0], [0, 1], group * min(piece, 1 + spare))


@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=8), packed=st.booleans())
def test_streaming_is_the_whole_in_any_chunking(sizes: list[int], packed: bool) -> None:
    decoder = filled(Decoder(CONFIG))
    if packed:
        pack(decoder)
    x = noise(2, sum(sizes), CONFIG.dim)
    cache, rows = decoder.cache(4, chunk=3), Rows.of([3, 0])
    out = torch.cat([decoder.stream(piece, cache, rows) for piece in torch.split(x, sizes, dim=1)], dim=1)
    torch.testing.assert_close(out, decoder.offline(x), atol=1e-5, rtol=1e-5)


def test_a_call_beyond_the_ring_is_refused() -> None:
    cache = filled(Decoder(CONFIG)).cache(1, group=2, chunk=4)
    for steps in (1, 6):
        with pytest.raises(ValueError, match="multiples of 2 up to 4"):
            cache.visit(Rows.of([0]), steps)


@pytest.mark.parametrize("length", [SHORT - 7, SHORT + 9])
def test_shared_keys_are_repeated_keys(length: int) -> None:
    for steps in (1, FEW + 3):
        q, k, v = noise(2, 6, steps, 4), noise(2, 2, length, 4), noise(2, 2, length + 1, 4)[:, :, :length]
        mask = torch.rand(2, 1, steps, length) > 0.3
        mask[..., 0] = True
        grouped = attention(q, k, v, mask)
        each = attention(q, k.repeat_interleave(3, 1), v.repeat_interleave(3, 1), mask)
        torch.testing.assert_close(grouped, each, atol=1e-6, rtol=1e-5)


def test_few_queries_and_many_are_attended_to_alike() -> None:
    q, k, v = noise(2, 3, FEW + 1, 4), noise(2, 3, 9, 4), noise(2, 3, 8, 5)[:, :, :, :4]
    v = torch.cat([v, v[:, :, :1]], dim=2)
    many = attention(q, k, v)
    few = torch.cat([attention(q[:, :, i : i + 1], k, v) for i in range(q.shape[2])], dim=1)
    torch.testing.assert_close(many, few, atol=1e-6, rtol=1e-5)


def test_both_rotary_pairings_turn_the_same_pairs() -> None:
    x, turn = noise(1, 5, 2, 8), rotation(torch.arange(5)[None], 8, 10_000.0)
    halves = torch.cat([x[..., 0::2], x[..., 1::2]], dim=-1)
    a, b = rotate(x, turn, "interleaved"), rotate(halves, turn, "half")
    torch.testing.assert_close(torch.cat([a[..., 0::2], a[..., 1::2]], dim=-1), b)


def test_a_rotation_is_relative() -> None:
    q, k = noise(1, 1, 1, 8), noise(1, 1, 1, 8) + 1

    def product(m: int, n: int) -> Tensor:
        turned = [rotate(x, rotation(torch.tensor([[p]]), 8, 100.0), "half") for x, p in ((q, m), (k, n))]
        return (turned[0] * turned[1]).sum()

    torch.testing.assert_close(product(3, 1), product(12, 10), atol=1e-5, rtol=1e-5)


def test_per_step_weights_one_by_one_and_at_once() -> None:
    config = replace(CONFIG, steps=4, rope=None, window=None)
    decoder = filled(Decoder(config))
    x = noise(3, 4, config.dim)
    scratch = decoder.scratch(3, 4)
    out = []
    for step in range(4):
        scratch.step = step
        out.append(decoder(x[:, step : step + 1], scratch, step))
    torch.testing.assert_close(torch.cat(out, dim=1), decoder.offline(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("wrong", [{"heads": 3}, {"kv_heads": 3}])
def test_heads_that_do_not_fit_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="heads"):
        replace(CONFIG, **wrong)  # type: ignore[arg-type]


def test_rows_are_checked() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        Rows.of([])
    with pytest.raises(ValueError, match="counted from 0"):
        Rows.of([-1])
