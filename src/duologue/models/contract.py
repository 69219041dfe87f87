"""What the engine knows of a model.

A ``FrameModel`` hears a frame and gives a frame, at a fixed rate, for ever; that it may be silent is its
own business. Its position is time: it cannot un-hear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor

from duologue.nn.rows import Rows, State

S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True)
class Frames:
    """What the rows of one step said, in the order of the step's batch."""

    wave: Tensor
    """float32 [N, frame]; zeros for rows that are not ready."""
    text: tuple[int | None, ...]
    """The text token said with the frame; ``None`` where there is none to show (padding, not ready)."""
    ready: tuple[bool, ...]
    """False for the first steps of a stream, before the model's own delay has passed."""


class FrameModel(Protocol[S]):
    """A full-duplex model on a clock."""

    @property
    def rate(self) -> int:
        """Samples a second, in and out."""

    @property
    def frame(self) -> int:
        """Samples a frame, in and out."""

    def state(self, rows: int) -> S:
        """Room for ``rows`` sessions, all at their start with seed 0."""

    def reset(self, state: S, rows: Rows, seeds: Sequence[int]) -> None:
        """These rows begin new sessions, each with its seed (which fixes all that it will ever draw)."""

    def step(self, state: S, rows: Rows, wave: Tensor) -> Frames:
        """Hear a frame of each row, float32 [N, frame], and say one. Rows left out do not notice.

        Raises ``ValueError`` where the frame has another size; what a row hears is not checked otherwise.
        """

    def text(self, token: int) -> str:
        """A text token as it is shown, with its leading space where it begins a word."""
