"""The backend's side of a session: replies are asked for, held, released, paced, cut short.

One reply at most is held or has the floor; out-of-band replies run aside, and the floor does not know them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from duologue.audio import milliseconds, samples
from duologue.backends.contract import (
    Answers,
    Call,
    Cancel,
    Commit,
    Delta,
    End,
    Epoch,
    Failed,
    Link,
    Respond,
    Wants,
    Withdrawn,
)
from duologue.floor import Action, Signal, State
from duologue.protocol.conversation import MAX_ITEMS
from duologue.protocol.items import Spoken
from duologue.protocol.params import ResponseParams
from duologue.protocol.realtime import RealtimeConnection
from duologue.protocol.requests import CancelAsked, ResponseAsked, Truncated
from duologue.protocol.settings import ServerVad
from duologue.session.floor import Floor
from duologue.session.listening import Listening
from duologue.session.observer import Observer
from duologue.session.options import SessionOptions
from duologue.session.playout import HOP, LIVE_HOP, Playout
from duologue.session.reply import Reply
from duologue.session.turn import PersonTurn

GAP = 0.6
"""Seconds of quiet before the backend may speak first."""

_REPLYING = (State.REPLYING, State.CONTESTED, State.OVERLAPPED)


class Speaking:
    """Replies, from the asking to the last paced sample."""

    def __init__(
        self,
        connection: RealtimeConnection,
        link: Link,
        floor: Floor,
        listening: Listening,
        observer: Observer,
        options: SessionOptions,
        clock: Callable[[], float],
        *,
        hears: bool = False,
    ) -> None:
        """``hears``: whether the backend goes by the sound of earlier turns."""
        self._connection = connection
        self._link = link
        self._floor = floor
        self._listening = listening
        self._observer = observer
        self._options = options
        self._now = clock
        self._hears = hears
        self._epochs = count(1)
        self._reply: Reply | None = None
        """The reply that is held or has the floor."""
        self._aside: dict[Epoch, Reply] = {}
        self._spoken: dict[str, Epoch] = {}
        """Which epoch said an item: a client may truncate it later."""
        self._asked: ResponseParams | None = None
        self._queued = False
        self._wishes: dict[str, str] = {}
        self._exchange: float | None = None
        """When a reply last ended for the listener."""
        self._replayed: float | None = None
        """When the client last put words of the assistant's into the conversation."""
        self._idle_from: float | None = None
        self.draining = False
        floor.carry_out(
            {
                Action.SPECULATE: self._speculate,
                Action.RETRACT: self._retract,
                Action.TAKE_FLOOR: self._take_floor,
                Action.BEGIN_REPLY: self._begin_reply,
                Action.REPLACE_REPLY: self._replace_reply,
                Action.GRANT: self._grant,
                Action.NUDGE: self._nudge,
                Action.DEFER: self._defer,
                Action.QUEUE_REPLY: self._queue_reply,
                Action.PAUSE_OUTPUT: lambda: self._set_paused(True),
                Action.RESUME_OUTPUT: lambda: self._set_paused(False),
                Action.INTERRUPT: self._interrupt,
                Action.STOP_REPLY: self._stop_reply,
                Action.FINISH: self._finish,
                Action.LEAVE_ALONE: self._leave_alone,
                Action.FAIL: self._fail,
            }
        )

    @property
    def aside(self) -> bool:
        """Whether an out-of-band reply is being made."""
        return bool(self._aside)

    def replayed(self) -> None:
        """The client told of an earlier reply, as one does that comes back after its line broke: the talk goes on."""
        self._replayed = self._now()

    # -- what the floor wants done: beginnings -----------------------------------------------------------

    def _speculate(self) -> None:
        wanted = self._connection.settings.speculate
        if not (self._options.speculate if wanted is None else wanted):
            return  # it is begun when it takes the floor
        self._reply = self._respond(turn=self._listening.turn, tentative=True)

    def _retract(self) -> None:
        if self._reply is not None:
            self._link.send(Cancel(self._reply.epoch))
            self._reply = None

    def _take_floor(self) -> None:
        if self._reply is None:
            self._reply = self._respond(turn=self._listening.unanswered)
        else:
            self._link.send(Commit(self._reply.epoch))
        self._release(self._reply)

    def _begin_reply(self) -> None:
        params, self._asked = self._asked, None
        self._reply = reply = self._respond(turn=self._listening.unanswered, params=params)
        if params is not None:
            reply.announce(self._connection)
        self._release(reply)

    def _release(self, reply: Reply) -> None:
        """The reply has the floor."""
        reply.playout.release()
        self._listening.unanswered = None
        self._idle_from = None

    def _replace_reply(self) -> None:
        before = self._reply
        assert before is not None and before.writer is None, "the protocol refuses a second announced response"
        self._link.send(Cancel(before.epoch))
        self._listening.unanswered = before.turn
        self._begin_reply()
        assert self._reply is not None
        self._reply.playout.paused = before.playout.paused

    def _grant(self) -> None:
        self._reply = self._respond(token=next(iter(self._wishes)))
        if self._floor.word == "model":
            self._reply.turn = self._listening.unanswered  # nobody was asked to answer it, and yet it is one
        self._release(self._reply)

    def _nudge(self) -> None:
        now = self._now()
        position = self._listening.heard.position
        silence = 0 if self._idle_from is None else samples(max(0.0, now - self._idle_from))
        self._connection.timeout_triggered(milliseconds(max(0, position - silence)), milliseconds(position))
        self._reply = self._respond(idle=True)
        self._release(self._reply)

    def _defer(self) -> None:
        """It stays among the wishes; :meth:`settle` asks again in a gap."""

    def _queue_reply(self) -> None:
        self._queued = True

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
        if turn is not None and not self._answerable(turn, wanted):
            turn = None
        ask = wanted.ask()
        live = self._floor.word == "model"
        reply = Reply(
            next(self._epochs),
            self._playout(wanted, LIVE_HOP if live else HOP),
            turn=turn,
            params=params,
            token=token,
            speech=ask.speech,
            live=live,
        )
        spoken = Spoken(self._listening.turns, self._spoken) if self._hears else None
        history = self._connection.conversation.history(turn.item_id if turn else None, params=wanted, spoken=spoken)
        self._link.send(
            Respond(
                reply.epoch,
                ask,
                history,
                turn=turn.id if turn else None,
                token=token,
                tentative=tentative,
                obliged=params is not None or idle,
                idle=idle,
                since_exchange=self._since_exchange(turn),
            )
        )
        return reply

    def _answerable(self, turn: PersonTurn, wanted: ResponseParams) -> bool:
        """Whether the turn itself is to be answered, rather than what stands in the conversation."""
        if not turn.heard or turn.failure or wanted.input is not None:
            return False
        conversation = self._connection.conversation
        return conversation.get(turn.item_id) is None or conversation.last == turn.item_id

    def _playout(self, wanted: ResponseParams, hop: int) -> Playout:
        """With the session's lead, and what a larger hop takes of it: however it is cut, what was made late by as much
        as the lead leaves is not held back because of it from then on."""
        lead = self._connection.settings.lead_ms
        lead = self._options.lead_ms if lead is None else lead
        if lead is None or lead == "off" or wanted.out_of_band:
            return Playout(None, hop)
        return Playout(samples(lead / 1000) + hop - HOP, hop)

    def _since_exchange(self, turn: PersonTurn | None) -> float | None:
        """Seconds between the last exchange and the turn's onset (or now)."""
        exchanges = [at for at in (self._exchange, self._replayed) if at is not None]
        if not exchanges:
            return None
        until = self._now() if turn is None else self._listening.heard.clock.wall(turn.onset)
        return max(0.0, until - max(exchanges))

    # -- what the floor wants done: pauses and endings --------------------------------------------------

    def _set_paused(self, paused: bool) -> None:
        reply = self._reply
        assert reply is not None
        reply.playout.paused = paused
        if reply.writer is not None:
            self._connection.extension("pause", response_id=reply.writer.id, paused=paused)

    def _interrupt(self) -> None:
        self._observer.barge_in()
        self._cut("turn_detected")

    def _stop_reply(self) -> None:
        self._cut("client_cancelled")

    def _cut(self, reason: str) -> None:
        """End the reply here and now; history keeps what was heard of it."""
        assert self._reply is not None
        heard, chars = self._reply.playout.heard(self._now())
        # What was cut before any of it was heard is no exchange: words that follow are as out of the blue as before.
        reply = self._close_reply(exchange=heard > 0 or chars > 0)
        self._link.send(Cancel(reply.epoch, heard_chars=chars))
        if reply.writer is not None:
            reply.writer.finish("cancelled", reason=reason, heard_chars=chars, heard_samples=heard)
            self._observer.reply_ended("cancelled")

    def _finish(self) -> None:
        reply = self._close_reply()
        assert reply.end is not None
        writer = reply.announce(self._connection)
        status, reason = reply.status
        writer.finish(status, reason=reason, usage=reply.end.usage)
        self._observer.reply_ended(status)
        self._idle_from = self._exchange

    def _leave_alone(self) -> None:
        reply = self._close_reply(exchange=False)
        item_id, text = (reply.turn.item_id, reply.turn.text) if reply.turn else ("", "")
        self._connection.extension("ignored", item_id=item_id, text=reply.answers or text)
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

    # -- what the client asks -----------------------------------------------------------------------------

    def create(self, request: ResponseAsked) -> None:
        """``response.create``."""
        if self.draining:
            self._connection.refuse(
                "server_draining",
                "The server is shutting down and begins no new responses; connect again.",
                event_id=request.event_id,
                type="server_error",
            )
        elif request.params.out_of_band:
            reply = self._respond(turn=self._listening.unanswered, params=request.params)
            reply.playout.release()
            reply.announce(self._connection)
            self._aside[reply.epoch] = reply
        else:
            self._asked = request.params
            self._floor.signal(Signal.CREATE)

    def cancel(self, request: CancelAsked) -> None:
        """``response.cancel``."""
        for epoch, reply in self._aside.items():
            if reply.writer is request.writer:
                self._link.send(Cancel(epoch))
                reply.writer.finish("cancelled", reason="client_cancelled")
                self._observer.reply_ended("cancelled")
                del self._aside[epoch]
                return
        self._floor.signal(Signal.CANCEL)

    def truncate(self, request: Truncated) -> None:
        """The client says how much was heard of a reply that is over (one that goes on is not cut by this)."""
        epoch = self._spoken.get(request.item_id)
        if epoch is not None and (self._reply is None or self._reply.epoch != epoch):
            self._link.send(Cancel(epoch, heard_chars=request.chars))

    # -- what the backend says ---------------------------------------------------------------------------

    def take(self, event: Answers | Delta | Call | End | Failed) -> None:
        """More of a reply; what belongs to no living reply is dropped."""
        if self._reply is not None and self._reply.epoch == event.epoch:
            self._reply.take(event)
        elif event.epoch is not None and event.epoch in self._aside:
            self._aside[event.epoch].take(event)

    def wish(self, event: Wants | Withdrawn) -> None:
        """The backend would like to speak first, or no longer."""
        if isinstance(event, Wants):
            self._wishes[event.token] = event.reason
            if self._floor.word == "model":  # it does not ask, it speaks
                self._floor.signal(Signal.WANTS)
        else:
            self._wishes.pop(event.token, None)

    def check_words(self) -> None:
        """The turn's words have changed: a held reply to other words is stale and made anew."""
        reply, turn = self._reply, self._listening.turn
        if self._floor.state is not State.SPECULATING or reply is None or turn is None:
            return
        if reply.answers is not None and reply.turn is turn and turn.text.split() != reply.answers.split():
            self._retract()
            self._speculate()

    # -- time -------------------------------------------------------------------------------------------------

    def settle(self, now: float) -> None:
        """Send what may leave by ``now``, and raise the signals that follow."""
        self._pump(now)
        for epoch, reply in list(self._aside.items()):
            if self._pump_aside(reply, now):
                del self._aside[epoch]
        if self._wishes and self._floor.word == "model" and self._floor.state not in _REPLYING:
            self._floor.signal(Signal.WANTS)
        if self._floor.state is not State.IDLE:
            return
        if self._queued:
            self._queued = False
            self._floor.signal(Signal.CREATE)
        elif self._may_start and (due := self._wish_due()) is not None and now >= due:
            self._floor.signal(Signal.WANTS)
        elif self._may_start and (due := self._idle_due()) is not None and now >= due:
            self._floor.signal(Signal.IDLE_TIMEOUT)

    def _pump(self, now: float) -> None:
        """Let the reply that has the floor leave, as far as it may."""
        reply = self._reply
        if reply is None or reply.playout.held:
            return
        if reply.failure is not None:
            self._floor.signal(Signal.FAILED)
        elif reply.silent and reply.writer is None:
            self._floor.signal(Signal.DECLINED)
        elif (reply.speaks or reply.writer is not None) and reply.due(now):
            self._send(reply, now)
            if reply.spoken:
                self._floor.signal(Signal.SPOKEN)

    def _send(self, reply: Reply, now: float) -> None:
        writer = reply.announce(self._connection)
        was_silent = reply.first_audible_at is None
        self._observer.said(reply.pump(now))
        if writer.item_id is not None:
            self._spoken[writer.item_id] = reply.epoch
            if len(self._spoken) > MAX_ITEMS:  # an item that old is not in the conversation any more
                del self._spoken[next(iter(self._spoken))]
        if was_silent and reply.first_audible_at is not None and reply.turn is not None:
            spoken_until = self._listening.heard.clock.wall(reply.turn.last_voice)
            latency = reply.first_audible_at - spoken_until
            self._observer.first_response(latency)
            self._connection.extension("latency", response_id=writer.id, ms=round(latency * 1000))

    def _pump_aside(self, reply: Reply, now: float) -> bool:
        """The same for an out-of-band reply; whether it is over."""
        writer = reply.announce(self._connection)
        if reply.failure is not None:
            writer.finish("failed", message=reply.failure)
            self._observer.reply_ended("failed")
            return True
        self._observer.said(reply.pump(now))
        if reply.end is None or not reply.spoken:
            return False
        status, reason = reply.status
        writer.finish(status, reason=reason, usage=reply.end.usage)
        self._observer.reply_ended(status)
        return True

    @property
    def _may_start(self) -> bool:
        """Whether the backend may speak first: not where the client begins every response itself."""
        detection = self._connection.settings.turn_detection
        return not self.draining and (detection is None or detection.create_response)

    def _wish_due(self) -> float | None:
        if not self._wishes:
            return None
        return float("-inf") if self._exchange is None else self._exchange + GAP

    def _idle_due(self) -> float | None:
        detection = self._connection.settings.turn_detection
        if self._idle_from is None or not isinstance(detection, ServerVad) or detection.idle_timeout_ms is None:
            return None
        return self._idle_from + detection.idle_timeout_ms / 1000

    def deadline(self) -> float | None:
        """When :meth:`settle` has something to do if nothing else happens before."""
        times = [self._reply.playout.next_due() if self._reply else None]
        times += [reply.playout.next_due() for reply in self._aside.values()]
        if self._floor.state is State.IDLE and self._may_start:
            times += [self._wish_due(), self._idle_due()]
        return min((time for time in times if time is not None), default=None)
