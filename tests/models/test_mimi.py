"""The codec's streams: chunks, rows, and the one place where they part from the whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from duologue.codecs.mimi import Mimi
from duologue.codecs.seanet import SEANetConfig
from duologue.nn.linear import pack
from duologue.nn.rows import Rows

from .tiny import MIMI, mimi

FRAME, LEVELS, FRAMES = MIMI.frame, 3, 12  # the ring is full after three frames
CODEC = mimi()
PACKED = mimi()
pack(PACKED)
WAVE = torch.randn(3, 1, FRAME * FRAMES, generator=torch.Generator().manual_seed(1)) * 0.3


def alone(wave: Tensor) -> tuple[Tensor, Tensor]:
    """One stream by itself, frame by frame: codes and wave."""
    state, row = CODEC.state(1), Rows.of([0])
    codes, out = [], []
    for frame in torch.split(wave[None], FRAME, dim=-1):
        codes.append(CODEC.encode_stream(frame, state.encoder, row, LEVELS))
        out.append(CODEC.decode_stream(codes[-1], state.decoder, row))
    return torch.cat(codes, dim=-1)[0], torch.cat(out, dim=-1)[0]


ALONE = [alone(wave) for wave in WAVE]


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=FRAMES), packed=st.booleans())
@settings(max_examples=40)
def test_any_number_of_frames_at_a_time(sizes: list[int], packed: bool) -> None:
    codec: Mimi = PACKED if packed else CODEC
    state, rows = codec.state(5), Rows.of([4, 0, 2])
    at = 0
    for size in sizes:
        frames = min(size, FRAMES - at)
        if not frames:
            break
        piece = WAVE[..., at * FRAME : (at + frames) * FRAME]
        codes = codec.encode_stream(piece, state.encoder, rows, LEVELS)
        wave = codec.decode_stream(codes, state.decoder, rows)
        for n, (want_codes, want_wave) in enumerate(ALONE):
            assert torch.equal(codes[n], want_codes[:, at : at + frames])
            want = want_wave[:, at * FRAME : (at + frames) * FRAME]
            torch.testing.assert_close(wave[n], want, atol=1e-5, rtol=1e-4)
        at += frames


@given(data=st.data())
@settings(max_examples=30)
def test_rows_come_go_and_begin_anew_by_themselves(data: st.DataObject) -> None:
    """At each tick some rows have a frame, some none, and some begin a new stream of another wave."""
    state = CODEC.state(3)
    plays, at = [0, 1, 2], [0, 0, 0]
    for _ in range(data.draw(st.integers(1, 14))):
        fresh = data.draw(st.sets(st.integers(0, 2), max_size=1))
        for n in fresh:
            state.reset(Rows.of([n]))
            plays[n], at[n] = data.draw(st.integers(0, 2)), 0
        running = sorted(n for n in data.draw(st.sets(st.integers(0, 2))) if at[n] < FRAMES)
        if not running:
            continue
        order = data.draw(st.permutations(running))
        rows = Rows.of(order)
        piece = torch.stack([WAVE[plays[n], :, at[n] * FRAME : (at[n] + 1) * FRAME] for n in order])
        codes = CODEC.encode_stream(piece, state.encoder, rows, LEVELS)
        wave = CODEC.decode_stream(codes, state.decoder, rows)
        for place, n in enumerate(order):
            want_codes, want_wave = ALONE[plays[n]]
            assert torch.equal(codes[place, :, 0], want_codes[:, at[n]])
            want = want_wave[:, at[n] * FRAME : (at[n] + 1) * FRAME]
            torch.testing.assert_close(wave[place], want, atol=1e-5, rtol=1e-4)
            at[n] += 1


def test_streamed_is_whole_until_the_ring_is_full() -> None:
    """From then on the first of a frame's two steps sees one step less, as with the reference."""
    state, rows = CODEC.decoder_state(3), Rows.of(range(3))
    codes = torch.stack([codes for codes, _ in ALONE])
    streamed, whole = CODEC.decode_stream(codes, state, rows), CODEC.decode(codes)
    same = MIMI.context // MIMI.steps * FRAME
    torch.testing.assert_close(streamed[..., :same], whole[..., :same], atol=1e-5, rtol=1e-4)
    assert (streamed[..., same:] - whole[..., same:]).abs().max() > 1e-4


def test_a_long_file_passes_in_pieces() -> None:
    long = WAVE[:1].repeat(1, 1, 6)
    x: Tensor = CODEC.encoder(long.transpose(1, 2))
    torch.testing.assert_close(CODEC.features(long), x, atol=1e-5, rtol=1e-4)


def test_zeros_fill_the_last_frame_of_a_file() -> None:
    cut = WAVE[..., : FRAME * 2 - 5]
    full = torch.nn.functional.pad(cut, (0, 5))
    assert torch.equal(CODEC.encode(cut, LEVELS), CODEC.encode(full, LEVELS))


@pytest.mark.parametrize("samples", [0, FRAME - 1, FRAME + 1])
def test_part_of_a_frame_is_refused(samples: int) -> None:
    with pytest.raises(ValueError, match=f"whole frames of {FRAME} samples"):
        CODEC.encode_stream(WAVE[:1, :, :samples], CODEC.encoder_state(1), Rows.of([0]), LEVELS)


def test_more_levels_than_codebooks_are_refused() -> None:
    with pytest.raises(ValueError, match="codebooks"):
        CODEC.encode(WAVE, MIMI.levels + 1)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="norm='time_group_norm'"):
        SEANetConfig.from_published({"norm": "time_group_norm"})
    with pytest.raises(ValueError, match="lstm"):
        SEANetConfig.from_published({"lstm": 2})
    with pytest.raises(ValueError, match="does not divide"):
        replace(MIMI, sample_rate=601)
