"""The contract between a session and whoever answers in it.

A session talks to a *backend*, not to a model. Commands go in, events come out, both are frozen
dataclasses without torch, sockets or clocks, so that a backend may live in this process (``pocket``),
in a process of its own (an engine) or behind a network (a chat endpoint).

Two counters name things, and neither is ever used again within a session:

* a **turn** is one stretch of the person's speech, from onset to endpoint;
* an **epoch** is one attempt at a reply. A cancelled epoch is dead: what still arrives of it is dropped,
  by the backend and again by the session.

The life of a spoken turn::

    Hear Hear Hear …          audio of turn 7 (pre-roll included); Hypothesis events come back
    Respond(epoch 12, turn 7, tentative)     at the first pause: prepare the reply, without side effects
    Cancel(12)                … the person went on: forget the attempt; turn 7 goes on being heard
    Respond(13, turn 7, tentative)           the next pause
    EndTurn(7), Commit(13)    the endpoint: what the reply does (timers, facts, dice) now becomes true
    Cancel(13, heard=…)       a barge-in: speak no more, and remember only what was heard

A reply is ``Answers`` (if it answers a turn), ``Delta``s (and ``Call``s), then exactly one ``End`` or ``Failed``,
unless it was cancelled: then nothing more. ``End("silent")`` before any delta means: this was not for me, I choose
silence.

A backend of the *frame* gait (its card says so) takes no turns: it hears all the time (``Sound``) and speaks when it
likes. It *wants* the floor the moment it begins to speak, and is granted it at once, also over the person's voice;
the reply ends when it has fallen silent. Turns are heard beside that, for their transcripts, and answered by nobody.
Its position is time: what it said or heard cannot be taken back, so ``Cancel`` silences it until it pauses of itself
or is asked for a reply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from duologue.audio import Wave

Turn: TypeAlias = int
Epoch: TypeAlias = int


# -- who answers ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Card:
    """What a backend is and can do; the server shows it and answers clients accordingly."""

    name: str
    """The name clients use, e.g. ``pocket``."""
    title: str
    languages: tuple[str, ...]
    input_modalities: tuple[str, ...]
    """Of ``audio``, ``text``, ``image``."""
    output_modalities: tuple[str, ...]
    voices: tuple[str, ...]
    """Own voices, the default first. Other names a client sends map to one of these."""
    tools: bool
    licence: str
    notes: str = ""
    gait: Literal["turn", "frame"] = "turn"
    """``turn``: it hears a turn, then speaks. ``frame``: it hears and speaks all the time."""
    hears: bool = False
    """Whether it hears what was said in earlier turns itself, and does not go by the words alone."""


# -- the conversation as a backend sees it ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the history; an assistant's text holds only what was heard of it."""

    role: Literal["system", "user", "assistant"]
    text: str
    images: tuple[bytes, ...] = ()
    """Encoded PNG or JPEG files, already checked to decode."""
    spoken: bool = False
    """Whether the text was spoken (a transcript) or written."""
    turn: Turn | None = None
    """The turn that it was, for backends that hear (:attr:`Card.hears`): its words may then be missing."""
    pcm: bytes = b""
    """For those too, sound that was no turn, but was put into the conversation: 16 bits at 24 kHz."""
    epoch: Epoch | None = None
    """The reply of which it is what was heard."""


@dataclass(frozen=True, slots=True)
class CallMade:
    """A function call the assistant made."""

    name: str
    call_id: str
    arguments: str
    """A JSON object."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """What the client answered to a call."""

    call_id: str
    output: str


HistoryItem: TypeAlias = Message | CallMade | CallResult


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the client offers; ``parameters`` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """How one reply is wanted: the session's settings, overridden by ``response.create``."""

    instructions: str = ""
    speech: bool = True
    """Whether audio is wanted; ``False`` means text only."""
    voice: str = ""
    """Any string; the backend maps what it does not know to a voice of its own."""
    speed: float = 1.0
    """0.25 to 1.5, 1.0 is the voice's own speed."""
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """``auto``, ``none``, ``required``, or ``function:NAME``: that function must be called."""
    max_tokens: int | None = None


# -- commands: session → backend ----------------------------------------------------------------------


Strictness: TypeAlias = Literal["loose", "normal", "strict"]


@dataclass(frozen=True, slots=True)
class Configure:
    """The session's settings changed (also sent once, first). Replies to come follow the new ones."""

    instructions: str
    voice: str
    speed: float
    strictness: Strictness = "normal"
    """How sure it must be that words are meant for it, before it answers them unasked."""
    history: bool = False
    """Whether a model that was trained on single turns shall know of earlier ones all the same."""
    initiative: bool = True
    """Whether it may begin a reply of its own accord; a backend of the frame gait keeps silent otherwise."""


@dataclass(frozen=True, slots=True)
class Sound:
    """All that is heard, voice or not, in order and without gaps: for backends of the frame gait only."""

    start: int
    """Position of the first sample on the heard timeline."""
    wave: Wave


@dataclass(frozen=True, slots=True)
class Hear:
    """Audio of an open turn, in order and without gaps; the first one opens the turn."""

    turn: Turn
    start: int
    """Position of the first sample on the heard timeline."""
    wave: Wave


