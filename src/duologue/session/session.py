"""One conversation: its clocks, its floor, its turns and replies, between a client's protocol and a backend.

A session does no I/O. A driver feeds it what a socket received (:meth:`Session.receive`), calls :meth:`Session.poll`
when time has passed, and sends what :meth:`Session.outgoing` returns. Backend events come in by callback. All of it
happens on one thread, the event loop's.

    client's events ─→ RealtimeConnection ─→ requests ┐                       ┌→ commands ─→ backend
    client's audio  ─→ VoiceActivity ─→ onset, pause ─┼→ signals → floor → actions
    backend's events ─→ hypotheses, deltas, wishes ───┤                       └→ connection ─→ client
    time             ─→ endpoint, idle, verdict ──────┘

Everything that happens becomes a *signal*; the floor's table says what follows; the methods named after its actions
do it. Nothing else starts or stops a turn or a reply.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from duologue.audio import Wave, milliseconds, samples
from duologue.backends.contract import (
    Answers,
    Backend,
    Call,
    Cancel,
    Close,
    Commit,
    Configure,
    Delta,
    DropTurn,
    End,
    EndTurn,
    Epoch,
    Event,
    Failed,
    Hear,
    Hypothesis,
    Respond,
    Turn,
    Wants,
    Withdrawn,
)
from duologue.ears.voice import Onset, Pause, VoiceActivity
from duologue.floor import Action, Policy, Signal, State, step
from duologue.protocol.realtime import (
    AudioAppended,
    CancelAsked,
    ClearAsked,
    CommitAsked,
    RealtimeConnection,
    Request,
    ResponseAsked,
    SettingsChanged,
    Truncated,
)
from duologue.protocol.response import ResponseParams
from duologue.protocol.settings import ServerVad
from duologue.session.clock import STALL, HeardClock
from duologue.session.endpointing import Patience, patience
from duologue.session.observer import Observer, Unobserved
from duologue.session.options import SessionOptions
from duologue.session.playout import Playout
from duologue.session.reply import Reply
from duologue.session.turn import VERDICT, PersonTurn, Recent

STEP = samples(0.04)
"""Audio that arrives in larger pieces is heard in steps of this many samples, so that time passes within it."""

SHORTEST_COMMIT = samples(0.1)
"""The protocol refuses to commit less than 100 ms."""

PREFIX_MS = 300
"""Padding before an onset where the client's turn detection names none."""

GAP = 0.6
"""Seconds of quiet before the backend may speak first."""


