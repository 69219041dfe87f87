"""What a step costs, and what follows: how often the engine ticks, and how many people it takes.

A model must make a step for every seat in the time of a frame (80 ms with Moshi). Where a step is much quicker, the
time of a frame is divided into 2 to 16 *beats*, and the engine ticks at each for the seats whose frames are complete
by then: nobody waits long for a tick. Where a step takes most of a frame's time there is one beat, and everybody is in
it. A session that would make the step of all too long to keep up is not let in.

Costs are measured twice: by the number of rows when the engine starts, with rows as costly as a long conversation
makes them; and from then on as one *load*, how much longer the steps of late took than they should (others may use
this machine).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable

HEADROOM = 0.85
"""The part of a frame's time that a step of everybody may take."""

BUSY = 0.5
"""The part of a frame's time that steps may take together where the engine ticks more than once in it."""

MOST_BEATS = 16

LATELY = 64
"""Steps that the load is taken from: the slowest fifth of them counts for nothing, hiccups are not load."""


def powers(rows: int) -> list[int]:
    """1, 2, 4 … up to ``rows``, and that."""
    return sorted({*(2**k for k in range(rows.bit_length())), rows})


class Pace:
    """The cost of steps by the number of rows."""

    def __init__(self, period: float, *, lap: int = 1, together: bool = False) -> None:
        """``period``: seconds that a step may take: those of a frame. ``lap``: how many steps are taken together, where
        single ones differ by what they have to do. ``together``: a step of some of the seats costs as much as one of
        all, and that as much as one of the next number of rows that was measured."""
        self.period = period
        self.beside = 0.0
        """Seconds of each period that every session takes beside its part of the steps, on an idle machine: with models
        that take turns, the hearing and reading of what is said, spread over the time between two turns."""
        self._lap = lap
        self._together = together
        self._steps: list[tuple[float, float]] = []
        """Those of the lap that is not over: (took, expected)."""
        self._cost: list[tuple[int, float]] = []
        self._lately: deque[float] = deque(maxlen=LATELY)

    def measured(self, rows: int, seconds: float) -> None:
        """On an idle machine a step of so many rows takes so long."""
        self._cost = sorted({**dict(self._cost), rows: seconds}.items())

    def measure(self, rows: int, take: Callable[[int], float]) -> None:
        """Measure steps of 1, 2, 4 … up to ``rows`` rows: ``take`` says how many seconds one of so many takes."""
        for size in powers(rows):
            self.measured(size, take(size))
            if self.cost(size) > self.period:
                break  # more will not be seated anyway

    def observe(self, rows: int, seconds: float) -> None:
        """A step of so many rows took so long."""
        if (expected := self._measured(rows)) <= 0:
            return
        self._steps.append((seconds, expected))
        if len(self._steps) >= self._lap:
            took, expected = (sum(each) for each in zip(*self._steps, strict=True))
            self._lately.append(took / expected)
            self._steps.clear()

    def rest(self) -> None:
        """Nobody is here: what others did to this machine is forgotten."""
        self._lately.clear()
        self._steps.clear()

    @property
    def load(self) -> float:
        """How much longer steps take than on an idle machine, at least 1."""
        if not self._lately:
            return 1.0
        return max(1.0, sorted(self._lately)[(len(self._lately) - 1) * 4 // 5])

    def cost(self, rows: int) -> float:
        """Seconds that a step of so many rows is expected to take (0 while nothing is known)."""
        return self._measured(rows) * self.load

    def _measured(self, rows: int) -> float:
        known = self._cost
        if not known:
            return 0.0
        at = bisect_left(known, (rows,))
        if at < len(known) and known[at][0] == rows:
            return known[at][1]
        if at == 0:
            return known[0][1]
        if at == len(known):
            many, high = known[-1]
            return high * rows / many
        if self._together:
            return known[at][1]
        (few, low), (many, high) = known[at - 1], known[at]
        return low + (high - low) * (rows - few) / (many - few)

    def room(self, rows: int) -> int:
        """How many of ``rows`` sessions can be kept in real time."""
        load = self.load
        while rows and (self._measured(rows) + rows * self.beside) * load > HEADROOM * self.period:
            rows -= 1
        return rows

    def beats(self, seats: int) -> int:
        """How many times in a frame the engine ticks for so many seats: 1, 2, 4, 8 or 16."""
        load, beats = self.load, MOST_BEATS
        while beats > 1 and beats * self._measured(self._share(seats, beats)) * load > BUSY * self.period:
            beats //= 2
        return beats

    def _share(self, seats: int, beats: int) -> int:
        """How many rows a step at each of so many beats costs."""
        return seats if self._together else max(1, -(-seats // beats))
