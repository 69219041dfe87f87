"""What every mouth gives: a clause as sound, with the time at which each word ends.

Synthesizers put silence around what they say (flite 0.2 s before and after) and each is loud in its own way.
Here both go: a clause begins with its first audible sample, since that is what a listener waits for, and all
voices are equally loud. Pauses between clauses are put back by punctuation (``clauses.pause``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from duologue.audio import Wave, samples
from duologue.audio.level import first_audible, last_audible, loudness

LEVEL = -20.0
"""dBFS of the audible steps of every clause; speech peaks 12 to 18 dB above that."""

LONGEST = 1_000
"""Characters that a mouth says in one go; a reply comes in clauses, which are far shorter."""

Marks: TypeAlias = tuple[tuple[int, int], ...]
"""(sample, chars): once ``sample`` samples are played, ``chars`` characters are said. Ascending."""

_PEAK = 0.97
_EDGE = samples(0.005)
"""Kept around the audible part, and faded, so that nothing clicks."""


class MouthError(RuntimeError):
    """There is no synthesizer, or it broke; the message names the cause and the remedy."""


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """A spoken clause: ``wave`` [n] at 24 kHz (empty where the text has no sound), ``marks`` up to its end."""

    wave: Wave
    marks: Marks


class Mouth(Protocol):
    """A synthesizer: text in, speech out."""

    @property
    def name(self) -> str:
        """What it is called, e.g. ``flite``."""

    @property
    def voices(self) -> tuple[str, ...]:
        """Its voices, the default first."""

    def voice(self, asked: str) -> str:
        """The own voice that stands for ``asked``, whatever that is: always the same one."""

    async def say(self, text: str, *, voice: str, speed: float) -> Speech:
        """Speak one clause of up to :data:`LONGEST` characters.

        ``voice`` is one of :attr:`voices`, ``speed`` 0.25 to 1.5 (1.0 is the voice's own). Raises
        :class:`MouthError` where the synthesizer fails; the next clause may well work.
        """

    async def close(self) -> None:
        """Free what it holds. Nothing can be said afterwards."""


def silent(text: str) -> Speech:
    """A text without a sound ("…", or a script that no voice of ours reads)."""
    return Speech(np.zeros(0, np.float32), ((0, len(text)),))


def finished(wave: Wave, words: Sequence[tuple[int, int]], text: str) -> Speech:
    """The synthesizer's ``wave`` levelled and trimmed; ``words`` are marks in it, ascending, maybe not all."""
    level = loudness(wave)
    peak = float(np.max(np.abs(wave), initial=0.0))
    if peak > 0.0:
        wave = wave * np.float32(min(10 ** ((LEVEL - level) / 20), _PEAK / peak))
    start, end = first_audible(wave), last_audible(wave)
    if start is None or end is None:
        return silent(text)
    start, end = max(0, start - _EDGE), min(len(wave), end + _EDGE)
    wave = wave[start:end].copy()
    ramp = np.linspace(0.0, 1.0, min(_EDGE, len(wave)), endpoint=False, dtype=np.float32)
    wave[: len(ramp)] *= ramp
    wave[len(wave) - len(ramp) :] *= ramp[::-1]
    wave.setflags(write=False)  # a remembered clause is handed out again

    marks: list[tuple[int, int]] = []
    for at, chars in words:
        at = min(max(at - start, 0), len(wave))
        if chars < len(text) and (not marks or at > marks[-1][0]):
            marks.append((at, chars))
        elif marks and at == marks[-1][0] and chars < len(text):
            marks[-1] = (at, chars)
    if marks and marks[-1][0] == len(wave):
        marks.pop()
    return Speech(wave, (*marks, (len(wave), len(text))))
