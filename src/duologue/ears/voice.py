"""Where somebody's voice is: Silero VAD v6 (MIT, see ``silero/LICENSE``) run by onnxruntime, as a stream.

    24 kHz wave → 16 kHz, frames of 512 (32 ms) with 64 samples before each
    → spectrum, four convolutions, LSTM → probability of voice per frame → onsets and pauses

The network knows what a voice is, and is slow to say where it ends (70 ms late in the middle, by its memory)
and begins (30 ms late, 100 to 200 after a soft consonant). Loudness knows where, and not what. So the network
decides, and loudness, in steps of 8 ms relative to the voice itself, moves the edge; in noise it moves nothing.

One frame takes 0.07 ms. A silent line costs as much as a busy one: the network's state goes on drifting for
minutes of digital silence, so a frame that is skipped would not be the same as a frame that is heard.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from importlib import resources
from typing import TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from duologue.audio import RATE, Wave
from duologue.ears import rate
from duologue.ears.rate import Downsampler

FRAME = 768
"""Samples (24 kHz) that one decision covers: 32 ms."""

_FRAME_16K = 512
_CONTEXT_16K = 64

_STEP = FRAME // 4
"""8 ms, in which loudness is taken."""
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


class SileroModel:
    """The network, shared by all streams of the process; it holds no stream's state."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # the published graph has unused initializers, warned about at every load
        weights = resources.files("duologue.ears").joinpath("silero", "silero_vad.onnx").read_bytes()
        self._session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        self._rate = np.array(rate.RATE, dtype=np.int64)

    def step(self, window: NDArray[np.float32], state: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
        """One frame with its context [576] and the LSTM's state [2, 1, 128]; the probability and the new state."""
        probability, state = self._session.run(None, {"input": window[None], "state": state, "sr": self._rate})
        return probability.item(), state


_loaded: SileroModel | None = None
_loading = threading.Lock()


def silero() -> SileroModel:
    """The process's one network, loaded (30 ms) when first asked for."""
    global _loaded
    with _loading:
        if _loaded is None:
            _loaded = SileroModel()
        return _loaded


class VoiceActivity:
    """The voice on one stream of audio. Any chunking gives the same events at the same positions.

    A voice begins with ``onset_frames`` frames in a row at or above ``threshold`` and goes on through frames at
    or above ``threshold`` - 0.15 (as Silero's own iterator has it); ``pause_ms`` without one is a pause.
    """

    def __init__(
        self,
        model: SileroModel | None = None,
        *,
        threshold: float = 0.5,
        onset_frames: int = 2,
        pause_ms: int = 96,
    ) -> None:
        if not 0.0 < threshold < 1.0:
            raise ValueError(f"threshold is a probability between 0 and 1, not {threshold}")
        if onset_frames < 1 or pause_ms < 1:
            raise ValueError("onset_frames and pause_ms must be at least 1")
        self._model = model or silero()
        self._onset_threshold = threshold
        self._release_threshold = max(threshold - 0.15, 0.01)
        self._onset_frames = onset_frames
        self._pause = pause_ms * RATE // 1000
        self._downsampler = Downsampler()
        self._waiting: list[Wave] = []
        self._waiting_samples = 0
        self._state = np.zeros((2, 1, 128), dtype=np.float32)
        self._window = np.zeros(_CONTEXT_16K + _FRAME_16K, dtype=np.float32)
        self._frames = 0
        self._rising = 0
        self._voiced = False
        self._last_voice = 0
        self._loudness = 0.0
        self._recent: deque[float] = deque(maxlen=(_BACK + onset_frames * FRAME) // _STEP)

    @property
    def until(self) -> int:
        """Samples decided about so far; fewer than one frame wait for the next push."""
        return self._frames * FRAME

    @property
    def voiced(self) -> bool:
        """Whether a voice is on, from its onset to its pause."""
        return self._voiced

    @property
    def last_voice(self) -> int:
        """Where voice was last heard, up to :attr:`until`; 0 before any voice."""
        return self._last_voice

    def push(self, wave: Wave) -> list[VoiceEvent]:
        """The events that ``wave`` [n] (24 kHz, continuing the stream) brings about, in order."""
        self._waiting.append(wave)
        self._waiting_samples += len(wave)
        if self._waiting_samples < FRAME:
            return []
        stretch = np.concatenate(self._waiting)
        whole = len(stretch) // FRAME * FRAME
        self._waiting = [stretch[whole:].copy()]
        self._waiting_samples = len(stretch) - whole
        events: list[VoiceEvent] = []
        for start in range(0, whole, FRAME):
            event = self._frame(stretch[start : start + FRAME])
            if event is not None:
                events.append(event)
        return events

    def _frame(self, wave: Wave) -> VoiceEvent | None:
        self._window[:_CONTEXT_16K] = self._window[-_CONTEXT_16K:]
        self._window[_CONTEXT_16K:] = self._downsampler.push(wave)
        probability, self._state = self._model.step(self._window, self._state)
        loudness = np.sqrt(np.mean(np.square(wave.reshape(-1, _STEP)), axis=1))
        self._recent.extend(loudness.tolist())
        self._frames += 1
        if self._voiced:
            return self._held(probability, loudness)
        if probability < self._onset_threshold:
            self._rising = 0
            return None
        self._rising += 1
        if self._rising < self._onset_frames:
            return None
        return self._begun()

    def _begun(self) -> Onset:
        """A voice has been on for the required frames: since when, and how loud is it?"""
        steps = list(self._recent)
        first = max(len(steps) - self._rising * FRAME // _STEP, 0)
        self._loudness = max(steps[first:])
        while first > 0 and steps[first - 1] >= _EDGE * self._loudness > 0:
            first -= 1
        self._voiced = True
        self._rising = 0
        self._last_voice = self.until
        return Onset(self.until - (len(steps) - first) * _STEP)

    def _held(self, probability: float, loudness: NDArray[np.float32]) -> VoiceEvent | None:
        if probability >= self._release_threshold:
            self._loudness = max(self._loudness * _FADE, float(loudness.max()))
            loud = np.flatnonzero(loudness >= _EDGE * self._loudness)
            if len(loud):
                self._last_voice = self.until - FRAME + (int(loud[-1]) + 1) * _STEP
        if self.until - self._last_voice < self._pause:
            return None
        self._voiced = False
        return Pause(self._last_voice)
