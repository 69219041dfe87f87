"""How loud, in steps a listener would tell apart: what counts as audible, and where sound begins and ends.

Every figure duologue publishes about time (latency, barge-in) is a difference of positions found here, so
there is one definition: a 20 ms step is *audible* when its root mean square lies above −50 dBFS. 0 dBFS is
a square wave of amplitude 1 (a full-scale sine is at −3 dBFS).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from duologue.audio import RATE, Wave

STEP = RATE // 50
"""Samples in one step: 20 ms."""

AUDIBLE = -50.0
"""dBFS above which a step is audible."""

_FLOOR = -120.0
"""What digital silence is called, so that levels stay finite."""

_AUDIBLE_AMPLITUDE = 10 ** (AUDIBLE / 20)
_AUDIBLE_POWER = 10 ** (AUDIBLE / 10)


def levels(wave: Wave) -> NDArray[np.float64]:
    """dBFS of each 20 ms step, shape [ceil(n / 480)]; a last, shorter step counts its own samples only."""
    steps: NDArray[np.float64] = 10 * np.log10(np.maximum(_powers(wave), 10 ** (_FLOOR / 10)))
    return steps


def _powers(wave: Wave) -> NDArray[np.float64]:
    """Mean square of each step. (numpy's ``mean`` takes longer than all else for a frame of speech.)"""
    whole = len(wave) // STEP
    squares = np.square(wave, dtype=np.float64)
    powers: NDArray[np.float64] = np.add.reduce(squares[: whole * STEP].reshape(whole, STEP), axis=1) / STEP
    if len(rest := squares[whole * STEP :]):
        powers = np.append(powers, np.add.reduce(rest) / len(rest))
    return powers


def _audible(wave: Wave) -> NDArray[np.bool_]:
    """Which steps are audible."""
    return _powers(wave) > _AUDIBLE_POWER


def loudness(wave: Wave) -> float:
    """dBFS of the audible steps taken together (pauses do not count); −120 where nothing is audible."""
    audible = levels(wave)
    audible = audible[audible > AUDIBLE]
    return float(10 * np.log10(np.mean(10 ** (audible / 10)))) if len(audible) else _FLOOR


def first_audible(wave: Wave, after: int = 0) -> int | None:
    """Position of the first audible sample at or after ``after``; ``None`` where there is none.

    Steps are counted from ``after``; within the first audible one it is the first sample whose magnitude
    reaches −50 dBFS, so the answer is finer than a step.
    """
    steps = np.flatnonzero(_audible(wave[after:]))
    if not len(steps):
        return None
    start = after + int(steps[0]) * STEP
    return start + int(np.argmax(np.abs(wave[start : start + STEP]) >= _AUDIBLE_AMPLITUDE))


def last_audible(wave: Wave) -> int | None:
    """Position just past the last audible sample; ``None`` where there is none. Steps are counted from 0."""
    steps = np.flatnonzero(_audible(wave))
    if not len(steps):
        return None
    step = wave[int(steps[-1]) * STEP :][:STEP]
    return int(steps[-1]) * STEP + int(np.flatnonzero(np.abs(step) >= _AUDIBLE_AMPLITUDE)[-1]) + 1


def silences(wave: Wave, at_least: int) -> list[tuple[int, int]]:
    """The stretches (start, end) of ``at_least`` samples or more in which no step is audible, in order."""
    edges = np.diff(np.concatenate(([True], _audible(wave), [True])).astype(np.int8))
    starts = np.flatnonzero(edges == -1) * STEP
    ends = np.minimum(np.flatnonzero(edges == 1) * STEP, len(wave))
    return [(int(a), int(b)) for a, b in zip(starts, ends, strict=True) if b - a >= at_least]
