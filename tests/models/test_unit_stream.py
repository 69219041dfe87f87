"""The unit vocoder as a stream: the whole utterance in any chunking, and no seams where it may not wait."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from duologue.checkpoints.keys import stored, unfilled
from duologue.checkpoints.weight_norm import folded, unfolded
from duologue.codecs.unit_hifigan import KEYS, UnitHiFiGAN, UnitHiFiGANConfig, padded
from duologue.codecs.unit_stream import UnitStream
from duologue.nn.rows import Rows

CONFIG = UnitHiFiGANConfig(
    upsample_rates=(3, 2), upsample_kernel_sizes=(7, 4), upsample_initial_channel=8, num_embeddings=30,
    resblock_kernel_sizes=(3, 5), resblock_dilation_sizes=((1, 3), (1, 3)), embedding_dim=6, duration_dim=7,
)  # fmt: skip


def vocoder() -> UnitHiFiGAN:
    model = unfilled(lambda: UnitHiFiGAN(CONFIG), "cpu", torch.float32)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            scale = parameter[0].numel() ** 0.5 if parameter.dim() > 1 else 2.0
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / scale)
        model.dur_predictor.ln2.weight.fill_(1)
        model.dur_predictor.proj.weight.mul_(4)
        model.dur_predictor.ln2.bias.zero_()
        model.dur_predictor.proj.bias.fill_(4.5)
    return model


MODEL = vocoder()


def units(count: int, seed: int = 0) -> list[int]:
    return torch.randint(0, 30, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def whole(said: list[int]) -> Tensor:
    return MODEL(torch.tensor(said, dtype=torch.int64))


def streamed(stream: UnitStream, said: list[int], sizes: list[int]) -> list[Tensor]:
    state, row, pieces = stream.state(1), Rows.of([0]), []
    at = 0
    for size in sizes:
        pieces.append(stream.feed(state, row, [said[at : at + size]], [False])[0])
        at += size
    return [*pieces, stream.feed(state, row, [said[at:]], [True])[0]]


def test_durations_differ() -> None:
    """Else the tests below would show little."""
    assert len(set(MODEL.durations(torch.tensor([units(40)]), [40])[0].tolist())) > 2


@settings(deadline=None, max_examples=40)
@given(count=st.integers(0, 60), sizes=st.lists(st.integers(0, 9), max_size=9))
def test_waiting_gives_the_whole_utterance_in_any_chunking(count: int, sizes: list[int]) -> None:
    said = units(count)
    out = torch.cat(streamed(UnitStream(MODEL), said, sizes))
    torch.testing.assert_close(out, whole(said), atol=1e-5, rtol=1e-4)


@settings(deadline=None, max_examples=20)
@given(pieces=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.booleans()), max_size=8))
def test_rows_do_not_notice_each_other(pieces: list[tuple[int, int, bool]]) -> None:
    stream, said = UnitStream(MODEL), [units(70, 1), units(70, 2)]
    state, at = stream.state(3), [0, 0]
    out: list[list[Tensor]] = [[], []]
    for one, two, both in pieces:
        rows = [0, 1] if both else [1]
        sizes = [[one, two][n] for n in rows]
        more = [said[n][at[n] : at[n] + size] for n, size in zip(rows, sizes, strict=True)]
        fed = stream.feed(state, Rows.of(2 - n for n in rows), more, [False] * len(rows))
        for n, wave in zip(rows, fed, strict=True):
            out[n].append(wave)
        for n, size in zip(rows, sizes, strict=True):
            at[n] += size
    ends = stream.feed(state, Rows.of([2, 1]), [said[n][at[n] :] for n in (0, 1)], [True, True])
    for n in (0, 1):
        torch.testing.assert_close(torch.cat([*out[n], ends[n]]), whole(said[n]), atol=1e-5, rtol=1e-4)


def test_a_reset_row_begins_anew() -> None:
    stream = UnitStream(MODEL)
    state, row = stream.state(1), Rows.of([0])
    stream.feed(state, row, [units(30, 5)], [False])
    state.reset(row)
    out = stream.feed(state, row, [units(12)], [True])[0]
    torch.testing.assert_close(out, whole(units(12)), atol=1e-5, rtol=1e-4)


def test_reach_is_what_a_sample_depends_on() -> None:
    """No frame beyond it moves a frame's samples; those well within it do."""
    before, after = CONFIG.reach
    frames = torch.tensor([units(2 * (before + after))])
    middle, hop = before + after, CONFIG.hop
    rendered = MODEL.render(frames, [frames.shape[1]])[0].view(-1, hop)[middle]
    for offset, moves in ((-before - 1, False), (after + 1, False), (-before + 3, True), (after - 3, True)):
        changed = frames.clone()
        changed[0, middle + offset] = (changed[0, middle + offset] + 1) % 30
        again = MODEL.render(changed, [frames.shape[1]])[0].view(-1, hop)[middle]
        assert bool((again - rendered).abs().max() > 0) == moves, offset


