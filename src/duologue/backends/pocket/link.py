"""One session's end of pocket: commands in, events out.

Commands take effect in the order in which they are sent, and at once: sound goes to the ear, a cancelled reply is
silent from that moment. What takes time (hearing, planning, speaking) happens in tasks of their own and comes back
as events, never from within :meth:`PocketLink.send`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from duologue.backends.contract import (
    Cancel,
    Close,
    Command,
    Commit,
    Configure,
    DropTurn,
    EndTurn,
    Epoch,
    Event,
    Hear,
    Respond,
    Turn,
)
from duologue.backends.pocket.attempt import Attempt
from duologue.backends.pocket.hearing import TurnHeard
from duologue.backends.pocket.mouth import Mouth
from duologue.backends.pocket.parts import Mind, SessionEar
from duologue.backends.pocket.wishes import Wishes

log = structlog.get_logger("duologue.pocket")

REMEMBERED = 16
"""Replies that are over and may still be truncated: a client says late how much was heard."""


class PocketLink:
    """See :class:`duologue.backends.contract.Link`. Made by ``PocketBackend.open``."""

    def __init__(
        self,
        emit: Callable[[Event], None],
        *,
        ear: SessionEar,
        mind: Mind,
        mouth: Mouth,
        now: Callable[[], datetime],
        ahead_seconds: float | None,
        closed: Callable[[PocketLink], None],
    ) -> None:
        self._emit_event = emit
        self._ear = ear
        self._mind = mind
        self._mouth = mouth
        self._ahead = ahead_seconds
        self._on_closed = closed
        self._closed = False
        self._wishes = Wishes(mind.wants, self._emit, now)
        self._turns: dict[Turn, TurnHeard] = {}
        """Those open, those whose final words are owed, and the one that ended last."""
        self._attempts: dict[Epoch, Attempt] = {}

    @property
    def busy(self) -> bool:
        """Whether the ear owes words or a reply is being made."""
        return any(turn.busy for turn in self._turns.values()) or any(
            attempt.busy for attempt in self._attempts.values()
        )

    def send(self, command: Command) -> None:
        """Carry out a command; see the contract. After ``Close`` nothing has an effect."""
        if self._closed:
            return
        match command:
            case Configure():
                self._mind.configure(command.instructions, command.strictness)
                self._wishes.be_courteous()
                self._wishes.look()
            case Hear():
                self._hear(command)
            case EndTurn():
                self._end_turn(command.turn)
            case DropTurn():
                self._open_turn(command.turn).drop()
                del self._turns[command.turn]
            case Respond():
                self._respond(command)
            case Commit():
                if command.epoch in self._attempts:
                    self._attempts[command.epoch].commit()
            case Cancel():
                self._cancel(command)
            case Close():
                self.close()

    def close(self) -> None:
        """The session is over: the ear is free, nothing is made or emitted any more."""
        self._closed = True
        self._wishes.close()
        for attempt in self._attempts.values():
            attempt.cancel()
        for turn in self._turns.values():
            turn.drop()
        self._attempts.clear()
        self._turns.clear()
        self._on_closed(self)

    # -- turns -------------------------------------------------------------------------------------------

    def _hear(self, command: Hear) -> None:
        turn = self._turns.get(command.turn)
        if turn is None:
            turn = TurnHeard(command.turn, command.start, ear=self._ear, judge=self._mind.judge, emit=self._emit)
            self._turns[command.turn] = turn
        turn.push(command.wave)

    def _end_turn(self, id_: Turn) -> None:
        turn = self._open_turn(id_)
        for old in [old for old in self._turns.values() if old.ended and old.final]:
            del self._turns[old.id]
        turn.end()

    def _open_turn(self, id_: Turn) -> TurnHeard:
        turn = self._turns.get(id_)
        if turn is None or turn.ended:
            raise ValueError(f"turn {id_} is not open: it was never heard, or is over")
        return turn

    # -- replies -----------------------------------------------------------------------------------------

    def _respond(self, command: Respond) -> None:
        if command.epoch in self._attempts:
            raise ValueError(f"epoch {command.epoch} was used before; every attempt has a number of its own")
        turn = None if command.turn is None else self._turns.get(command.turn)
        if command.turn is not None and turn is None:
            raise ValueError(f"turn {command.turn} cannot be answered: it was never heard, or is long over")
        self._forget_old()
        self._attempts[command.epoch] = Attempt(
            command,
            turn,
            mind=self._mind,
            mouth=self._mouth,
            emit=self._emit,
            changed=self._on_committed,
            ahead_seconds=self._ahead,
        )

    def _on_committed(self, attempt: Attempt) -> None:
        if attempt.respond.token is not None:
            self._wishes.granted(attempt.respond.token)
        self._wishes.look()

    def _cancel(self, command: Cancel) -> None:
        attempt = self._attempts.get(command.epoch)
        if attempt is None:
            return  # so long over that nobody remembers it
        attempt.cancel()
        if attempt.committed:
            attempt.heard(command.heard_chars or 0)
            self._wishes.look()
        else:
            del self._attempts[command.epoch]

    def _forget_old(self) -> None:
        over = [epoch for epoch, attempt in self._attempts.items() if attempt.over]
        for epoch in over[: max(0, len(over) - REMEMBERED)]:
            del self._attempts[epoch]

    # -- events -----------------------------------------------------------------------------------------

    def _emit(self, event: Event) -> None:
        if self._closed:
            return
        try:
            self._emit_event(event)
        except Exception:
            # Whoever emits may be the ear, which all sessions share: this session ends, the others go on.
            log.exception("session could not take an event and is closed", event_kind=type(event).__name__)
            self.close()
