"""One turn of the person's: where it lies on the heard timeline, its words so far, its sound."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from duologue.audio import Wave, samples, seconds
from duologue.audio.formats import encode_pcm16
from duologue.backends.contract import Hypothesis, Turn

KEPT = samples(60.0)
"""The sound of a turn is kept for the client up to this many samples, the latest ones."""

WORDLESS = 0.7
"""Seconds of voice over a reply that take the floor although no words are to be had (design: another language)."""

INSISTING = samples(0.12)
"""Words must want the floor for so long; a recogniser's first guess at "right" may be "what"."""

SOFTLY = samples(0.12)
"""A last "to" or "a" may be too soft for a voice, and is still a word."""

VERDICT = 0.6
"""Seconds the ear has, after the overlap fell silent, to find words in it."""


@dataclass(slots=True)
class PersonTurn:
    """A stretch of the person's speech, from its onset on."""

    id: Turn
    start: int
    """First sample that belongs to it (the onset less the prefix padding)."""
    onset: int
    fed: int
    """Up to where the backend has heard it."""
    last_voice: int
    """Where voice was last heard in it."""
    heard: bool = True
    """Whether the backend was given any of it (a turn that the client commits may hold no voice at all)."""
    item_id: str = ""
    """Its item in the conversation, once announced."""
    text: str = ""
    complete: bool | None = None
    backchannel: bool | None = False
    accounted: int = 0
    """Up to where ``text`` accounts for the sound."""
    failure: str = ""
    """Why the ear lost it, if it did."""
    _insisting_since: int | None = None
    """Up to where words accounted for the sound when they began to want the floor."""
    _sound: deque[bytes] = field(default_factory=deque)
    _kept: int = 0

    def keep(self, wave: Wave) -> None:
        """Keeps the sound, for a client that retrieves the item."""
        self._sound.append(encode_pcm16(wave))
        self._kept += len(wave)
        while self._kept > KEPT:
            self._kept -= len(self._sound.popleft()) // 2

    @property
    def pcm(self) -> bytes:
        """The sound kept, PCM16 at 24 kHz."""
        return b"".join(self._sound)

    def take(self, hypothesis: Hypothesis) -> None:
        """What the ear now makes of it."""
        self.text = hypothesis.text
        self.complete = hypothesis.complete
        self.backchannel = hypothesis.backchannel
        self.accounted = max(self.accounted, hypothesis.until)
        if self.text and self.backchannel is False:
            self._insisting_since = self.accounted if self._insisting_since is None else self._insisting_since
        else:
            self._insisting_since = None

    @property
    def owed(self) -> int:
        """Samples that the backend was given and whose words it has not told."""
        return 0 if self.failure else self.fed - max(self.start, self.accounted)

    @property
    def behind(self) -> bool:
        """Whether the ear has yet to say what the last of its voice was, or what came :data:`SOFTLY` after it."""
        return not self.failure and self.accounted < min(self.fed, self.last_voice + SOFTLY)

    def wants_floor(self, *, over: bool) -> bool:
        """Whether this overlap is an interruption: it has words that want the floor, or goes on and on without.

        Words are believed once they have wanted it for :data:`INSISTING`, or account for all of it when it is ``over``.
        """
        if self.text and self.backchannel is not None:
            if self._insisting_since is None:
                return False
            return self.accounted - self._insisting_since >= INSISTING or (over and self.accounted >= self.last_voice)
        return seconds(self.last_voice - self.onset) >= WORDLESS
