"""Levels: the one definition of audible that all published times rest on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.audio import RATE, Wave
from duologue.audio.level import STEP, first_audible, last_audible, levels, loudness, silences


def tone(count: int, dbfs: float, hertz: float = 1000.0) -> Wave:
    """A sine whose root mean square lies at ``dbfs``."""
    t = np.arange(count) / RATE
    return (np.sqrt(2) * 10 ** (dbfs / 20) * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


def quiet(count: int) -> Wave:
    return np.zeros(count, np.float32)


def test_a_sine_has_the_level_it_was_made_with() -> None:
    assert levels(tone(RATE, -20.0)) == pytest.approx(np.full(50, -20.0), abs=0.01)
    assert levels(tone(RATE, -3.01))[0] == pytest.approx(-3.01, abs=0.01)


def test_digital_silence_has_a_finite_level_and_an_empty_wave_has_none() -> None:
    assert levels(quiet(STEP)).tolist() == [-120.0]
    assert levels(quiet(0)).shape == (0,)
    assert first_audible(quiet(0)) is None
    assert last_audible(quiet(0)) is None
    assert loudness(quiet(STEP)) == -120.0


def test_audible_is_above_minus_fifty() -> None:
    assert first_audible(tone(STEP, -51.0)) is None
    assert first_audible(tone(STEP, -49.0)) is not None
    assert last_audible(tone(STEP, -51.0)) is None


def test_loudness_leaves_pauses_out() -> None:
    wave = np.concatenate([tone(RATE, -20.0), quiet(3 * RATE)])
    assert loudness(wave) == pytest.approx(-20.0, abs=0.1)


@given(before=st.integers(0, 5000), length=st.integers(2 * STEP, 5000), after=st.integers(0, 5000))
def test_a_tone_is_found_where_it_is(before: int, length: int, after: int) -> None:
    """Within a millisecond at the front and at the back, wherever it lies on the grid of steps."""
    wave = np.concatenate([quiet(before), tone(length, -12.0), quiet(after)])
    first, last = first_audible(wave), last_audible(wave)
    assert first is not None
    assert last is not None
    assert before <= first <= before + RATE // 1000
    assert before + length - RATE // 1000 <= last <= before + length


def test_first_audible_starts_where_it_is_told() -> None:
    wave = np.concatenate([tone(1000, -20.0), quiet(5000), tone(1000, -20.0)])
    second = first_audible(wave, after=1000)
    assert second is not None
    assert 6000 <= second <= 6024
    assert first_audible(wave, after=7000) is None


def test_silences_are_the_stretches_between() -> None:
    wave = np.concatenate([quiet(5 * STEP), tone(10 * STEP, -20.0), quiet(20 * STEP), tone(STEP, -20.0)])
    assert silences(wave, 10 * STEP) == [(15 * STEP, 35 * STEP)]
    assert silences(wave, 5 * STEP) == [(0, 5 * STEP), (15 * STEP, 35 * STEP)]
    assert silences(quiet(700), 1) == [(0, 700)]
