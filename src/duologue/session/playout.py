"""Playout: a reply leaves at the pace at which it is played.

Audio is made faster than it is spoken. If it all left at once, the client would own it, and a pause would be no
pause. So it leaves a small *lead* ahead of real time: then stopping to send is enough for the listener to hear
silence within the lead, with any client, and what was heard is known without asking.

The listener's player is modelled in one number, the time at which everything sent so far will have been played.
It covers underruns (the player waits) and pauses (it runs dry) alike.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from duologue.audio import RATE, Wave, samples, seconds
from duologue.audio.level import first_audible

HOP = samples(0.04)
"""Audio leaves in pieces of this many samples, or what is left."""

LIVE_HOP = samples(0.08)
"""The same for what is made at the pace at which it is heard: smaller pieces would silence it no sooner."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What leaves now: text that is about to be said, then the audio that says it."""

    text: str
    wave: Wave | None
    said: int
    """Characters of the reply's text that are said once ``wave`` is played."""


@dataclass(slots=True)
class _Segment:
    """One delta on its way out."""

    text: str
    wave: Wave
    samples: list[int]
    chars: list[int]
    """Mark i: after samples[i] samples, chars[i] characters are said. Both ascend, both end at the whole."""

    def said(self, position: int) -> int:
        """Characters whose sound has ended by ``position``."""
        at = bisect_right(self.samples, position)
        return self.chars[at - 1] if at else 0

    def begun(self, position: int) -> int:
        """Characters up to the end of the word being said at ``position``."""
        at = bisect_right(self.samples, position)
        return self.chars[min(at, len(self.chars) - 1)]


def _segment(text: str, wave: Wave, marks: tuple[tuple[int, int], ...]) -> _Segment:
    if not marks:
        # No times known: words share the wave by their letters.
        ends = [i for i in range(1, len(text)) if text[i] == " "]
        marks = tuple((round(len(wave) * end / max(1, len(text))), end) for end in ends)
    inner = [(s, c) for s, c in marks if 0 < s < len(wave) and c < len(text)]
    return _Segment(text, wave, [*(s for s, _ in inner), len(wave)], [*(c for _, c in inner), len(text)])


@dataclass(slots=True)
class Playout:
    """One reply on its way out. Held until :meth:`release`; then :meth:`due` gives what may leave by now."""

    lead: int | None
    """Samples sent ahead of real time; ``None``: unpaced, everything leaves at once."""
    hop: int = HOP
    sent: int = 0
    """Samples that have left."""
    text: str = ""
    """All text pushed so far."""
    complete: bool = False
    """Set once nothing more will be pushed."""
    paused: bool = False
    held: bool = True
    audible: bool = False
    """Whether an audible sample has left."""
    _queue: deque[_Segment] = field(default_factory=deque)
    _offset: int = 0
    _chars_done: int = 0
    _chars_sent: int = 0
    _played_out: float = float("-inf")
    _marks: list[tuple[int, int]] = field(default_factory=list)

    def push(self, text: str, wave: Wave | None, marks: tuple[tuple[int, int], ...] = ()) -> None:
        """More of the reply: ``text``, and the ``wave`` that says exactly that text."""
        self.text += text
        if text or (wave is not None and len(wave)):
            empty = np.zeros(0, np.float32)
            self._queue.append(_segment(text, wave if wave is not None else empty, marks))

    def release(self) -> None:
        """The reply has the floor: it may leave."""
        self.held = False

    @property
    def begun(self) -> bool:
        """Whether there is, or was, anything to say."""
        return bool(self.text or self._queue or self.sent)

    @property
    def drained(self) -> bool:
        """Whether all of it has left and nothing more comes."""
        return self.complete and not self._queue

    @property
    def waiting(self) -> int:
        """Samples that have not left yet."""
        return sum(len(segment.wave) for segment in self._queue) - self._offset

    def due(self, now: float) -> list[Piece]:
        """What may leave at ``now``, oldest first."""
        pieces: list[Piece] = []
        while self._queue and not self.held and not self.paused and self._room(now):
            pieces.append(self._next(now))
        return pieces

    def next_due(self) -> float | None:
        """When more may leave; ``None`` if that depends on something other than time."""
        if not self._queue or self.held or self.paused:
            return None
        if self.lead is None:
            return float("-inf")
        return self._played_out - seconds(max(0, self.lead - self.hop))

    def played_out(self, now: float) -> float:
        """When the listener will have heard everything sent so far (``now`` if already)."""
        return max(now, self._played_out)

    def heard(self, now: float) -> tuple[int, int]:
        """(samples, characters) of the reply that the listener has heard by ``now``."""
        ahead = 0 if self.lead is None else max(0, samples(self._played_out - now)) if self.sent else 0
        heard = max(0, self.sent - ahead)
        at = bisect_right(self._marks, (heard, len(self.text)))
        return heard, self._marks[at - 1][1] if at else 0

    def _room(self, now: float) -> bool:
        return self.lead is None or self._played_out - now <= seconds(max(0, self.lead - self.hop)) + 1e-6

    def _next(self, now: float) -> Piece:
        segment = self._queue[0]
        end = min(len(segment.wave), self._offset + self.hop)
        wave = segment.wave[self._offset : end]
        begun = self._chars_done + segment.begun(max(self._offset, end - 1))
        said = self._chars_done + segment.said(end)
        text = self.text[self._chars_sent : begun]
        self._chars_sent = max(self._chars_sent, begun)
        self._offset = end
        self.sent += len(wave)
        self._played_out = max(now, self._played_out) + len(wave) / RATE
        self.audible = self.audible or first_audible(wave) is not None
        if not self._marks or self._marks[-1][1] != said:
            self._marks.append((self.sent, said))
        if end == len(segment.wave):
            self._queue.popleft()
            self._chars_done += len(segment.text)
            self._offset = 0
        return Piece(text, wave if len(wave) else None, said)