def test_the_published_reach() -> None:
    """The fact sheet measured 20 frames: what the outermost frame moves lies below the last bit of a float."""
    assert UnitHiFiGANConfig().reach == (21, 21)


@pytest.mark.parametrize("hold", [1, 3])
def test_what_cannot_wait_joins_without_a_click(hold: int) -> None:
    """At every border the step between neighbouring samples is no larger than steps elsewhere, and what chunks
    vocoded apart do there is."""
    said = units(48, 9)
    pieces = streamed(UnitStream(MODEL, hold), said, [8] * 5)
    assert all(len(piece) for piece in pieces)  # every piece is answered at once
    ordinary = whole(said).diff().abs().max()
    for before, after in pairwise(pieces):
        assert (after[0] - before[-1]).abs() <= ordinary


def test_what_was_said_keeps_its_durations() -> None:
    stream, said = UnitStream(MODEL, 2), units(40, 4)
    state, row = stream.state(1), Rows.of([0])
    settled: list[int] = []
    samples = 0
    for n in range(0, 40, 5):
        samples += len(stream.feed(state, row, [said[n : n + 5]], [n == 35])[0])
        ends = state.utterances[0].ends
        assert ends[: len(settled)] == settled
        settled = list(ends)
    assert len(settled) == 40
    assert samples == settled[-1] * CONFIG.hop
    assert state.utterances[0].start(40) == settled[-1]


def test_a_row_of_a_batch_is_rendered_as_alone() -> None:
    frames = [torch.tensor(units(count, count)) for count in (3, 17, 9)]
    together = MODEL.render(padded(frames), [3, 17, 9])
    for row, alone in zip(together, frames, strict=True):
        want = MODEL.render(alone[None], [len(alone)])[0]
        torch.testing.assert_close(row[: len(want)], want, atol=1e-5, rtol=1e-4)


def test_units_below_zero_are_left_out_and_none_is_silence() -> None:
    assert torch.equal(MODEL(torch.tensor([3, -1, 4, -1])), whole([3, 4]))
    assert len(MODEL(torch.tensor([-1]))) == 0


def test_weight_norm_folds_to_the_weight_that_was_unfolded() -> None:
    published = {name: tensor for name, tensor in KEYS.published(MODEL).items() if "dur_" not in name}
    kept = unfolded(published)
    assert {name for name in kept if name.startswith("ups.0")} == {"ups.0.bias", "ups.0.weight_g", "ups.0.weight_v"}
    assert kept["ups.0.weight_g"].shape == (8, 1, 1)
    again = folded({name: stored(tensor * (2 if name.endswith("_v") else 1)) for name, tensor in kept.items()})
    for name, tensor in published.items():
        torch.testing.assert_close(again[name].read(), tensor)


@pytest.mark.parametrize(
    ("change", "cause"),
    [({"f0": True}, "f0"), ({"dur_predictor_params": None}, "dur_predictor_params"), ({"code_hop_size": 240}, "240")],
)
def test_another_vocoder_is_refused(change: dict[str, object], cause: str) -> None:
    published = {"dur_predictor_params": {"var_pred_hidden_dim": 128, "var_pred_kernel_size": 3}}
    assert UnitHiFiGANConfig.from_published(published) == UnitHiFiGANConfig()
    with pytest.raises(ValueError, match=cause):
        UnitHiFiGANConfig.from_published(published | change)
