"""One person's sound on its way to frames.

Sound arrives in pieces of any length, early, late or not at all; a model takes whole frames at ticks. An inlet

* *phases* the frames: where the first begins is chosen (by silence put in front) so that the frames to come are
  complete shortly before a tick, and none waits long for it;
* *fills*: a live client whose next piece is 100 ms late is silent, and is heard as such. When it sends again, the
  frames are phased anew. What then comes faster than it can have been spoken was only late: silence has taken its
  place, and it is dropped, for heard after all it would put everything that follows off for ever;
* keeps a *backlog* of what came in a burst, up to a bound beyond which the oldest is dropped. A person who has
  been waiting for an answer that long is better served by one to what they said last.

A client's clock need not agree with ours: one that runs fast has two frames at a tick now and then, one that runs
slow none. Without I/O and clocks; times are seconds of any clock that only grows.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from duologue.audio import Wave

BACKLOG = {"live": 4, "kyutai": 25}
"""Frames that may wait: a third of a second; and two seconds where a clock that stands still must be caught up."""

SILENT_AFTER = 0.1
"""Seconds by which the next sound of a live client may be late, before it counts as silent. The next is due when what
came last is over: who sends 170 ms at a time is silent in between."""

LARGEST = 1.0
"""Seconds of the largest pieces that a live client may send one after the other and be heard whole."""

LATE = 1.0
"""Seconds in which late sound shows, after a client sends again; from then on it was a silence that it meant."""

MARGIN = 0.003
"""Seconds before a tick at which a frame should be complete: what jitters on one machine."""


@dataclass(frozen=True, slots=True)
class Beat:
    """When the engine ticks: at ``zero`` and every ``every`` seconds from then."""

    zero: float
    every: float

    def wait(self, at: float) -> float:
        """Seconds from ``at`` to the next tick."""
        return (self.zero - at) % self.every


class Inlet:
    """The sound of one seat."""

    def __init__(self, *, rate: int, frame: int, backlog: int, live: bool, now: float) -> None:
        """``backlog``: the frames that may wait; ``live``: whether silence stands in for what does not arrive."""
        self._rate = rate
        self._frame = frame
        self._backlog = self._most = backlog * frame
        self._live = live
        self._pieces: deque[Wave] = deque()
        self.held = 0
        """Samples that wait."""
        self._heard_until = now
        """Up to when sound, or silence in its place, has arrived."""
        self._silent = live
        """Whether silence stands in; what comes next is phased anew."""
        self._filled = 0
        """Samples of silence that may yet turn out to stand where late sound belongs."""
        self._resumed = now
        """When sound came again after silence."""
        self._since = 0
        """Samples that have come since."""
        self._arrived = now
        """When sound last arrived."""
        self._piece = 0
        """Samples of the last piece; 0: nothing was ever sent."""
        self._together = 0
        """The same, with those before it that came much faster than they can be spoken."""
        self._excused = 0
        """The same, before the silence: so much is spoken by the time it arrives."""
        self._begun = False
        """Whether anything has arrived, or silence in its place."""
        self.mended = 0
        """Samples that were no numbers, and were heard as silence."""
        if live:
            # What a model is given first, Moshi never sees (all its columns begin with initial tokens).
            self._append(np.zeros(frame, np.float32))

    @property
    def ready(self) -> bool:
        """Whether a whole frame waits."""
        return self.held >= self._frame

    def push(self, wave: Wave, now: float, beat: Beat) -> int:
        """More sound, which arrived at ``now``. Returns how many samples were dropped because they came too late."""
        if not len(wave):
            return 0
        bad = ~np.isfinite(wave)
        if bad.any():
            self.mended += int(bad.sum())
            wave = np.where(bad, np.float32(0), wave)
        size = len(wave)
        if self._live:
            self._most = max(self._backlog, min(size, self._piece, round(LARGEST * self._rate)) + self._frame)
        resumes, self._silent = self._silent, False
        if resumes:
            self._resumed, self._since, self._excused = now, 0, self._together
        wave = self._in_time(wave, now)
        late = size - len(wave)
        if resumes and len(wave):
            self._append(np.zeros(self._lead(len(wave), now, beat), np.float32))
        self._append(wave)
        at_once = (now - self._arrived) * self._rate < size / 2
        self._piece, self._together = size, min(size + at_once * self._together, self._most)
        self._heard_until, self._arrived, self._begun = now, now, True
        return late + self._trim()

    def _in_time(self, wave: Wave, now: float) -> Wave:
        """``wave`` without what was late for a silence that has been filled."""
        if not self._filled:
            return wave
        if now - self._resumed > LATE:
            self._filled = 0
            return wave
        spoken = (now - self._resumed) * self._rate + self._excused
        self._since += len(wave)
        if self._since - spoken < len(wave) / 2 or self._filled < len(wave):
            return wave
        # A piece is dropped whole: what is left of one would put the frames out of phase with the pieces.
        self._since -= len(wave)
        self._filled -= len(wave)
        return wave[:0]

    def fill(self, now: float) -> None:
        """Silence for the time in which a live client sent nothing."""
        missing = now - self._heard_until
        patience = SILENT_AFTER + self._together / self._rate
        if self._live and (missing > patience or (self._begun and self._silent)):
            count = min(round(missing * self._rate), self._most)
            self._append(np.zeros(count, np.float32))
            self._filled += count if self._piece else 0
            self._heard_until = now
            self._silent = self._begun = True
            self._trim()

    def take(self) -> Wave:
        """The oldest frame."""
        return self._cut(self._frame)

    def _lead(self, size: int, now: float, beat: Beat) -> int:
        """Samples of silence before sound that comes in pieces of ``size``, of which the first came at ``now``.

        The first frame is then complete with one of the next pieces; it is chosen so that this piece is
        followed by a tick as soon as can be.
        """
        best, least = 0, float("inf")
        for k in range(max(1, self._frame // size)):
            wait = beat.wait(now + k * size / self._rate + MARGIN)
            if wait < least - 1e-6:
                best, least = k, wait
        return (self._frame - (best + 1) * size - self.held) % self._frame

    def _append(self, wave: Wave) -> None:
        if len(wave):
            self._pieces.append(wave)
            self.held += len(wave)

    def _trim(self) -> int:
        """Drop the oldest frames beyond the bound."""
        excess = self.held - self._most
        if excess <= 0:
            return 0
        frames = -(-excess // self._frame)
        return len(self._cut(min(frames * self._frame, self.held)))

    def _cut(self, count: int) -> Wave:
        taken: list[Wave] = []
        missing = count
        while missing:
            piece = self._pieces.popleft()
            if len(piece) > missing:
                self._pieces.appendleft(piece[missing:])
                piece = piece[:missing]
            taken.append(piece)
            missing -= len(piece)
        self.held -= count
        return taken[0] if len(taken) == 1 else np.concatenate(taken)
