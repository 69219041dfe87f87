"""A frame model that says what it hears, at once: to try a line, and to measure what all around a model costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from duologue.audio import RATE
from duologue.models.contract import Frames
from duologue.nn.rows import Rows

_QUIET = 0.003
"""Amplitude below which it is not said to speak (-50 dBFS)."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """What an echo remembers."""

    def reset(self, rows: Rows) -> None:
        return None


class Echo:
    """A :class:`~duologue.models.contract.FrameModel` of Moshi's frames."""

    rate = RATE
    frame = RATE * 2 // 25
    horizon = 0

    def state(self, rows: int) -> Nothing:
        return Nothing()

    def reset(self, state: Nothing, rows: Rows, seeds: Sequence[int]) -> None:
        return None

    def step(self, state: Nothing, rows: Rows, wave: Tensor) -> Frames:
        loud = wave.abs().amax(1) > _QUIET
        return Frames(wave, (None,) * len(rows), (True,) * len(rows), tuple(loud.tolist()))

    def hush(self, state: Nothing, rows: Rows) -> None:
        """It cannot help it; who hushed it does not listen."""

    def restart_codec(self, state: Nothing, rows: Rows) -> None:
        """It has none."""

    def age(self, state: Nothing, rows: Rows, steps: int) -> None:
        """It does not age."""

    def text(self, token: int) -> str:
        raise ValueError("an echo has no words of its own")