@dataclass(frozen=True, slots=True)
class EndTurn:
    """The turn is over: a final :class:`Hypothesis` follows, and what heard it is freed.

    Its words (or encoding) can still be answered by :class:`Respond` until the next turn ends."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class DropTurn:
    """The turn was nothing (a cough, a cleared buffer): free it, nothing follows."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class Respond:
    """Make a reply: to a turn heard so far, to the history alone, or of the backend's own accord."""

    epoch: Epoch
    ask: Ask
    history: tuple[HistoryItem, ...]
    """The conversation before this turn, oldest first."""
    turn: Turn | None = None
    """The heard turn to answer, with all audio sent so far; ``None``: answer the history."""
    token: str | None = None
    """The :class:`Wants` this reply grants."""
    tentative: bool = False
    """True: side effects wait for :class:`Commit`."""
    obliged: bool = False
    """True where the client asked outright: silence is then no answer."""
    idle: bool = False
    """True where the person has said nothing for the idle time-out: say something that helps them on."""
    since_exchange: float | None = None
    """Seconds on the session's timeline since either side last had the floor; ``None``: never."""


@dataclass(frozen=True, slots=True)
class Commit:
    """The tentative reply is the reply: its side effects become true now."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop this reply. What it changed stays only as far as it was heard."""

    epoch: Epoch
    heard_chars: int | None = None
    """How many characters of its text were heard; ``None``: it was never begun, take it back whole."""


@dataclass(frozen=True, slots=True)
class Close:
    """The session is over; everything it holds is freed, and nothing follows."""


Command: TypeAlias = Configure | Sound | Hear | EndTurn | DropTurn | Respond | Commit | Cancel | Close


# -- events: backend → session ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The words of a turn as far as it was heard. Sent after every stretch of audio, also unchanged."""

    turn: Turn
    text: str
    until: int
    """Position on the heard timeline up to which audio is accounted for."""
    final: bool = False
    complete: bool | None = None
    """Do these words make a finished utterance? ``None``: cannot tell."""
    backchannel: bool | None = False
    """Only words that keep the other talking ("mm-hm", "yeah")? ``None``: the words do not tell (a word or two that
    make no sense may be a cough misheard), so that what counts is how long the voice goes on."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The first event of a reply to a turn: the words it answers.

    If a later :class:`Hypothesis` of the turn differs, a tentative reply is stale: the session asks anew.
    """

    epoch: Epoch
    text: str


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply: text, and where speech is wanted the audio that says exactly this text."""

    epoch: Epoch
    text: str = ""
    wave: Wave | None = None
    marks: tuple[tuple[int, int], ...] = ()
    """(sample, chars): when ``sample`` samples of this delta are played, ``chars`` of its text are said.
    Ascending; without marks the text is taken to be spread evenly over the wave."""


@dataclass(frozen=True, slots=True)
class Call:
    """The reply calls a function of the client's."""

    epoch: Epoch
    name: str
    arguments: str
    """A JSON object that fits the tool's schema."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a reply took, in the backend's tokens."""

    input_text: int = 0
    input_audio: int = 0
    input_image: int = 0
    output_text: int = 0
    output_audio: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """The reply is whole. ``silent``: the backend chose not to answer (and sent nothing)."""

    epoch: Epoch
    reason: Literal["completed", "silent", "length"] = "completed"
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Failed:
    """Something broke inside the backend. ``epoch`` is the reply it ends, ``turn`` the turn it loses; with neither the
    session itself is lost, and nothing follows."""

    message: str
    epoch: Epoch | None = None
    turn: Turn | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that whoever uses the client should know, and that ends nothing: a part of what was said is not known
    to the model."""

    message: str


@dataclass(frozen=True, slots=True)
class Wants:
    """The backend would like the floor (a timer is due, a greeting): grant it with ``Respond(token=…)``.

    It stays wanted until granted and committed or withdrawn; the session picks a gap.
    """

    token: str
    reason: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What was wanted is wanted no more (the timer was cancelled)."""

    token: str


Event: TypeAlias = Hypothesis | Answers | Delta | Call | End | Failed | Notice | Wants | Withdrawn


# -- the two ends ---------------------------------------------------------------------------------------


class Link(Protocol):
    """One session's end of a backend. Never blocks; safe to call from the event loop only."""

    def send(self, command: Command) -> None:
        """Queue a command. Commands of one session are carried out in order."""

    @property
    def busy(self) -> bool:
        """Whether any command is still being carried out (drivers faster than real time wait on this)."""


class NoRoom(RuntimeError):
    """No further session can be had now; the message says why."""


class Backend(Protocol):
    """A backend serves many sessions at once, each through its own :class:`Link`."""

    @property
    def card(self) -> Card: ...

    async def start(self) -> None:
        """Load and be ready; raises an error that names the cause and the remedy."""

    async def stop(self) -> None:
        """Free everything. Links are dead afterwards."""

    def open(self, emit: Callable[[Event], None]) -> Link:
        """A new session; ``emit`` is called on the event loop for each of its events.

        Raises :class:`NoRoom` where the backend cannot hold another one.
        """
