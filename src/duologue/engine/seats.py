"""Who sits where, what they are still to be told, and how often things went wrong: what every gait's loop shares.

A *row* of the model's state belongs to a seat from :class:`~duologue.engine.messages.Join` to
:class:`~duologue.engine.messages.Leave`, and is cleared before it is leased again. Where a step fails, the seats in it
are lost; the others go on.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

import structlog

from duologue.engine.messages import Event, Lost, Pulse, Seat
from duologue.engine.pace import Pace

PATIENCE = (3, 30.0)
"""So many failed steps in so many seconds are no accidents any more: the process ends, and is started anew."""

log = structlog.get_logger("duologue.engine")


class Hopeless(RuntimeError):
    """Steps fail again and again: only a new process may help."""


class Seated(Protocol):
    """Who has a row."""

    @property
    def seat(self) -> Seat: ...

    @property
    def row(self) -> int: ...


G = TypeVar("G", bound=Seated)


class Seats(Generic[G]):
    """The seats of one engine."""

    def __init__(
        self, rows: int, pace: Pace, emit: Callable[[Sequence[Event]], None], clock: Callable[[], float]
    ) -> None:
        """``emit`` is given the events of a tick at once."""
        self.guests: dict[Seat, G] = {}
        self._rows = rows
        self._free = list(range(rows))
        self._pace = pace
        self._emit = emit
        self._now = clock
        self._out: list[Event] = []
        self._failures: list[float] = []
        self._ticks: list[float] = []

    # -- rows ---------------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many sessions can be kept in real time."""
        return self._pace.room(self._rows)

    def lease(self, seat: Seat) -> int | None:
        """A row for a new seat; ``None``: there is none, and the seat is told so."""
        if self._free and len(self.guests) < self.room:
            return heapq.heappop(self._free)
        many = min(self.room, self._rows)
        self.tell(Lost(seat, f"this machine can hold {many} conversations with this model in real time, and no more"))
        return None

    def vacate(self, seat: Seat) -> None:
        """The seat's row is free again."""
        if (guest := self.guests.pop(seat, None)) is not None:
            heapq.heappush(self._free, guest.row)
            if not self.guests:
                self._pace.rest()

    def lose(self, guests: Sequence[G], message: str) -> None:
        """These are no more, and are told why."""
        for guest in guests:
            self.vacate(guest.seat)
            self.tell(Lost(guest.seat, message))

    def failed(self, guests: Sequence[G], error: Exception) -> None:
        """A step of these went wrong. Raises :class:`Hopeless` where that happens again and again."""
        log.error("a step failed", seats=len(guests), exc_info=error)
        self.lose(guests, f"the model failed ({type(error).__name__}: {error}); begin a new conversation")
        most, within = PATIENCE
        now = self._now()
        self._failures = [at for at in self._failures if at > now - within] + [now]
        if len(self._failures) >= most:
            self.hand_out()
            raise Hopeless(f"{most} steps failed within {within:g} s") from error

    # -- what is told -------------------------------------------------------------------------------------------

    def tell(self, *events: Event) -> None:
        """These go out with :meth:`hand_out`."""
        self._out += events

    def hand_out(self) -> None:
        """Send the events that wait."""
        if self._out:
            out, self._out = self._out, []
            self._emit(out)

    # -- how it does --------------------------------------------------------------------------------------------

    def took(self, rows: int, seconds: float) -> None:
        """A step of so many rows took so long."""
        self._pace.observe(rows, seconds)
        self._ticks.append(seconds)

    def pulse(self, beats: int = 1) -> Pulse:
        """How it does, since it was last asked."""
        ticks, self._ticks = sorted(self._ticks), []
        median, worst = (ticks[len(ticks) // 2], ticks[-1]) if ticks else (0.0, 0.0)
        return Pulse(self.room, len(self.guests), 1000 * median, 1000 * worst, beats)