class Session:
    """One conversation. See the module's docstring for how it is driven."""

    def __init__(
        self,
        backend: Backend,
        *,
        clock: Callable[[], float] = time.monotonic,
        options: SessionOptions | None = None,
        initial: Mapping[str, Any] | None = None,
        wake: Callable[[], None] = lambda: None,
        observer: Observer | None = None,
    ) -> None:
        self._now = clock
        self._options = options or SessionOptions()
        self._wake = wake
        self._observer: Observer = observer or Unobserved()
        self._connection = RealtimeConnection(
            model=backend.card.name, voices=backend.card.voices, initial=initial
        )
        self._link = backend.open(self._on_event)
        self._closed = False
        self._draining = False

        now = clock()
        self._heard = HeardClock(now)
        self._recent = Recent()
        self._voice = VoiceActivity()
        self._voice_zero = 0
        """Where on the heard timeline the voice detector's own count begins."""

        self._state = State.IDLE
        self._signals: deque[Signal] = deque()
        self._stepping = False
        self._turns = count(1)
        self._epochs = count(1)
        self._turn: PersonTurn | None = None
        """The open turn."""
        self._ended: dict[Turn, PersonTurn] = {}
        """Turns that await their final transcript."""
        self._unanswered: PersonTurn | None = None
        """The latest committed turn that nobody has answered."""
        self._reply: Reply | None = None
        """The reply that is held or has the floor."""
        self._aside: dict[Epoch, Reply] = {}
        """Out-of-band replies; the floor does not know them."""
        self._spoken: dict[str, Epoch] = {}
        """Which epoch said an item (a client may truncate it later)."""
        self._queued = False
        self._asked: ResponseParams | None = None
        self._wishes: dict[str, str] = {}
        self._verdict_by: float | None = None
        self._exchange: float | None = None
        """When the floor was last held by either in an exchange."""
        self._idle_from: float | None = None

        self._connection.open()
        self._configure()

    # -- the driver's side ---------------------------------------------------------------------------

    def receive(self, frame: str | bytes) -> None:
        """One message from the client. Bad input leads to an ``error`` event, never to an exception."""
        for request in self._connection.receive(frame):
            self._on_request(request)
        self._advance()

    def poll(self) -> float | None:
        """Do what is due; returns the clock time of the next deadline (``None``: nothing is scheduled)."""
        self._advance()
        return self._deadline()

    def outgoing(self) -> list[dict[str, Any]]:
        """Events for the client, in order; each is returned once."""
        return self._connection.outgoing()

    @property
    def settled(self) -> bool:
        """Whether the backend has nothing left to do (drivers faster than real time wait for this)."""
        return not self._link.busy

    @property
    def busy(self) -> bool:
        """Whether a reply is being made or spoken."""
        return self._state in {State.REPLYING, State.CONTESTED, State.OVERLAPPED} or bool(self._aside)

    def drain(self) -> None:
        """Begin no new replies; the running one ends as it would."""
        self._draining = True

    def close(self) -> None:
        """The client is gone. Everything is freed; late backend events are dropped."""
        if not self._closed:
            self._closed = True
            self._link.send(Close())

    # -- signals and the floor ------------------------------------------------------------------------

    @property
    def _policy(self) -> Policy:
        detection = self._connection.settings.turn_detection
        if detection is None:
            return Policy(creates=False, interrupts=False)
        return Policy(
            creates=detection.create_response and not self._draining,
            interrupts=detection.interrupt_response,
        )

    def _signal(self, signal: Signal) -> None:
        """Something happened. Signals raised by actions wait until the running step is done."""
        self._signals.append(signal)
        if self._stepping:
            return
        self._stepping = True
        try:
            while self._signals:
                self._step(self._signals.popleft())
        finally:
            self._stepping = False

    def _step(self, signal: Signal) -> None:
        result = step(self._state, signal, self._policy)
        changed = result.then is not self._state
        self._state = result.then
        for action in result.actions:
            self._ACTIONS[action](self)
        if changed:
            self._connection.extension(
                "floor", state=self._state.value, audio_ms=milliseconds(self._heard.position)
            )

    # -- actions: the person's turn -------------------------------------------------------------------

    def _open_turn(self) -> None:
        detection = self._connection.settings.turn_detection
        prefix = detection.prefix_padding_ms if isinstance(detection, ServerVad) else PREFIX_MS
        onset = self._onset
        start, _ = self._recent.since(max(0, onset - samples(prefix / 1000), self._turn_floor))
        self._turn = PersonTurn(next(self._turns), start, onset, fed=start, last_voice=onset)
        self._idle_from = None
        self._verdict_by = None
        self._feed()

    def _announce_start(self) -> None:
        assert self._turn is not None
        self._turn.item_id = self._connection.speech_started(milliseconds(self._turn.start))

    def _announce_stop(self) -> None:
        assert self._turn is not None
        self._connection.speech_stopped(self._turn.item_id, milliseconds(self._turn.last_voice))

    def _commit_turn(self) -> None:
        turn = self._turn
        assert turn is not None
        turn.item_id = self._connection.commit_turn(turn.item_id or None, turn.pcm)
        self._turn, self._turn_floor = None, self._heard.position
        self._unanswered = turn
        if turn.failure:
            self._connection.transcript_failed(turn.item_id, turn.failure)
        elif turn.heard:
            self._ended[turn.id] = turn
            self._link.send(EndTurn(turn.id))
        else:
            self._connection.transcript_completed(turn.item_id, "", 0.0)
        self._observer.turn_heard()

    def _drop_turn(self) -> None:
        if self._turn is not None and self._turn.heard:
            self._link.send(DropTurn(self._turn.id))
        self._turn, self._turn_floor = None, self._heard.position

    # -- actions: replies ------------------------------------------------------------------------------

    def _speculate(self) -> None:
        self._reply = self._respond(turn=self._turn, tentative=True)

    def _retract(self) -> None:
        if self._reply is not None:
            self._link.send(Cancel(self._reply.epoch))
            self._reply = None

    def _take_floor(self) -> None:
        if self._reply is None:
            self._reply = self._respond(turn=self._unanswered)
        else:
            self._link.send(Commit(self._reply.epoch))
        self._reply.playout.release()
        self._unanswered = None

    def _begin_reply(self) -> None:
        params, self._asked = self._asked, None
        self._reply = self._respond(turn=self._unanswered, params=params)
        self._reply.playout.release()
        self._unanswered = None
        if params is not None:
            self._reply.announce(self._connection)

    def _replace_reply(self) -> None:
        reply = self._reply
        assert reply is not None and reply.writer is None, "the protocol refuses a second announced response"
        self._link.send(Cancel(reply.epoch))
        self._unanswered = reply.turn
        self._begin_reply()
        self._reply.playout.paused = reply.playout.paused

    def _grant(self) -> None:
        self._reply = self._respond(token=next(iter(self._wishes)))
        self._reply.playout.release()

    def _nudge(self) -> None:
        now = self._now()
        start = self._idle_from if self._idle_from is not None else now
        position = self._heard.position
        silence = samples(max(0.0, now - start))
        self._connection.timeout_triggered(milliseconds(max(0, position - silence)), milliseconds(position))
        self._reply = self._respond(idle=True)
        self._reply.playout.release()
        self._idle_from = None

    def _defer(self) -> None:
        """It stays among the wishes; :meth:`_grant_wish` asks again in a gap."""

    def _queue_reply(self) -> None:
        self._queued = True

    def _pause_output(self) -> None:
        self._set_paused(True)

    def _resume_output(self) -> None:
        self._set_paused(False)

    def _set_paused(self, paused: bool) -> None:
        reply = self._reply
        assert reply is not None
        reply.playout.paused = paused
        if reply.writer is not None:
            self._connection.extension("pause", response_id=reply.writer.id, paused=paused)

    def _judge(self) -> None:
        self._verdict_by = self._now() + VERDICT

    def _interrupt(self) -> None:
        self._observer.barge_in()
        self._cut("turn_detected")

    def _stop_reply(self) -> None:
        self._cut("client_cancelled")

    def _cut(self, reason: str) -> None:
        """End the reply here and now; history keeps what was heard of it."""
        reply = self._close_reply()
        heard, chars = reply.playout.heard(self._now())
        self._link.send(Cancel(reply.epoch, heard_chars=chars))
        if reply.writer is not None:
            reply.writer.finish("cancelled", reason=reason, heard_chars=chars, heard_samples=heard)
            self._observer.reply_ended("cancelled")

    def _finish(self) -> None:
        reply = self._close_reply()
        assert reply.end is not None
        writer = reply.announce(self._connection)
        if reply.end.reason == "length":
            writer.finish("incomplete", reason="max_output_tokens", usage=reply.end.usage)
            self._observer.reply_ended("incomplete")
        else:
            writer.finish("completed", usage=reply.end.usage)
            self._observer.reply_ended("completed")
        self._idle_from = self._exchange

    def _leave_alone(self) -> None:
        reply = self._close_reply(exchange=False)
        item_id = reply.turn.item_id if reply.turn else ""
        self._connection.extension("ignored", item_id=item_id, text=reply.answers or "")
        self._observer.turn_left_alone()

    def _fail(self) -> None:
        reply = self._close_reply()
        reply.announce(self._connection).finish("failed", message=reply.failure)
        self._observer.reply_ended("failed")

    def _close_reply(self, *, exchange: bool = True) -> Reply:
        """The reply leaves the floor; its wish, if it granted one, is fulfilled."""
        reply = self._reply
        assert reply is not None
        self._reply = None
        if reply.token is not None:
            self._wishes.pop(reply.token, None)
        if exchange:
            self._exchange = reply.playout.played_out(self._now())
        return reply

    _ACTIONS: Mapping[Action, Callable[[Session], None]] = {
        Action.OPEN_TURN: _open_turn,
        Action.ANNOUNCE_START: _announce_start,
        Action.ANNOUNCE_STOP: _announce_stop,
        Action.COMMIT_TURN: _commit_turn,
        Action.DROP_TURN: _drop_turn,
        Action.SPECULATE: _speculate,
        Action.RETRACT: _retract,
        Action.TAKE_FLOOR: _take_floor,
        Action.BEGIN_REPLY: _begin_reply,
        Action.REPLACE_REPLY: _replace_reply,
        Action.GRANT: _grant,
        Action.NUDGE: _nudge,
        Action.DEFER: _defer,
        Action.QUEUE_REPLY: _queue_reply,
        Action.PAUSE_OUTPUT: _pause_output,
        Action.RESUME_OUTPUT: _resume_output,
        Action.JUDGE: _judge,
        Action.INTERRUPT: _interrupt,
        Action.STOP_REPLY: _stop_reply,
        Action.FINISH: _finish,
        Action.LEAVE_ALONE: _leave_alone,
        Action.FAIL: _fail,
    }

    def _respond(
        self,
        *,
        turn: PersonTurn | None = None,
        params: ResponseParams | None = None,
        token: str | None = None,
        tentative: bool = False,
        idle: bool = False,
    ) -> Reply:
        """Ask the backend for a reply."""
        settings = self._connection.settings
        wanted = params or ResponseParams.of(settings)
        if turn is not None and (not turn.heard or turn.failure or wanted.input is not None):
            turn = None
        lead_ms = settings.lead_ms(self._options.lead_ms)
        lead = None if lead_ms is None else samples(lead_ms / 1000)
        ask = wanted.ask()
        reply = Reply(
            next(self._epochs), Playout(lead), turn=turn, params=params, token=token, speech=ask.speech
        )
        self._link.send(
            Respond(
                reply.epoch,
                ask,
                self._connection.conversation.history(turn.item_id if turn else None, params=wanted),
                turn=turn.id if turn else None,
                token=token,
                tentative=tentative,
                obliged=params is not None or idle,
                idle=idle,
                since_exchange=self._since_exchange(turn),
            )
        )
        return reply

    def _since_exchange(self, turn: PersonTurn | None) -> float | None:
        """Seconds between the last exchange and the turn's onset (or now)."""
        if self._exchange is None:
            return None
        until = self._now() if turn is None else self._heard.wall(turn.onset)
        return max(0.0, until - self._exchange)

    # -- what the client asks for -------------------------------------------------------------------

    def _on_request(self, request: Request) -> None:
        match request:
            case AudioAppended():
                self._hear(request.wave)
            case ResponseAsked():
                self._on_response_asked(request)
            case CancelAsked():
                self._on_cancel(request)
            case Truncated():
                self._on_truncated(request)
            case CommitAsked():
                self._on_commit(request)
            case ClearAsked():
                self._signal(Signal.CLEAR)
                self._connection.input_cleared()
            case SettingsChanged():
                self._on_settings(request)
            case _:
                """Items come and go in the conversation, which the next reply reads."""

    def _on_response_asked(self, request: ResponseAsked) -> None:
        if self._draining:
            self._connection.refuse(
                "server_draining",
                "The server is shutting down and begins no new responses; connect again.",
                event_id=request.event_id,
                type="server_error",
            )
        elif request.params.out_of_band:
            reply = self._respond(params=request.params)
            reply.playout.lead = None
            reply.playout.release()
            reply.announce(self._connection)
            self._aside[reply.epoch] = reply
        else:
            self._asked = request.params
            self._signal(Signal.CREATE)

    def _on_cancel(self, request: CancelAsked) -> None:
        for reply in self._aside.values():
            if reply.writer is request.writer:
                self._link.send(Cancel(reply.epoch))
                reply.writer.finish("cancelled", reason="client_cancelled")
                del self._aside[reply.epoch]
                return
        self._signal(Signal.CANCEL)

    def _on_truncated(self, request: Truncated) -> None:
        """The client says how much was heard of a reply that is over (one that goes on is not cut by this)."""
        epoch = self._spoken.get(request.item_id)
        if epoch is not None and (self._reply is None or self._reply.epoch != epoch):
            self._link.send(Cancel(epoch, heard_chars=request.chars))

    def _on_commit(self, request: CommitAsked) -> None:
        turn = self._turn
        if turn is None or self._heard.position - turn.start < SHORTEST_COMMIT:
            self._connection.refuse(
                "input_audio_buffer_commit_empty",
                "The input audio buffer holds less than 100 ms of audio; append more before committing it.",
                event_id=request.event_id,
            )
        else:
            self._signal(Signal.COMMIT)

    def _on_settings(self, request: SettingsChanged) -> None:
        before, after = request.previous.turn_detection, request.current.turn_detection
        if before is not None and after is None and self._turn is not None:
            # From now on the client decides about turns; what is being said becomes one.
            self._signal(Signal.COMMIT)
        elif before is None and after is not None:
            self._drop_turn()
        if before != after:
            threshold = after.threshold if isinstance(after, ServerVad) else 0.5
            self._restart_voice(threshold)
        self._configure()

    def _configure(self) -> None:
        settings = self._connection.settings
        self._link.send(Configure(settings.instructions, settings.voice, settings.speed))

    # -- what is heard ---------------------------------------------------------------------------------

    _onset = 0
    _turn_floor = 0
    """Where the next turn may begin at the earliest: the end of the last."""

    @property
    def _manual(self) -> bool:
        """Push-to-talk: the client decides about turns."""
        return self._connection.settings.turn_detection is None

    @property
    def _speaking(self) -> bool:
        return self._voice.voiced

    def _hear(self, wave: Wave) -> None:
        self._observer.heard(len(wave))
        now = self._now()
        for start in range(0, len(wave), STEP):
            self._hear_step(wave[start : start + STEP], now)

    def _hear_step(self, wave: Wave, now: float) -> None:
        self._heard.hear(len(wave), now)
        self._recent.push(wave)
        if self._manual and self._turn is None:
            start = self._heard.position - len(wave)
            turn = PersonTurn(next(self._turns), start, start, fed=start, last_voice=start, heard=False)
            self._turn = turn
        events = self._voice.push(wave)
        if self._turn is not None and self._voice.voiced:
            self._turn.last_voice = max(self._turn.last_voice, self._voice_zero + self._voice.last_voice)
        for event in events:
            self._on_voice(event)
        self._feed(wave)
        self._settle(now)

    def _on_voice(self, event: Onset | Pause) -> None:
        at = self._voice_zero + event.at
        if isinstance(event, Onset):
            self._onset = at
            if not self._manual:
                self._signal(Signal.ONSET)
            elif self._turn is not None and not self._turn.heard:
                self._turn.heard = True
                self._turn.fed, _ = self._recent.since(max(self._turn.start, at - samples(PREFIX_MS / 1000)))
            return
        if self._turn is not None:
            self._turn.last_voice = max(self._turn.onset, at)
        if not self._manual:
            self._signal(Signal.PAUSE)

    def _feed(self, wave: Wave | None = None) -> None:
        """Give the open turn's new sound to the backend, and keep it for the client."""
        turn = self._turn
        if turn is None:
            return
        start, new = self._recent.since(turn.fed)
        if turn.heard and len(new):
            self._link.send(Hear(turn.id, start, new))
            turn.fed = self._heard.position
            turn.keep(new)
        elif wave is not None and not turn.heard:
            turn.keep(wave)

    def _restart_voice(self, threshold: float | None = None) -> None:
        self._voice = VoiceActivity() if threshold is None else VoiceActivity(threshold=threshold)
        self._voice_zero = self._heard.position

    # -- what the backend says -----------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        if self._closed:
            return
        match event:
            case Hypothesis():
                self._on_hypothesis(event)
            case Wants():
                self._wishes[event.token] = event.reason
            case Withdrawn():
                self._wishes.pop(event.token, None)
            case Failed(epoch=None, turn=turn) if turn is not None:
                self._on_turn_lost(turn, event.message)
            case Answers() | Delta() | Call() | End() | Failed():
                self._on_reply_event(event)
        self._advance()
        self._wake()

    def _on_hypothesis(self, event: Hypothesis) -> None:
        turn = self._turn
        if turn is not None and turn.id == event.turn:
            changed = turn.text != event.text
            turn.take(event)
            if changed:
                self._connection.extension("partial", item_id=turn.item_id, text=turn.text)
        elif event.final and event.turn in self._ended:
            turn = self._ended.pop(event.turn)
            turn.take(event)
            self._connection.transcript_completed(turn.item_id, event.text, len(turn.pcm) / 2 / samples(1.0))
        reply = self._reply
        if (
            self._state is State.SPECULATING
            and reply is not None
            and reply.answers is not None
            and turn is reply.turn
            and turn is not None
            and turn.text.split() != reply.answers.split()
        ):
            self._retract()
            self._speculate()

    def _on_turn_lost(self, id_: Turn, message: str) -> None:
        if self._turn is not None and self._turn.id == id_:
            self._turn.failure = message
        elif id_ in self._ended:
            self._connection.transcript_failed(self._ended.pop(id_).item_id, message)

    def _on_reply_event(self, event: Answers | Delta | Call | End | Failed) -> None:
        reply = self._reply
        if reply is not None and reply.epoch == event.epoch:
            reply.take(event)
        elif event.epoch in self._aside:
            assert event.epoch is not None
            self._aside[event.epoch].take(event)

    # -- time -------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Everything that time, or news, makes due."""
        now = self._now()
        self._settle(now)
        self._pump(now)
        self._pump_aside(now)

    def _settle(self, now: float) -> None:
        """Raise the signals that follow from where things stand."""
        if not self._manual:
            self._check_stall(now)
            self._check_turn(now)
        if self._state is State.IDLE:
            self._check_idle(now)

    def _check_stall(self, now: float) -> None:
        """A client that stopped sending in mid-voice is silent; the voice detector cannot know."""
        if self._speaking and now - self._heard.arrived >= STALL:
            self._restart_voice()

    def _check_turn(self, now: float) -> None:
        turn = self._turn
        if turn is None:
            return
        if self._state is State.HEARING and not self._speaking:
            self._signal(Signal.PAUSE)
        elif self._state is State.CONTESTED:
            self._check_overlap(turn, now)
        if self._state in {State.SPECULATING, State.OVERLAPPED} and not self._speaking and self._turn is turn:
            quiet = self._heard.quiet(turn.last_voice, now)
            if quiet >= self._patience.wait(turn.judged):
                self._signal(Signal.ENDPOINT)

    def _check_overlap(self, turn: PersonTurn, now: float) -> None:
        if turn.wants_floor():
            self._signal(Signal.WORDS)
        elif not self._speaking:
            if self._verdict_by is None:
                self._signal(Signal.PAUSE)
            elif turn.accounted >= turn.last_voice or turn.failure or now >= self._verdict_by:
                self._signal(Signal.NO_WORDS)

    def _check_idle(self, now: float) -> None:
        if self._queued:
            self._queued = False
            self._signal(Signal.CREATE)
        elif self._draining or not self._may_start:
            return
        elif self._wishes and now >= self._gap_from() + GAP:
            self._signal(Signal.WANTS)
        elif (due := self._idle_due()) is not None and now >= due:
            self._signal(Signal.IDLE_TIMEOUT)

    @property
    def _may_start(self) -> bool:
        """Whether the backend may speak first: not where the client creates every response itself."""
        detection = self._connection.settings.turn_detection
        return detection is None or detection.create_response

    def _gap_from(self) -> float:
        return self._exchange if self._exchange is not None else float("-inf")

    def _idle_due(self) -> float | None:
        detection = self._connection.settings.turn_detection
        if self._idle_from is None or not isinstance(detection, ServerVad) or detection.idle_timeout_ms is None:
            return None
        return self._idle_from + detection.idle_timeout_ms / 1000

    @property
    def _patience(self) -> Patience:
        detection = self._connection.settings.turn_detection
        assert detection is not None, "push-to-talk has no endpoints of its own"
        return patience(detection)

    def _pump(self, now: float) -> None:
        """Let the reply that has the floor leave, as far as it may."""
        reply = self._reply
        if reply is None or reply.playout.held:
            return
        if reply.failure is not None:
            self._signal(Signal.FAILED)
            return
        if reply.silent and not reply.asked and reply.writer is None:
            self._signal(Signal.DECLINED)
            return
        if not reply.speaks and not reply.silent:
            return
        writer = reply.announce(self._connection)
        was_silent = reply.first_audible_at is None
        self._observer.said(reply.pump(now))
        if writer.item_id and writer.item_id not in self._spoken:
            self._spoken[writer.item_id] = reply.epoch
        if was_silent and reply.first_audible_at is not None and reply.turn is not None:
            latency = reply.first_audible_at - self._heard.wall(reply.turn.last_voice)
            self._observer.first_response(latency)
            self._connection.extension("latency", response_id=writer.id, ms=round(latency * 1000))
        if reply.spoken:
            self._signal(Signal.SPOKEN)

    def _pump_aside(self, now: float) -> None:
        for epoch, reply in list(self._aside.items()):
            writer = reply.announce(self._connection)
            if reply.failure is not None:
                writer.finish("failed", message=reply.failure)
            else:
                self._observer.said(reply.pump(now))
                if not reply.spoken:
                    continue
                assert reply.end is not None
                writer.finish("completed", usage=reply.end.usage)
            del self._aside[epoch]

    def _deadline(self) -> float | None:
        """When :meth:`poll` has something to do if nothing else happens before."""
        times: list[float | None] = []
        if self._reply is not None:
            times.append(self._reply.playout.next_due())
        if self._turn is not None and not self._manual:
            if self._speaking:
                times.append(self._heard.arrived + STALL)
            elif self._state is State.CONTESTED:
                times.append(self._verdict_by)
            else:
                wait = self._patience.wait(self._turn.judged)
                times.append(self._heard.quiet_at(self._turn.last_voice, wait))
        if self._state is State.IDLE and self._may_start and not self._draining:
            if self._wishes:
                times.append(self._gap_from() + GAP)
            times.append(self._idle_due())
        known = [time_ for time_ in times if time_ is not None]
        return min(known) if known else None
