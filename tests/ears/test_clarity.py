"""Clarity: a voice near by falls silent at once, one across the room does not; gain and chunking do not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duologue.audio import Wave
from duologue.ears.clarity import Clarity
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


def test_only_the_last_twenty_seconds_are_remembered() -> None:
    clear = Clarity()
    for _ in range(30):
        clear.push(WAVE[:RATE])
        assert sum(map(len, clear._levels)) < 2_100
