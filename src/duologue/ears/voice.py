"""Where somebody's voice is on a stream: onsets and pauses, from Silero's judgement and from loudness.

The network (:mod:`duologue.ears.silero`) knows what a voice is, and is slow to say where it ends (70 ms late in the
middle, by its memory) and begins (30 ms late, 100 to 200 after a soft consonant). Loudness knows where, and not what.
So the network decides, and loudness, in steps of 8 ms relative to the voice itself, moves the edge; in noise it moves
nothing.

On a silent line no frame may be skipped: the network's state goes on drifting for minutes of digital silence. But
one may wait. Where no voice is on, and a frame is no louder than it was before, it is judged when the next has come,
at the latest: until then another stream's run takes it along, and 16 idle lines cost 31 runs of the network a second
instead of up to 500. The events and their positions are the same; only the onset of a voice as soft as the room is
told up to 32 ms later. Where nobody waits for the events, because the model itself decides when to speak, a few
frames may wait in any case (``slack``).
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
_RISE = 10 ** (10 / 20)
"""A frame may wait if it is at most so much louder (10 dB) than the softest step of the last third of a second."""
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
        slack: int = 0,
    ) -> None:
        """``slack``: frames that always wait for company, so long do events come late."""
        if not 0.0 < threshold < 1.0:
            raise ValueError(f"threshold is a probability between 0 and 1, not {threshold}")
        if onset_frames < 1 or pause_ms < 1:
            raise ValueError("onset_frames and pause_ms must be at least 1")
        self._stream = Stream(network or silero())
        self._onset_threshold = threshold
        self._release_threshold = max(threshold - 0.15, 0.01)
        self._onset_frames = onset_frames
        self._pause = pause_ms * RATE // 1000
        self._slack = slack
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
        """The events of the frames that end up to ``until`` (samples from the start), in order, since the last call.
        The last such frame waits for the next call where it is quiet; the last ``slack`` always do."""
        events: list[VoiceEvent] = []
        stream = self._stream
        while (left := min((until - self.until) // FRAME, len(stream.made) + stream.frames)) > 0:
            if not stream.made and (left <= self._slack or (left == 1 and self._may_wait)):
                break
            event = self._frame(stream.judged())
            if event is not None:
                events.append(event)
        return events

    @property
    def _may_wait(self) -> bool:
        """Whether nothing happens in what is to be judged: no voice is on, and it is no louder than it was."""
        if self._voiced or self._rising or not self._recent:
            return False
        return self._stream.loudness <= _RISE * min(self._recent)

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
