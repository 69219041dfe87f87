"""The floor: who may speak, as a table.

Two parties share one conversation, and either may speak at any moment. What they are doing together is one
of six *states*; what happens is a *signal*; the table below says, for every pair of them, what state follows
and what the session must do. It is data, so that it can be read, tested exhaustively and drawn (the picture
in ``docs/floor.md`` is made from it by ``python -m duologue.floor``).

The table is pure. It knows no clocks, samples, sockets or models: whether a silence is long enough to be an
endpoint, or an overlap was only "mm-hm", is decided by whoever sends the signal. It has no memory beyond the
state: what must be remembered (which turn, which reply) belongs to the session that carries out the actions.

Some rows depend on whose word counts, the runtime's or the model's, and on what the client allows
(:class:`Policy`). Such a row names its condition in ``when``, and
for every policy exactly one row applies to a (state, signal) pair, or the pair is in :data:`IGNORED`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Literal


class State(Enum):
    """What the two are doing together."""

    IDLE = "idle"
    """Nobody speaks, nothing is owed."""
    HEARING = "hearing"
    """The person speaks and has the floor."""
    SPECULATING = "speculating"
    """The person paused. A reply is prepared and held until the pause proves to be the end of the turn."""
    REPLYING = "replying"
    """The reply has the floor (its first sample may still be on its way)."""
    CONTESTED = "contested"
    """Somebody is heard over the reply. Output is paused until it is clear what the overlap was."""
    OVERLAPPED = "overlapped"
    """Both speak and both go on: the client allows no interruption, or asked for a reply meanwhile, or overlap is the
    model's own business."""


class Signal(Enum):
    """What happened, and (first word of each comment) who says so."""

    ONSET = "onset"  # voice activity: somebody began to speak, or went on after a pause
    PAUSE = "pause"  # voice activity: they fell silent for a moment
    ENDPOINT = "endpoint"  # endpointing: that silence was the end of the turn
    WORDS = "words"  # ear: the overlap has words that want the floor
    NO_WORDS = "no_words"  # ear: the overlap was a backchannel, a cough, noise
    SPOKEN = "spoken"  # playout: the last sample of the reply has left
    DECLINED = "declined"  # backend: this was not for me, I stay silent
    FAILED = "failed"  # backend: the reply broke
    WANTS = "wants"  # backend: I would like to speak first (a timer is due)
    IDLE_TIMEOUT = "idle_timeout"  # timer: nobody has spoken for the configured time
    CREATE = "create"  # client: response.create
    CANCEL = "cancel"  # client: response.cancel
    COMMIT = "commit"  # client: input_audio_buffer.commit
    CLEAR = "clear"  # client: input_audio_buffer.clear


class Action(Enum):
    """What the session does about it, in the order listed in the row."""

    OPEN_TURN = "open a turn"  # begin to hear a turn, pre-roll included
    ANNOUNCE_START = "announce speech"  # speech_started, once: stock clients flush their playback on it
    ANNOUNCE_STOP = "announce silence"  # speech_stopped, if the start was announced
    COMMIT_TURN = "commit the turn"  # the turn becomes an item of the conversation
    DROP_TURN = "drop the turn"  # it was nothing: no item, no trace
    SPECULATE = "speculate"  # prepare a reply, hold it, no side effects
    RETRACT = "retract"  # take the held reply back without a trace
    TAKE_FLOOR = "take the floor"  # release the held reply, its side effects become true
    BEGIN_REPLY = "begin a reply"  # the client asked outright
    REPLACE_REPLY = "replace the reply"  # the client asked while an unannounced reply was being made
    GRANT = "grant"  # the backend speaks first
    NUDGE = "nudge"  # the idle time-out's own turn and reply
    DEFER = "defer"  # not now; it stays wanted
    QUEUE_REPLY = "queue a reply"  # answer this turn once the running reply is over
    PAUSE_OUTPUT = "pause output"  # stop sending; the listener hears silence within the lead
    RESUME_OUTPUT = "resume output"  # go on where it stopped
    JUDGE = "judge the overlap"  # decide soon: WORDS or NO_WORDS
    INTERRUPT = "interrupt"  # cancel the reply, keep in history what was heard
    STOP_REPLY = "stop the reply"  # the same, at the client's wish
    FINISH = "finish"  # the reply is whole
    LEAVE_ALONE = "leave alone"  # heard, and silence chosen
    FAIL = "fail"  # close the reply as failed


@dataclass(frozen=True, slots=True)
class Policy:
    """Whose word counts, and what the client allows (``turn_detection`` of its session)."""

    creates: bool = True
    """``create_response``: an endpoint is answered without being asked."""
    interrupts: bool = True
    """``interrupt_response``: the person may cut a reply short."""
    word: Literal["runtime", "model"] = "runtime"
    """``model``: it hears all the time and speaks, falls silent or talks on as it likes; turns are then only noted, and
    what the client allows is the backend's to keep (it does not speak unasked where it may not)."""


