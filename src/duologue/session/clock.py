"""Two clocks and the one place where they meet.

The client counts samples, the server reads a wall clock. The heard timeline advances by what arrives; packets
bunch, stall and drift. :class:`HeardClock` says when a heard sample was spoken, as well as can be known: as
if the client's microphone ran steadily and the network only ever delayed.
"""

from __future__ import annotations

from duologue.audio import RATE, seconds

STALL = 0.3
"""Seconds a sample may be late before the client counts as having stopped sending. Jitter stays below it."""

JITTER = 0.2
"""The same beyond the time between two pieces, of a client whose pieces are larger than :data:`STALL` allows for."""


class HeardClock:
    """Maps positions on the heard timeline to the wall clock."""

    def __init__(self, now: float) -> None:
        self.position = 0
        """Samples heard so far."""
        self.arrived = now
        """When the latest sample came."""
        self._zero = now
        """The wall-clock time of position 0, by the least delayed packet since the last stall."""
        self._came = now
        self._steady = 0.0
        """Seconds of the last piece, where it came about as long after the one before as it lasts."""
        self.stall = STALL
        """Seconds without sound after which the client counts as having stopped sending."""

    def come(self, count: int, now: float) -> None:
        """A piece of ``count`` samples comes at ``now``, to be heard by and by.

        Who sends a second at a time has not stopped sending in between; who sent a whole recording has. So it takes two
        pieces that came at the pace at which they are spoken.
        """
        piece, gap = count / RATE, now - self._came
        steady = piece if piece / 2 <= gap <= 2 * piece else 0.0
        self.stall = max(STALL, min(self._steady, steady) + JITTER)
        self._came, self._steady = now, steady

    def hear(self, count: int, now: float) -> None:
        """``count`` more samples arrived at ``now``."""
        self.position += count
        self.arrived = now
        zero = now - self.position / RATE
        late = zero - self._zero
        # Least delay wins. A long lateness is no jitter: the client was silent for a while (or its clock
        # runs slow), so the mapping starts afresh.
        if late < 0 or late > STALL:
            self._zero = zero

    def wall(self, position: int) -> float:
        """The wall-clock time at which the sample at ``position`` was spoken."""
        return self._zero + position / RATE

    def quiet(self, since: int, now: float) -> float:
        """Seconds of silence since ``since``: what was heard, plus what a stalled client owes.

        A client that stops sending (a muted microphone, a file without a tail) is taken to be silent, but only
        beyond the jitter allowance: no audio is invented.
        """
        stalled = max(0.0, now - self.arrived - self.stall)
        return seconds(self.position - since) + stalled

    def quiet_at(self, since: int, quiet: float) -> float:
        """When :meth:`quiet` will reach ``quiet`` if nothing more arrives."""
        return self.arrived + self.stall + quiet - seconds(self.position - since)
