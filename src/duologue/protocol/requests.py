"""What a client's message asks of the session: validated, and with the protocol's own part already done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from duologue.audio import Wave
from duologue.protocol.params import ResponseParams
from duologue.protocol.response import ResponseWriter
from duologue.protocol.settings import Settings


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """Other settings hold from now on (``session.updated`` is queued)."""

    previous: Settings
    current: Settings


@dataclass(frozen=True, slots=True, eq=False)
class AudioAppended:
    """The next audio of the person: a wave [n] at 24 kHz; n may be 0 (G.711 is resampled in blocks)."""

    wave: Wave


@dataclass(frozen=True, slots=True)
class CommitAsked:
    """The client ends the turn: answer with ``commit_turn``, or ``refuse`` where there is too little
    audio."""

    event_id: str | None


@dataclass(frozen=True, slots=True)
class ClearAsked:
    """The client takes back what was not committed: answer with ``input_cleared``."""

    event_id: str | None


@dataclass(frozen=True, slots=True)
class ResponseAsked:
    """The client wants a response: answer with ``begin_response(params)``."""

    event_id: str | None
    params: ResponseParams


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """The client wants a running response to stop: answer by finishing the writer."""

    event_id: str | None
    writer: ResponseWriter


@dataclass(frozen=True, slots=True)
class ItemAdded:
    """The client put an item into the conversation."""

    item_id: str


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    """The client took an item out of the conversation; it may be one that is still being spoken."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Truncated:
    """The client heard only so much of an assistant's item; the conversation is already cut.

    ``samples`` (at 24 kHz) and ``chars`` of the transcript are what counts as heard now; they may be less
    than the client said, where less was known to be heard before.
    """

    item_id: str
    samples: int
    chars: int


Request: TypeAlias = (
    SettingsChanged
    | AudioAppended
    | CommitAsked
    | ClearAsked
    | ResponseAsked
    | CancelAsked
    | ItemAdded
    | ItemDeleted
    | Truncated
)
