"""What the engine knows of a model: two gaits.

A ``FrameModel`` hears a frame and gives a frame, at a fixed rate, for ever; that it may be silent is its
own business. Its position is time: it cannot un-hear.

A ``TurnModel`` hears a turn, then speaks until it is done or stopped. Its position is a place in a prompt, and
it can go back to any earlier one: a speculated turn is taken back whole, and after a barge-in the context is cut
to what was heard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from torch import Tensor

from duologue.models.turns import Facts, Line, Manner, Piece, Uttered
from duologue.nn.rows import Rows, State

S = TypeVar("S", bound=State)
P = TypeVar("P", bound=State, contravariant=True)
C = TypeVar("C", bound=State)


@dataclass(frozen=True, slots=True)
class Frames:
    """What the rows of one step said, in the order of the step's batch."""

    wave: Tensor
    """float32 [N, frame]; zeros for rows that are not ready."""
    text: tuple[int | None, ...]
    """The text token said with the frame; ``None`` where there is none to show (padding, not ready)."""
    ready: tuple[bool, ...]
    """False for the first steps of a stream, before the model's own delay has passed."""
    inclined: tuple[bool, ...]
    """Whether the model would most probably have said a word with this step, had it been free to. Of rows that
    are made to be silent (:meth:`FrameModel.hush`) it is the only sign of whether they still want to speak."""


SILENT = -1
"""Stands for a text token where there is none to show."""


@dataclass(frozen=True, slots=True)
class Said:
    """:class:`Frames` on the device, before the host knows anything of them."""

    wave: Tensor
    """float32 [N, frame]; zeros for rows that are not ready."""
    text: Tensor
    """int64 [N]; :data:`SILENT` where there is none to show."""
    ready: Tensor
    """bool [N]."""
    inclined: Tensor
    """bool [N]."""

    def frames(self) -> Frames:
        """The same for the host, which waits for the device."""
        text = tuple(None if token == SILENT else token for token in self.text.tolist())
        return Frames(self.wave, text, tuple(self.ready.tolist()), tuple(self.inclined.tolist()))


class FrameModel(Protocol[S]):
    """A full-duplex model on a clock."""

    @property
    def rate(self) -> int:
        """Samples a second, in and out."""

    @property
    def frame(self) -> int:
        """Samples a frame, in and out."""

    @property
    def horizon(self) -> int:
        """Steps after which a session costs no more than before."""

    def state(self, rows: int) -> S:
        """Room for ``rows`` sessions, all at their start with seed 0."""

    def reset(self, state: S, rows: Rows, seeds: Sequence[int]) -> None:
        """These rows begin new sessions, each with its seed (which fixes all that it will ever draw)."""

    def step(self, state: S, rows: Rows, wave: Tensor) -> Frames:
        """Hear a frame of each row, float32 [N, frame], and say one. Rows left out do not notice.

        Raises ``ValueError`` where the frame has another size; what a row hears is not checked otherwise.
        """

    def hush(self, state: S, rows: Rows) -> None:
        """With their next step these rows say silence, whatever they had in mind; they go on hearing."""

    def restart_codec(self, state: S, rows: Rows) -> None:
        """What these rows heard and said stays, but the codec takes the next frame for a stream's first (a habit
        of Kyutai's server after a session's first frame)."""

    def age(self, state: S, rows: Rows, steps: int) -> None:
        """Let these rows be as costly as after ``steps`` steps: for measuring. What they then say means nothing."""

    def text(self, token: int) -> str:
        """A text token as it is shown, with its leading space where it begins a word; a byte of a character
        that has no token of its own as ``<0xE2>``."""


@runtime_checkable
class Capturable(Protocol[C]):
    """A frame model whose step can be captured once and then replayed.

    That is: what :meth:`advance` runs, and on which memory, is the same whatever the tensors hold. Nothing in it waits
    for the device, brings anything to it, or has a shape that depends on a number.
    """

    def state(self, rows: int, *, whole: bool) -> C:
        """As :meth:`FrameModel.state`; ``whole``: for :meth:`advance`, whatever the device."""

    def advance(self, state: C, rows: Rows, wave: Tensor) -> Said:
        """As :meth:`FrameModel.step`, all of it on the device. ``rows.active`` may say which of the rows take part;
        what is said of the others means nothing."""


@runtime_checkable
class Prompted(Protocol[P]):
    """A frame model that can be told, before a session, how to sound and who to be."""

    @property
    def voices(self) -> tuple[str, ...]:
        """The voices there are, the default first; may be empty."""

    def prime(self, state: P, row: Rows, voice: str, instructions: str) -> Iterator[None]:
        """Begin a session in a row that was reset. Yields between pieces of work, each about as long as a step.

        ``ValueError`` for a voice that there is not; the empty string is the default.
        """


# -- the turn gait ------------------------------------------------------------------------------------------


@runtime_checkable
class TurnModel(Protocol[S]):
    """A model that hears a turn, then speaks.

    The engine keeps, for each row, what stands at each position. To answer, it lays a prompt out, goes back to where
    the prompt departs from what the row holds, and runs the rest through :meth:`prefill`, except its last position,
    which :meth:`begin` is given. Then every :meth:`step` reads a position and says what follows it, for all speaking
    rows at once, wherever each of them is.
    """

    @property
    def facts(self) -> Facts: ...

    def state(self, rows: int, context: int | None = None) -> S:
        """Room for ``rows`` sessions, all with nothing behind them, of ``context`` positions each, at most (and
        without it) :attr:`Facts.context`."""

    def layout(self, lines: Sequence[Line], manner: Manner) -> list[Piece]:
        """The prompt of a dialogue, to the letter as the model was trained, up to where it answers.

        Raises ``ValueError``, naming the cause, for what the model cannot be given.
        """

    def size(self, piece: Piece) -> int:
        """How many positions a piece takes."""

    def embed(self, pieces: Sequence[Piece]) -> list[Tensor]:
        """What the decoder reads at the positions of each piece: [size, …] each. Encoders run once for all of them,
        of however many sessions."""

    def rewind(self, state: S, row: Rows, position: int) -> None:
        """This row (one) holds only its first ``position`` positions. Costs nothing."""

    def prefill(self, state: S, rows: Rows, x: Tensor) -> None:
        """Read the next T positions of each row: [N, T, …] of what :meth:`embed` gave. Nothing is said."""

    def begin(
        self, state: S, rows: Rows, x: Tensor, prompts: Sequence[Sequence[Piece]], manners: Sequence[Manner]
    ) -> None:
        """These rows answer: ``x`` [N, 1, …] is the last position of each prompt, which their next step reads. What
        makes speech of the answer (heads, codecs) begins anew."""

    def step(self, state: S, rows: Rows) -> list[Uttered]:
        """The next position of each row, in the order of the batch. Not to be called for a row that has ended."""

    def age(self, state: S, rows: Rows, positions: int) -> None:
        """Let these rows be as costly as at that position: for measuring. What they then say is noise."""
