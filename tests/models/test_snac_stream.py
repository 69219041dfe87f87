"""SNAC streamed: any pieces give the wave of the whole, many rows at once; with little delay, nothing clicks."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from duologue.codecs.snac import Snac, SnacConfig, by_layers
from duologue.codecs.snac_stream import SnacStream
from duologue.models.tiny import fill
from duologue.nn.rows import Rows

CONFIG = SnacConfig(encoder_dim=4, decoder_dim=16, codebook_size=32, codebook_dim=4)
"""The published rates, which make its reach; narrow."""
HOP = CONFIG.frame


@cache
def codec() -> Snac:
    made = Snac(CONFIG)
    fill(made, torch.Generator().manual_seed(1))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("alpha"):
                parameter.fill_(1.0)
        made.decoder.model[-1].weight *= 0.05  # not so loud that everything is at the rails
    return made.eval()


def frames(seed: int, count: int) -> torch.Tensor:
    return torch.randint(32, (7, count), generator=torch.Generator().manual_seed(seed))


def whole(codes: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return codec().decode(by_layers(codes))[0, 0]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(0, 99))
def test_any_pieces_are_the_whole(sizes: list[int], seed: int) -> None:
    codes = frames(seed, sum(sizes))
    stream = SnacStream(codec())
    state, row = stream.state(1), Rows.of([0])
    said, at = [], 0
    with torch.inference_mode():
        for n, size in enumerate(sizes):
            said += stream.feed(state, row, [codes[:, at : at + size]], [n == len(sizes) - 1])
            at += size
    wave = torch.cat(said)
    assert len(wave) == HOP * sum(sizes)
    if len(wave):
        torch.testing.assert_close(wave, whole(codes), atol=1e-4, rtol=0)


def test_rows_of_unequal_pieces_are_as_alone() -> None:
    stream, given_ = SnacStream(codec(), hold=1), [frames(1, 12), frames(2, 9), frames(3, 12)]
    plans = [[4, 4, 4], [1, 5, 3], [4, 0, 8]]

    def run(members: list[int]) -> list[torch.Tensor]:
        state, rows = stream.state(3), Rows.of(members)
        said: list[list[torch.Tensor]] = [[] for _ in members]
        at = [0] * 3
        for turn in range(3):
            pieces = [given_[m][:, at[m] : at[m] + plans[m][turn]] for m in members]
            for n, wave in enumerate(stream.feed(state, rows, pieces, [turn == 2] * len(members))):
                said[n].append(wave)
                at[members[n]] += plans[members[n]][turn]
        return [torch.cat(each) for each in said]

    with torch.inference_mode():
        together, alone = run([0, 1, 2]), [run([n])[0] for n in range(3)]
    for some, one, codes in zip(together, alone, given_, strict=True):
        assert len(some) == HOP * codes.shape[1]
        torch.testing.assert_close(some, one, atol=1e-4, rtol=0)


def test_little_delay_without_clicks() -> None:
    codes = frames(5, 40)
    exact = whole(codes)
    stream = SnacStream(codec(), hold=1)
    state, row = stream.state(1), Rows.of([0])
    with torch.inference_mode():
        first = stream.feed(state, row, [codes[:, :2]], [False])[0]
        assert len(first) == HOP, "of two frames one is said at once"
        said = [first]
        for at in range(2, 40):
            said += stream.feed(state, row, [codes[:, at : at + 1]], [at == 39])
        blocks = torch.cat([codec().decode(by_layers(codes[:, at : at + 4]))[0, 0] for at in range(0, 40, 4)])
    wave = torch.cat(said)
    steps, usual = (wave[1:] - wave[:-1]).abs(), (exact[1:] - exact[:-1]).abs().max()
    assert steps.max() <= 1.2 * usual
    borders = [4 * HOP * n - 1 for n in range(1, 10)]
    apart = (blocks - exact).abs()[borders].mean()
    assert (wave - exact).abs()[borders].mean() < apart, "nearer to the whole than blocks put in a row"


def test_what_is_no_code() -> None:
    stream = SnacStream(codec())
    with pytest.raises(ValueError, match="0 to 31"):
        stream.feed(stream.state(1), Rows.of([0]), [torch.full((7, 1), 32)], [True])
    with pytest.raises(ValueError, match="counted from 0"):
        SnacStream(codec(), hold=-1)