When = Callable[[Policy], bool]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    state: State
    signal: Signal
    then: State
    actions: tuple[Action, ...] = ()
    when: str = ""
    """A name in :data:`CONDITIONS`; empty: always."""


CONDITIONS: Mapping[str, When] = MappingProxyType(
    {
        "": lambda policy: True,
        "creates": lambda policy: policy.creates and policy.word == "runtime",
        "creates not": lambda policy: not policy.creates or policy.word == "model",
        "interrupts": lambda policy: policy.interrupts and policy.word == "runtime",
        "interrupts not": lambda policy: not policy.interrupts and policy.word == "runtime",
        "runtime": lambda policy: policy.word == "runtime",
        "model": lambda policy: policy.word == "model",
    }
)


def _table() -> tuple[Row, ...]:
    s, g, a = State, Signal, Action
    hear = (a.OPEN_TURN, a.ANNOUNCE_START)
    end = (a.ANNOUNCE_STOP, a.COMMIT_TURN)
    return (
        # Nobody speaks. Either may start.
        Row(s.IDLE, g.ONSET, s.HEARING, hear),
        Row(s.IDLE, g.CREATE, s.REPLYING, (a.BEGIN_REPLY,)),
        Row(s.IDLE, g.WANTS, s.REPLYING, (a.GRANT,)),
        Row(s.IDLE, g.IDLE_TIMEOUT, s.REPLYING, (a.NUDGE,)),
        Row(s.IDLE, g.COMMIT, s.IDLE, (a.COMMIT_TURN,)),  # push-to-talk: no response by itself
        Row(s.IDLE, g.CLEAR, s.IDLE, (a.DROP_TURN,)),
        # The person speaks.
        Row(s.HEARING, g.PAUSE, s.SPECULATING, (a.SPECULATE,), "creates"),
        Row(s.HEARING, g.PAUSE, s.SPECULATING, (), "creates not"),
        Row(s.HEARING, g.CREATE, s.OVERLAPPED, (a.BEGIN_REPLY,)),
        Row(s.HEARING, g.COMMIT, s.IDLE, end),
        Row(s.HEARING, g.CLEAR, s.IDLE, (a.DROP_TURN,)),
        Row(s.HEARING, g.WANTS, s.HEARING, (a.DEFER,), "runtime"),
        Row(s.HEARING, g.WANTS, s.OVERLAPPED, (a.GRANT,), "model"),
        # The person paused: a breath, or the end?
        Row(s.SPECULATING, g.ONSET, s.HEARING, (a.RETRACT,)),
        Row(s.SPECULATING, g.ENDPOINT, s.REPLYING, (*end, a.TAKE_FLOOR), "creates"),
        Row(s.SPECULATING, g.ENDPOINT, s.IDLE, (a.RETRACT, *end), "creates not"),
        Row(s.SPECULATING, g.CREATE, s.OVERLAPPED, (a.RETRACT, a.BEGIN_REPLY)),
        Row(s.SPECULATING, g.COMMIT, s.IDLE, (a.RETRACT, *end)),
        Row(s.SPECULATING, g.CLEAR, s.IDLE, (a.RETRACT, a.DROP_TURN)),
        Row(s.SPECULATING, g.WANTS, s.SPECULATING, (a.DEFER,), "runtime"),
        Row(s.SPECULATING, g.WANTS, s.OVERLAPPED, (a.GRANT,), "model"),
        # The reply has the floor.
        Row(s.REPLYING, g.ONSET, s.CONTESTED, (a.OPEN_TURN, a.PAUSE_OUTPUT), "interrupts"),
        Row(s.REPLYING, g.ONSET, s.OVERLAPPED, hear, "interrupts not"),
        Row(s.REPLYING, g.ONSET, s.OVERLAPPED, (a.OPEN_TURN,), "model"),
        Row(s.REPLYING, g.SPOKEN, s.IDLE, (a.FINISH,)),
        Row(s.REPLYING, g.DECLINED, s.IDLE, (a.LEAVE_ALONE,)),
        Row(s.REPLYING, g.FAILED, s.IDLE, (a.FAIL,)),
        Row(s.REPLYING, g.CANCEL, s.IDLE, (a.STOP_REPLY,)),
        Row(s.REPLYING, g.CREATE, s.REPLYING, (a.REPLACE_REPLY,)),
        Row(s.REPLYING, g.COMMIT, s.REPLYING, (a.COMMIT_TURN,)),
        Row(s.REPLYING, g.CLEAR, s.REPLYING, (a.DROP_TURN,)),
        Row(s.REPLYING, g.WANTS, s.REPLYING, (a.DEFER,)),
        # Somebody is heard over it. First stage: fall silent. Second stage: find out why.
        Row(s.CONTESTED, g.PAUSE, s.CONTESTED, (a.JUDGE,)),
        Row(s.CONTESTED, g.WORDS, s.HEARING, (a.ANNOUNCE_START, a.INTERRUPT)),
        Row(s.CONTESTED, g.NO_WORDS, s.REPLYING, (a.DROP_TURN, a.RESUME_OUTPUT)),
        Row(s.CONTESTED, g.SPOKEN, s.HEARING, (a.FINISH, a.ANNOUNCE_START)),
        Row(s.CONTESTED, g.DECLINED, s.HEARING, (a.LEAVE_ALONE, a.ANNOUNCE_START)),
        Row(s.CONTESTED, g.FAILED, s.HEARING, (a.FAIL, a.ANNOUNCE_START)),
        Row(s.CONTESTED, g.CANCEL, s.HEARING, (a.ANNOUNCE_START, a.STOP_REPLY)),
        Row(s.CONTESTED, g.CREATE, s.CONTESTED, (a.REPLACE_REPLY,)),
        Row(s.CONTESTED, g.COMMIT, s.REPLYING, (a.ANNOUNCE_START, *end, a.RESUME_OUTPUT)),
        Row(s.CONTESTED, g.CLEAR, s.REPLYING, (a.DROP_TURN, a.RESUME_OUTPUT)),
        Row(s.CONTESTED, g.WANTS, s.CONTESTED, (a.DEFER,)),
        # Both speak and both go on. (With a model whose word counts the person's speech is announced when it falls
        # silent: that it was interrupted is for it to say.)
        Row(s.OVERLAPPED, g.ENDPOINT, s.REPLYING, (*end, a.QUEUE_REPLY), "creates"),
        Row(s.OVERLAPPED, g.ENDPOINT, s.REPLYING, end, "creates not"),
        Row(s.OVERLAPPED, g.SPOKEN, s.HEARING, (a.FINISH, a.ANNOUNCE_START)),
        Row(s.OVERLAPPED, g.DECLINED, s.HEARING, (a.LEAVE_ALONE, a.ANNOUNCE_START)),
        Row(s.OVERLAPPED, g.FAILED, s.HEARING, (a.FAIL, a.ANNOUNCE_START)),
        Row(s.OVERLAPPED, g.CANCEL, s.HEARING, (a.STOP_REPLY, a.ANNOUNCE_START)),
        Row(s.OVERLAPPED, g.CREATE, s.OVERLAPPED, (a.REPLACE_REPLY,)),
        Row(s.OVERLAPPED, g.COMMIT, s.REPLYING, end),
        Row(s.OVERLAPPED, g.CLEAR, s.REPLYING, (a.DROP_TURN,)),
        Row(s.OVERLAPPED, g.WANTS, s.OVERLAPPED, (a.DEFER,)),
    )


