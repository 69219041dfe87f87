"""Clarity: a voice near by falls silent at once, one across the room does not; gain and chunking do not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from duologue.audio import Wave
from duologue.ears.clarity import Clarity, _percentile
from duologue.ears.rate import RATE, Downsampler
from duologue.measure.duplex.scenes import far
from duologue.measure.voices import noise, speak

SENTENCE = "did you see the football game last night"


def heard(wave: Wave, room: float = -65.0) -> Wave:
    """At 16 kHz, with a third of a second of the room before and after."""
    quiet = np.zeros(8_000, np.float32)
    padded = np.concatenate((quiet, wave, quiet))
    return Downsampler().push(np.clip(padded + noise(len(padded), room), -1, 1).astype(np.float32))


def clarity(wave: Wave) -> float | None:
    clear = Clarity()
    clear.push(wave)
    return clear.value


@pytest.mark.parametrize("voice", ["slt", "rms", "kal16"])
def test_the_room_is_heard(voice: str) -> None:
    spoken = speak(SENTENCE, voice)
    near = spoken.wave[spoken.start : spoken.end]
    by_the_mouth, across = clarity(heard(near)), clarity(heard(far(near, seed=1)))
    assert by_the_mouth is not None
    assert across is not None
    assert by_the_mouth > 20 > 14 > across


def test_gain_does_not_matter() -> None:
    wave = heard(speak(SENTENCE, "awb").wave)
    assert clarity(wave * np.float32(0.1)) == pytest.approx(clarity(wave), abs=0.01)


def test_in_noise_there_is_none() -> None:
    wave = speak(SENTENCE, "slt").wave
    assert clarity(heard(wave, room=-15.0)) is None
    assert clarity(np.zeros(RATE, np.float32)) is None
    assert clarity(np.zeros(0, np.float32)) is None


WAVE = heard(speak("hello there", "slt").wave)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, len(WAVE)), max_size=8))
def test_any_chunking_gives_the_same(cuts: list[int]) -> None:
    clear = Clarity()
    for piece in np.split(WAVE, sorted(cuts)):
        clear.push(piece)
    assert clear.value == pytest.approx(clarity(WAVE))


def by_definition(levels: NDArray[np.float64]) -> float | None:
    """The page's formula in numpy's own percentiles, an octave at a time."""
    falls = []
    for level in levels.T:
        loudest, quiet = np.percentile(level, (95, 5))
        loud = level[:-5] > max(loudest - 18.0, quiet + 15.0)
        if loudest - quiet >= 25.0 and loud.sum() >= 5:
            falls.append(float(np.percentile((level[:-5] - level[5:])[loud], 95.0)))
    return sum(falls) / len(falls) if falls else None


@pytest.mark.parametrize("voice", ["slt", "awb", "kal16"])
@pytest.mark.parametrize("room", [-75.0, -65.0, -55.0])
def test_at_every_piece_it_is_the_formula_to_the_last_bit(voice: str, room: float) -> None:
    clear, values = Clarity(), []
    wave = heard(speak(SENTENCE, voice).wave, room)
    for at in range(0, len(wave), 320):
        clear.push(wave[at : at + 320])
        values.append(clear.value)
        assert len(clear._levels) <= 5 or values[-1] == by_definition(clear._levels)
    assert len(set(values)) > 10


@settings(max_examples=100)
@given(
    st.lists(st.floats(-120, 60), min_size=1, max_size=60),
    st.sampled_from([5.0, 95.0]),
)
def test_percentiles_are_numpys(values: list[float], percent: float) -> None:
    assert _percentile(np.sort(np.array(values)), percent) == np.percentile(values, percent)


def test_only_the_last_twenty_seconds_are_remembered() -> None:
    clear = Clarity()
    for _ in range(30):
        clear.push(WAVE[:RATE])
        assert len(clear._levels) < 2_100
