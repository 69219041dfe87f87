"""What turn models are told and say: prompts of lines and pieces, and what comes out with a step. Without torch: the
server speaks of these too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from duologue.audio import Wave

Column: TypeAlias = int | tuple[int, ...]
"""What stands at one position of a prompt: a token, or one for each parallel stream (Mini-Omni2 has eight)."""


@dataclass(frozen=True, slots=True)
class Ids:
    """Positions of a prompt that are tokens."""

    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Sound:
    """Speech in a prompt. Two sounds are the same only if their keys are."""

    key: int
    wave: Wave
    """float32, at the model's :attr:`Facts.hears`."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image in a prompt. Two pictures are the same only if their keys are."""

    key: int
    file: bytes
    """PNG or JPEG, checked to decode."""


Piece: TypeAlias = Ids | Sound | Picture
"""A stretch of a prompt."""


def joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Tokens that follow one another as one piece."""
    out: list[Piece] = []
    for piece in pieces:
        last = out[-1] if out else None
        if isinstance(piece, Ids) and isinstance(last, Ids):
            out[-1] = Ids(last.columns + piece.columns)
        else:
            out.append(piece)
    return out


@dataclass(frozen=True, slots=True)
class Line:
    """What one of the two said or showed, or the instructions."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[str | Piece, ...]
    """A string is text that was never spoken, and never holds control tokens whatever it looks like; an assistant's
    ``Ids`` are the tokens it said, as far as they were heard."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a turn model is and can do."""

    hears: int
    """Samples a second of what it is given."""
    says: int | None
    """Samples a second of what it says; ``None``: it writes only."""
    context: int
    """Positions that a prompt and its answer may take together."""
    window: float
    """Seconds that one :class:`Sound` may last."""
    sounds_per_turn: int | None
    """How many sounds a turn may be split into; ``None``: as many as fit. (1: a turn ends where the window does.)"""
    history: Literal["trained", "untrained"]
    """Whether it was trained on dialogues of more than one turn."""
    pictures: bool
    writes: bool
    """Whether it takes written turns as well."""
    mixes: bool
    """Whether a turn may be spoken and written at once."""
    instructions: bool
    """Whether instructions make a difference."""
    pace: float
    """Steps that it must make in a second to speak (or, where it writes only, to be read aloud) without a gap."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How one answer is wanted."""

    seed: int
    """Fixes every draw, with the position."""
    speech: bool = True
    """Whether it shall speak; else it writes."""
    tokens: int | None = None
    """The most text tokens it may take."""
    temperature: float | None = None
    """``None``: the model's own."""


@dataclass(frozen=True, slots=True)
class Uttered:
    """What one row said with a step; often nothing yet."""

    text: str = ""
    """Whole characters. While it speaks, text comes with the wave that says it."""
    wave: Wave | None = None
    """float32 at :attr:`Facts.says`."""
    marks: tuple[tuple[int, int], ...] = ()
    """(sample, chars): as :attr:`duologue.backends.contract.Delta.marks`."""
    tokens: tuple[tuple[Column, int], ...] = ()
    """The columns that entered the context since the row's last report, each with the characters of the whole answer
    that were said with it: what a cut of the context goes by."""
    end: Literal["completed", "length"] | None = None
    """Set with the last one."""
