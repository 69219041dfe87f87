"""One conversation: its floor, its turns and replies, between a client's protocol and a backend.

A session does no I/O. A driver feeds it what a socket received (:meth:`Session.receive`), calls :meth:`Session.poll`
when time has passed, and sends what :meth:`Session.outgoing` returns. Backend events come in by callback. All of it
happens on one thread, the event loop's.

    client's audio  ─→ Listening: voice, turns ─────┐           ┌─→ Listening: open, commit, drop …
    backend's events ─→ hypotheses, deltas, wishes ─┼→ signals ─┤   (floor's table: actions)
    time            ─→ endpoint, verdict, idle ─────┤           └─→ Speaking: speculate, pause, cut …
    client's wishes ─→ create, cancel, commit ──────┘

Everything that happens becomes a *signal*; the floor's table says what follows, and the methods named after its actions
do it. Nothing else starts or stops a turn or a reply.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal

from duologue.audio import milliseconds, samples, seconds
from duologue.backends.contract import (
    Answers,
    Backend,
    Call,
    Close,
    Configure,
    Delta,
    End,
    Event,
    Failed,
    Hypothesis,
    Notice,
    Wants,
    Withdrawn,
)
from duologue.floor import Policy, Signal, State
from duologue.protocol.piecemeal import Piecemeal, at_once
from duologue.protocol.realtime import RealtimeConnection
from duologue.protocol.requests import (
    AudioAppended,
    CancelAsked,
    ClearAsked,
    CommitAsked,
    ItemAdded,
    ItemDeleted,
    Request,
    ResponseAsked,
    SettingsChanged,
    Truncated,
)
from duologue.session.floor import Floor
from duologue.session.hearing import STEP
from duologue.session.listening import Listening
from duologue.session.observer import Observer, Unobserved
from duologue.session.options import SessionOptions
from duologue.session.speaking import Speaking

FULL = samples(60.0)
"""Samples that wait to be heard, beyond which a driver should read no more: what a client sends faster than it is
heard must not fill the memory."""

OWED = samples(5.0)
"""Samples that the ear has still to find words in, beyond which what waits is heard no faster than at :data:`PACE`:
each turn that an ear is given keeps memory there, and minutes sent at once may be dozens of turns."""

POURED = samples(30.0)
"""Samples that wait to be heard, beyond which nobody asks in one piece: a recorded question is heard without delay."""

PACE = 2.0
"""Seconds of sound in a second: whoever sends what is being spoken is always heard at once."""


class Session:
    """One conversation. ``clock`` gives seconds that only grow; ``wake`` is called when :meth:`poll` has new work."""

    def __init__(
        self,
        backend: Backend,
        *,
        clock: Callable[[], float] = time.monotonic,
        options: SessionOptions | None = None,
        initial: Mapping[str, Any] | None = None,
        wake: Callable[[], None] = lambda: None,
        observer: Observer | None = None,
        steps: int | None = None,
    ) -> None:
        """``steps``: how much a poll hears at most, in steps of 40 ms: a file sent in one go holds nobody up, nor does
        it get far ahead of the ear."""
        self._now = clock
        self._steps = steps
        self._hears_on = clock()
        """When the next step may be heard where the ear is behind."""
        self._rests = clock()
        """Until when nothing is heard, for others' sake."""
        self._inbox: deque[tuple[int, Request]] = deque()
        """What was asked, each to be done once the heard timeline has come to where it was asked."""
        self._wake = wake
        self._closed = False
        self._word: Literal["runtime", "model"] = "model" if backend.card.gait == "frame" else "runtime"
        self.lost: str | None = None
        """Why the session cannot go on, once it cannot. The driver then sends what is outgoing, and hangs up."""
        observer = observer or Unobserved()
        self._options = options or SessionOptions()
        self._connection = RealtimeConnection(model=backend.card.name, voices=backend.card.voices, initial=initial)
        self._link = backend.open(self._on_event)
        self._floor = Floor(self._policy, self._floor_changed)
        self._listening = Listening(
            self._connection, self._link, self._floor, observer, clock(), continuous=self._word == "model"
        )
        self._speaking = Speaking(
            self._connection,
            self._link,
            self._floor,
            self._listening,
            observer,
            self._options,
            clock,
            hears=backend.card.hears,
        )
        self._connection.open()
        self._configure()

    # -- the driver's side ---------------------------------------------------------------------------

    def receive(self, frame: str | bytes) -> None:
        """One message from the client. Bad input leads to an ``error`` event, never to an exception."""
        at_once(self.receiving(frame))

    def receiving(self, frame: str | bytes) -> Piecemeal[None]:
        """:meth:`receive` in pieces: between them anything may happen but the client's next message."""
        for request in (yield from self._connection.receiving(frame)):
            if isinstance(request, AudioAppended):
                # What it means is found out at the next poll: together with what other sessions heard meanwhile.
                self._listening.hear(request.wave, self._now())
            else:
                self._inbox.append((self._listening.heard.arrived, request))
        if not self._listening.behind:
            self._settle()

    def poll(self) -> float | None:
        """Do what is due; returns the clock time of the next deadline (``None``: nothing is scheduled)."""
        began = self._now()
        heard = self._settle()
        if self._listening.behind:
            if heard:
                now = self._now()
                self._rests = now + self._rest * (now - began)
            return max(self._rests, self._hears_on) if self._ear_behind else self._rests
        deadlines = (self._listening.deadline(), self._speaking.deadline())
        return min((due for due in deadlines if due is not None), default=None)

    @property
    def _rest(self) -> float:
        """How long one who is behind leaves the thread to the others, for each second that it had it.

        Who is a little behind has half of it, to have caught up before anybody notices. Who sent minutes at once has a
        small part: a server with a full house has no more to spare, and two such would have two thirds.
        """
        return 15.0 if self._listening.waiting > POURED else 1.0

    def outgoing(self) -> list[dict[str, Any]]:
        """Events for the client, in order; each is returned once."""
        return self._connection.outgoing()

    @property
    def settled(self) -> bool:
        """Whether the backend has nothing left to do (drivers faster than real time wait for this)."""
        return not self._link.busy

    @property
    def full(self) -> bool:
        """Whether so much was received that is not heard yet that more had better wait."""
        return not self._closed and self._listening.waiting > FULL

    @property
    def busy(self) -> bool:
        """Whether a reply is being made or spoken."""
        replying = {State.REPLYING, State.CONTESTED, State.OVERLAPPED}
        return self._floor.state in replying or self._speaking.aside

    def drain(self) -> None:
        """Begin no new replies; the running one ends as it would."""
        self._speaking.draining = True
        if not self._closed:
            self._configure()

    def close(self) -> None:
        """The client is gone. Everything is freed; late backend events are dropped."""
        if not self._closed:
            self._closed = True
            self._link.send(Close())

    # -- the floor --------------------------------------------------------------------------------------

    def _policy(self) -> Policy:
        detection = self._connection.settings.turn_detection
        if detection is None:
            return Policy(creates=False, interrupts=False, word=self._word)
        return Policy(
            creates=detection.create_response and not self._speaking.draining,
            interrupts=detection.interrupt_response,
            word=self._word,
        )

    def _floor_changed(self, state: State) -> None:
        position = milliseconds(self._listening.heard.position)
        self._connection.extension("floor", state=state.value, audio_ms=position)

    def _settle(self) -> bool:
        """Hear what arrived, do what was asked in between, and what time brings; whether anything was heard.

        Whoever rests does so whatever wakes it: a model that answers minutes of sound wakes it all the time.
        """
        heard = 0
        while not self._closed:
            while self._inbox and self._inbox[0][0] <= self._listening.heard.position:
                self._on_request(self._inbox.popleft()[1])
            if not self._listening.behind or heard == self._steps or self._now() < self._rests:
                break
            if self._ear_behind and self._now() < self._hears_on:
                break
            self._listening.step()
            heard += 1
            if self._steps is not None:
                self._hears_on = self._now() + seconds(STEP) / PACE
        now = self._now()
        self._listening.settle(now)
        self._speaking.settle(now)
        return heard > 0

    @property
    def _ear_behind(self) -> bool:
        return self._steps is not None and self._listening.owed > OWED

    # -- what comes in ------------------------------------------------------------------------------------

    def _on_request(self, request: Request) -> None:
        match request:
            case ResponseAsked():
                self._speaking.create(request)
            case CancelAsked():
                self._speaking.cancel(request)
            case Truncated():
                self._speaking.truncate(request)
            case CommitAsked():
                self._listening.commit(request)
            case ClearAsked():
                self._floor.signal(Signal.CLEAR)
                self._connection.input_cleared()
            case SettingsChanged():
                self._listening.change_settings(request)
                self._configure()
            case ItemAdded():
                item = self._connection.conversation.get(request.item_id)
                if item is not None and item.role == "assistant":
                    self._speaking.replayed()
            case ItemDeleted():
                pass  # it is gone from the conversation, which the next reply reads

    def _configure(self) -> None:
        settings = self._connection.settings
        self._link.send(
            Configure(
                settings.instructions,
                settings.voice,
                settings.speed,
                strictness=settings.strictness or self._options.strictness,
                history=self._options.history if settings.history is None else settings.history,
                initiative=self._policy().creates,
            )
        )

    def _on_event(self, event: Event) -> None:
        if self._closed:
            return
        match event:
            case Hypothesis():
                self._listening.take(event)
                self._speaking.check_words()
            case Wants() | Withdrawn():
                self._speaking.wish(event)
            case Notice():
                self._connection.extension("notice", message=event.message)
            case Failed(epoch=None, turn=None):
                self._lose(event.message)
            case Failed(epoch=None, turn=int(turn)):
                self._listening.lose(turn, event.message)
            case Answers() | Delta() | Call() | End() | Failed():
                self._speaking.take(event)
        if not self._listening.behind:
            self._settle()
        self._wake()

    def _lose(self, message: str) -> None:
        """The backend lost the session: the client is told, and nothing else can happen."""
        self.lost = message
        self._connection.refuse("session_lost", message, type="server_error")
        self.close()
        self._wake()