TABLE: tuple[Row, ...] = _table()

IGNORED: Mapping[State, frozenset[Signal]] = MappingProxyType(
    {
        State.IDLE: frozenset(
            {Signal.PAUSE, Signal.ENDPOINT, Signal.WORDS, Signal.NO_WORDS}
            | {Signal.SPOKEN, Signal.DECLINED, Signal.FAILED, Signal.CANCEL}
        ),
        State.HEARING: frozenset(
            {Signal.ONSET, Signal.ENDPOINT, Signal.WORDS, Signal.NO_WORDS, Signal.IDLE_TIMEOUT}
            | {Signal.SPOKEN, Signal.DECLINED, Signal.FAILED, Signal.CANCEL}
        ),
        State.SPECULATING: frozenset(
            {Signal.PAUSE, Signal.WORDS, Signal.NO_WORDS, Signal.IDLE_TIMEOUT}
            | {Signal.SPOKEN, Signal.DECLINED, Signal.FAILED, Signal.CANCEL}
        ),
        State.REPLYING: frozenset(
            {Signal.PAUSE, Signal.ENDPOINT, Signal.WORDS, Signal.NO_WORDS, Signal.IDLE_TIMEOUT}
        ),
        State.CONTESTED: frozenset({Signal.ONSET, Signal.ENDPOINT, Signal.IDLE_TIMEOUT}),
        State.OVERLAPPED: frozenset(
            {Signal.ONSET, Signal.PAUSE, Signal.WORDS, Signal.NO_WORDS, Signal.IDLE_TIMEOUT}
        ),
    }
)
"""Pairs that change nothing, listed so that a missing row cannot hide."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a signal led to."""

    then: State
    actions: tuple[Action, ...]


_INDEX: Mapping[tuple[State, Signal], tuple[Row, ...]] = MappingProxyType(
    {
        (state, signal): tuple(row for row in TABLE if row.state is state and row.signal is signal)
        for state in State
        for signal in Signal
    }
)


def step(state: State, signal: Signal, policy: Policy) -> Step:
    """The state that follows, and what to do. Total: a pair without a row changes nothing."""
    for row in _INDEX[state, signal]:
        if CONDITIONS[row.when](policy):
            return Step(row.then, row.actions)
    return Step(state, ())
