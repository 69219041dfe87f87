"""Where somebody's voice is on a stream: onsets and pauses, from Silero's judgement and from loudness.

The network (:mod:`duologue.ears.silero`) knows what a voice is, and is slow to say where it ends (70 ms late in the
middle, by its memory) and begins (30 ms late, 100 to 200 after a soft consonant). Loudness knows where, and not what.
So the network decides, and loudness, in steps of 8 ms relative to the voice itself, moves the edge; in noise it moves
nothing.

A silent line costs as much as a busy one: the network's state goes on drifting for minutes of digital silence, so a
frame that is skipped would not be the same as a frame that is heard.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from duologue.audio import RATE, Wave
from duologue.ears.silero import FRAME, STEP, Judged, Silero, Stream, silero

_EDGE = 10 ** (-32 / 20)
"""What is 32 dB softer than the voice around it is not voice any more: the weakest final consonants are 25 to 30."""
_FADE = 10 ** (-12 / 20 * FRAME / RATE)
"""The voice's own loudness is its loudest step, forgotten at 12 dB a second."""
_BACK = RATE * 3 // 10
"""How far before the network's first frame a beginning is looked for: 300 ms."""


@dataclass(frozen=True, slots=True)
class Onset:
    """A voice began at ``at`` (samples at 24 kHz from the start of the stream), up to half a second ago."""

    at: int


@dataclass(frozen=True, slots=True)
class Pause:
    """The voice paused: ``at`` is where it ended, to about 10 ms in a quiet room."""

    at: int


VoiceEvent: TypeAlias = Onset | Pause


class VoiceActivity:
    """The voice on one stream of audio. Any chunking gives the same events at the same positions.

    A voice begins with ``onset_frames`` frames in a row at or above ``threshold`` and goes on through frames at
    or above ``threshold`` - 0.15 (as Silero's own iterator has it); ``pause_ms`` without one is a pause.
    """

    def __init__(
        self,
        network: Silero | None = None,
        *,
        threshold: float = 0.5,
        onset_frames: int = 2,
        pause_ms: int = 96,
    ) -> None:
        if not 0.0 < threshold < 1.0:
            raise ValueError(f"threshold is a probability between 0 and 1, not {threshold}")
        if onset_frames < 1 or pause_ms < 1:
            raise ValueError("onset_frames and pause_ms must be at least 1")
        self._stream = Stream(network or silero())
        self._judged: deque[Judged] = deque()
        self._onset_threshold = threshold
        self._release_threshold = max(threshold - 0.15, 0.01)
        self._onset_frames = onset_frames
        self._pause = pause_ms * RATE // 1000
        self._frames = 0
        self._rising = 0
        self._voiced = False
        self._last_voice = 0
        self._loudness = 0.0
        self._recent: deque[float] = deque(maxlen=(_BACK + onset_frames * FRAME) // STEP)

    @property
    def until(self) -> int:
        """Samples decided about so far; fewer than one frame wait for more."""
        return self._frames * FRAME

    @property
    def voiced(self) -> bool:
        """Whether a voice is on, from its onset to its pause."""
        return self._voiced

    @property
    def last_voice(self) -> int:
        """Where voice was last heard, up to :attr:`until`; 0 before any voice."""
        return self._last_voice

    def hear(self, wave: Wave) -> None:
        """More sound [n] (24 kHz), to be decided about when it is asked for: many streams are cheaper at once."""
        self._stream.hear(wave)

    def events(self, until: int) -> list[VoiceEvent]:
        """The events of the frames that end up to ``until`` (samples from the start), in order, since the last call."""
        if self.until + FRAME > until:
            return []
        self._judged.extend(self._stream.judged())
        events: list[VoiceEvent] = []
        while self._judged and self.until + FRAME <= until:
            event = self._frame(self._judged.popleft())
            if event is not None:
                events.append(event)
        return events

    def _frame(self, judged: Judged) -> VoiceEvent | None:
        self._recent.extend(judged.loudness)
        self._frames += 1
        if self._voiced:
            return self._held(judged)
        if judged.probability < self._onset_threshold:
            self._rising = 0
            return None
        self._rising += 1
        if self._rising < self._onset_frames:
            return None
        return self._begun()

    def _begun(self) -> Onset:
        """A voice has been on for the required frames: since when, and how loud is it?"""
        steps = list(self._recent)
        first = max(len(steps) - self._rising * FRAME // STEP, 0)
        self._loudness = max(steps[first:])
        while first > 0 and steps[first - 1] >= _EDGE * self._loudness > 0:
            first -= 1
        self._voiced = True
        self._rising = 0
        self._last_voice = self.until
        return Onset(self.until - (len(steps) - first) * STEP)

    def _held(self, judged: Judged) -> VoiceEvent | None:
        if judged.probability >= self._release_threshold:
            self._loudness = max(self._loudness * _FADE, *judged.loudness)
            edge = _EDGE * self._loudness
            loud = [n for n, step in enumerate(judged.loudness) if step >= edge]
            if loud:
                self._last_voice = self.until - FRAME + (loud[-1] + 1) * STEP
        if self.until - self._last_voice < self._pause:
            return None
        self._voiced = False
        return Pause(self._last_voice)
