"""The heard timeline: when its samples were spoken, the last second of them, and where voice is in them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from duologue.audio import Wave, samples
from duologue.ears.voice import VoiceActivity, VoiceEvent
from duologue.session.clock import HeardClock

STEP = samples(0.04)
"""Audio that arrives in larger pieces is heard in steps of this many samples, so that time passes within it."""

FORESEEN = 4 * STEP
"""So far ahead of what is heard the voice detector is given sound: enough for the frames of many sessions to be judged
together, and not so much that minutes sent at once, all judged at the first step, hold up everybody else."""


class Recent:
    """The last second of sound: a turn begins before its onset is known. Nothing is joined before it is asked for."""

    def __init__(self, keep: float = 1.0) -> None:
        self._keep = samples(keep)
        self._pieces: deque[Wave] = deque()
        self._held = 0
        """Samples in the pieces; the first may be older than what is kept."""
        self._kept = 0
        self.end = 0

    def push(self, wave: Wave) -> None:
        """More sound."""
        self._pieces.append(wave.copy())  # it may be a view of minutes that were sent at once
        self._held += len(wave)
        self._kept = min(self._kept + len(wave), max(self._keep, len(wave)))
        while self._held - len(self._pieces[0]) >= self._kept > 0:
            self._held -= len(self._pieces.popleft())
        self.end += len(wave)

    def since(self, position: int) -> tuple[int, Wave]:
        """(start, wave) from ``position`` on, or from the oldest sample kept."""
        start = max(position, self.end - self._kept)
        missing, pieces = self.end - start, []
        for piece in reversed(self._pieces):
            if missing <= 0:
                break
            pieces.append(piece[-missing:])
            missing -= len(piece)
        return start, np.concatenate(pieces[::-1]) if pieces else np.zeros(0, np.float32)


class Waiting:
    """Sound that waits, as it arrived, and leaves in steps: to cut minutes at once would hold everybody else up."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[Wave, float]] = deque()
        self._begun = 0
        """Samples of the first that left already."""

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def put(self, wave: Wave, at: float) -> None:
        """More sound, of any length, that arrived at ``at``."""
        if len(wave):
            self._pieces.append((wave, at))

    def take(self) -> tuple[Wave, float]:
        """The next samples, at most :data:`STEP` and all of one arrival, and when that was."""
        wave, at = self._pieces[0]
        step = wave[self._begun : self._begun + STEP]
        self._begun += len(step)
        if self._begun == len(wave):
            self._pieces.popleft()
            self._begun = 0
        return step, at

    def again(self) -> Waiting:
        """What waits here, to leave a second time."""
        same = Waiting()
        same._pieces, same._begun = self._pieces.copy(), self._begun
        return same


@dataclass(frozen=True, slots=True)
class Step:
    """A little of what was heard."""

    wave: Wave
    at: float
    """When it arrived."""
    events: list[VoiceEvent]
    """Onsets and pauses that were found with it."""


class HeardTimeline:
    """All positions are samples since the session's start. What arrives waits until :meth:`step` hears it."""

    def __init__(self, now: float, *, slack: int = 0) -> None:
        """``slack``: as :class:`~duologue.ears.voice.VoiceActivity` has it."""
        self.clock = HeardClock(now)
        self.recent = Recent()
        self._slack = slack
        self._threshold = 0.5
        self._voice = VoiceActivity(threshold=self._threshold, slack=slack)
        self._voice_zero = 0
        """Where the voice detector's own count begins."""
        self._waiting = Waiting()
        self._unforeseen = Waiting()
        """The last of them, which the voice detector was not given yet."""
        self._foreseen = 0
        """Samples that it was given."""
        self.arrived = 0
        """Samples that arrived so far, heard or waiting."""

    @property
    def position(self) -> int:
        """Samples heard so far."""
        return self.clock.position

    @property
    def speaking(self) -> bool:
        """Whether a voice is on."""
        return self._voice.voiced

    @property
    def last_voice(self) -> int:
        """Where voice was last heard (meaningful while :attr:`speaking`)."""
        return self._voice_zero + self._voice.last_voice

    def arrive(self, wave: Wave, now: float) -> None:
        """The next samples, any length."""
        self.clock.come(len(wave), now)
        self._waiting.put(wave, now)
        self._unforeseen.put(wave, now)
        self.arrived += len(wave)
        self._foresee()

    def step(self) -> Step | None:
        """Hear a little of what arrived, if anything waits."""
        if not self._waiting:
            return None
        wave, at = self._waiting.take()
        self.clock.hear(len(wave), at)
        self.recent.push(wave)
        self._foresee()
        events = self._voice.events(self.position - self._voice_zero)
        return Step(wave, at, [replace(event, at=self._voice_zero + event.at) for event in events])

    def check_stall(self, now: float) -> bool:
        """A client that stops sending in mid-voice is silent; the voice detector cannot know, so it starts afresh."""
        stalled = self.speaking and now >= self.stalls_at
        if stalled:
            self.restart_voice(self._threshold)
        return stalled

    @property
    def stalls_at(self) -> float:
        """When the client will count as having stopped sending."""
        return self.clock.arrived + self.clock.stall

    def restart_voice(self, threshold: float) -> None:
        """Detect voice with another threshold (or afresh) from here on."""
        self._threshold = threshold
        self._voice = VoiceActivity(threshold=threshold, slack=self._slack)
        self._voice_zero = self.position
        self._unforeseen, self._foreseen = self._waiting.again(), self.position
        self._foresee()

    def _foresee(self) -> None:
        """Give the voice detector what is about to be heard."""
        while self._unforeseen and self._foreseen < self.position + FORESEEN:
            wave, _ = self._unforeseen.take()
            self._foreseen += len(wave)
            self._voice.hear(wave)
