"""What the server's process and the engine's say to each other.

Both ends are this very program on this very machine, so messages are pickled dataclasses, several at a time, each
bundle behind its length in four bytes.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from duologue.audio import Wave
from duologue.models.turns import Facts

Seat: TypeAlias = int
"""One session, or one dialogue of it where it begins anew. Never used again in an engine's life."""

_LENGTH = struct.Struct("<I")


# -- to the engine ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spec:
    """What to load and how. The first message."""

    model: str
    """``echo``, or a directory of a published layout."""
    rows: int
    """How many sessions there is room for."""
    device: str = "auto"
    dtype: str = "auto"
    quantize: str = "none"
    threads: int = 0
    """Threads of a CPU; 0: as many as torch likes."""
    context: int = 0
    """Positions that a dialogue with a model that takes turns may have; 0: as many as are sensible."""
    graphs: bool = True
    """Whether steps of a model that hears and speaks in frames are captured in CUDA graphs, on a GPU."""


@dataclass(frozen=True, slots=True)
class Join:
    """A new seat. :class:`Joined` answers once it may speak, or :class:`Lost`."""

    seat: Seat
    seed: int
    manner: Literal["live", "kyutai"] = "live"
    """``live``: its clock runs from now on, silence stands in where nothing arrives. ``kyutai``: it stands still
    then, and begins with the quirks of Kyutai's own server."""
    hushed: bool = False
    voice: str = ""
    instructions: str = ""


@dataclass(frozen=True, slots=True)
class Sound:
    """What a seat hears next, any length, at the model's rate."""

    seat: Seat
    wave: Wave


@dataclass(frozen=True, slots=True)
class Hush:
    """From the next step on a seat says silence (``on``), or what it likes."""

    seat: Seat
    on: bool


@dataclass(frozen=True, slots=True)
class Leave:
    """A seat is free again."""

    seat: Seat


# … of models that take turns


@dataclass(frozen=True, slots=True)
class Store:
    """What a seat's prompts may refer to by ``key``: sound at :data:`duologue.audio.RATE`, or a picture's file (PNG or
    JPEG). A key is never used again for another thing."""

    seat: Seat
    key: int
    thing: Wave | bytes


@dataclass(frozen=True, slots=True)
class Discard:
    """Nothing will refer to these any more."""

    seat: Seat
    keys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ref:
    """The thing that was stored under a key."""

    key: int


@dataclass(frozen=True, slots=True)
class Quote:
    """What the model itself said in an earlier answer: as many of its tokens as lie within ``text``, which is the
    beginning of it that was heard. Where the engine does not remember them, the text."""

    epoch: int
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """One line of a dialogue, as :class:`duologue.models.turns.Line`, by reference."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[str | Ref | Quote, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer this dialogue. Answers of a seat are made one after the other, in the order in which they are asked."""

    seat: Seat
    epoch: int
    lines: tuple[Told, ...]
    speech: bool
    tokens: int | None
    """The most text tokens; ``None``: as many as it likes."""
    tentative: bool
    """Make the beginning ready; the rest once it is confirmed."""
    ahead: float | None
    """Seconds of it that are made before they can have been heard; ``None``: all of it at once."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """The tentative answer is the answer: it is being heard from now on."""

    seat: Seat
    epoch: int


@dataclass(frozen=True, slots=True)
class Stop:
    """No more of this answer, with the next step."""

    seat: Seat
    epoch: int


TurnCommand: TypeAlias = Store | Discard | Answer | Confirm | Stop
Command: TypeAlias = Spec | Join | Sound | Hush | Leave | TurnCommand


# -- from the engine --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded and its cost is known. The first message, or :class:`Broken`."""

    title: str
    frame: int
    """Samples of a frame of a model that hears and speaks in frames; 0: it takes turns."""
    facts: Facts | None
    """Of a model that takes turns."""
    languages: tuple[str, ...]
    voices: tuple[str, ...]
    prompted: bool
    """Whether instructions and voice make a difference."""
    licence: str
    device: str
    dtype: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The model cannot be served; trying again would not help. The last message."""

    message: str


@dataclass(frozen=True, slots=True)
class Pulse:
    """The engine lives, every second, and how it does."""

    room: int
    """How many sessions it can keep in real time."""
    seated: int
    tick_ms: float
    """Median time of a tick in this second; 0 where there was none."""
    worst_ms: float
    beats: int
    """Ticks in the time of a frame."""
    taken_back: int = 0
    """Tentative answers that were stopped since the engine began: the person went on, or had not meant the model."""
    lost_s: float = 0.0
    """Seconds of computing that went into these."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The seat is taken and primed: what it hears from now on counts."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class Said:
    """One frame of what a seat says."""

    seat: Seat
    wave: Wave
    text: str
    inclined: bool
    """As :attr:`duologue.models.contract.Frames.inclined`."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """So many samples of what a seat should have heard came too late, and it never will."""

    seat: Seat
    samples: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The seat is no more; the message says why."""

    seat: Seat
    message: str


# … of models that take turns


@dataclass(frozen=True, slots=True)
class Spoke:
    """More of an answer: the text, and the wave (at :data:`duologue.audio.RATE`) that says it; a model that only writes
    sends no wave."""

    seat: Seat
    epoch: int
    text: str
    wave: Wave | None
    marks: tuple[tuple[int, int], ...]
    """As :attr:`duologue.models.turns.Uttered.marks`, in samples of ``wave``."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The answer is whole."""

    seat: Seat
    epoch: int
    reason: Literal["completed", "length"]
    read: int
    """Positions of its prompt."""
    sounds: int
    """Of them, sound."""
    pictures: int
    reread: int
    """Of them, those that the seat's row did not hold already."""
    written: int
    """Text tokens, about: steps that were made."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer cannot be made; the message says why. The seat goes on."""

    seat: Seat
    epoch: int
    message: str


@dataclass(frozen=True, slots=True)
class Forgot:
    """So that an answer fits the context, so many of its oldest lines, and so many of the oldest parts of its last one,
    are not known to the model any more."""

    seat: Seat
    epoch: int
    lines: int
    parts: int


TurnEvent: TypeAlias = Spoke | Ended | Refused | Forgot
Event: TypeAlias = Ready | Broken | Pulse | Joined | Said | Dropped | Lost | TurnEvent
Message: TypeAlias = Command | Event


def packed(messages: Sequence[Message]) -> bytes:
    """A bundle for the wire."""
    body = pickle.dumps(list(messages), protocol=5)
    return _LENGTH.pack(len(body)) + body


class Unpacker:
    """Bundles from the wire, cut anywhere."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def push(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole with ``data``."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            bundle: list[Message] = pickle.loads(bytes(self._buffer[_LENGTH.size : end]))
            del self._buffer[:end]
            yield from bundle
