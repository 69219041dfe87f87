"""24 kHz to 16 kHz: what is kept, what is rejected, how late it is, and that chunks leave no trace."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duologue.audio import RATE, Wave
from duologue.ears import rate
from duologue.ears.rate import Downsampler

NOISE: Wave = np.random.default_rng(5).normal(size=3_001).astype(np.float32)


def tone(hertz: float) -> Wave:
    return np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE).astype(np.float32)


def level(wave: Wave) -> float:
    """dB relative to a full tone, the filter's beginning left out."""
    return float(20 * np.log10(np.sqrt(2 * np.mean(np.square(wave[200:]))) + 1e-9))


@pytest.mark.parametrize("hertz", [100, 1_000, 4_000, 6_500])
def test_the_band_of_speech_passes_unchanged(hertz: float) -> None:
    assert abs(level(Downsampler().push(tone(hertz)))) < 0.1


@pytest.mark.parametrize("hertz", [9_000, 10_000, 11_500])
def test_what_would_alias_is_rejected(hertz: float) -> None:
    assert level(Downsampler().push(tone(hertz))) < -60


def test_three_in_two_out_and_late_by_the_delay_it_states() -> None:
    wave = np.zeros(RATE, np.float32)
    wave[6_000] = 1.0
    out = Downsampler().push(wave)
    assert len(out) == rate.RATE
    centre = float(np.sum(out * np.arange(len(out))) / np.sum(out)) * RATE / rate.RATE
    assert centre - 6_000 == pytest.approx(rate.DELAY, abs=1.0)


@settings(max_examples=50)
@given(st.lists(st.integers(0, len(NOISE)), max_size=60))
def test_any_chunking_gives_bit_for_bit_the_same(cuts: list[int]) -> None:
    stream = Downsampler()
    pieces = [stream.push(piece) for piece in np.split(NOISE, sorted(cuts))]
    assert np.array_equal(np.concatenate(pieces), Downsampler().push(NOISE))


@pytest.mark.parametrize("blocks", [1, 16])
def test_many_stretches_at_once_are_what_a_stream_gives(blocks: int) -> None:
    heard, coming = 4 * rate.BLOCK, blocks * rate.BLOCK
    waves = [NOISE[begin : begin + heard + coming] for begin in (0, 500, 1_000)]
    together = rate.downsample(np.stack([wave[heard - rate.CONTEXT :] for wave in waves]))
    for wave, result in zip(waves, together, strict=True):
        np.testing.assert_allclose(result, Downsampler().push(wave)[-len(result) :], atol=1e-5)
