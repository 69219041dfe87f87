"""Silero VAD v6 (MIT, see ``silero/LICENSE``) run by onnxruntime, for many streams at once.

    24 kHz wave → 16 kHz, frames of 512 (32 ms) with 64 samples before each
    → spectrum, four convolutions, LSTM → probability of voice per frame

A run costs 0.3 ms for one stream and 0.1 ms for each of many (a Xeon at 2.3 GHz), and up to 1 ms for one stream where
the processor did other things meanwhile. So what a stream hears waits until somebody asks what a stream makes of it;
then one run serves every stream that has a frame waiting. A stream is judged the same alone and among others, to the
last bits of a float.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass
from importlib import resources
from itertools import islice

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from duologue.audio import Wave
from duologue.ears import rate

FRAME = 768
"""Samples (24 kHz) that one judgement covers: 32 ms."""

STEP = FRAME // 4
"""8 ms, in which loudness is taken."""

TOGETHER = 64
"""Streams in one run at most: more gain nothing, and a run holds up everything else for 2 ms already."""

_CONTEXT_16K = 64
_FRAME_16K = 512


@dataclass(frozen=True, slots=True)
class Judged:
    """One frame."""

    probability: float
    """That somebody's voice is in it."""
    loudness: tuple[float, ...]
    """RMS of its four steps."""


class Silero:
    """The network, and the streams that wait for it. One for all streams of the process (:func:`silero`)."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # the published graph has unused initializers, warned about at every load
        weights = resources.files("duologue.ears").joinpath("silero", "silero_vad.onnx").read_bytes()
        self._session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        self._rate = np.array(rate.RATE, dtype=np.int64)
        self._waiting: dict[Stream, None] = {}
        self._lock = threading.Lock()

    def wait_for(self, stream: Stream) -> None:
        """``stream`` has frames for the next run."""
        with self._lock:
            self._waiting[stream] = None

    def serve(self, stream: Stream) -> None:
        """Judge the first frame that ``stream`` has, if none is judged yet, and in the same run one of each other
        stream that waits."""
        with self._lock:
            if stream.made:
                return  # by another thread's run
            others = (other for other in self._waiting if other is not stream)
            streams = [stream, *islice(others, TOGETHER - 1)]
            self._run(streams)
            for each in streams:
                if not each.frames:
                    self._waiting.pop(each, None)

    def _run(self, streams: list[Stream]) -> None:
        stretches = np.stack([each.stretch() for each in streams])
        windows = np.empty((len(streams), _CONTEXT_16K + _FRAME_16K), np.float32)
        windows[:, :_CONTEXT_16K] = [each.context for each in streams]
        windows[:, _CONTEXT_16K:] = rate.downsample(stretches)
        state = np.stack([each.state for each in streams], axis=1)
        probability, state = self._session.run(None, {"input": windows, "state": state, "sr": self._rate})
        steps = np.square(stretches[:, rate.CONTEXT :]).reshape(len(streams), -1, STEP)
        loudness = np.sqrt(np.add.reduce(steps, axis=2) / np.float32(STEP))
        for n, each in enumerate(streams):
            each.take(
                Judged(float(probability[n, 0]), tuple(loudness[n].tolist())),
                windows[n, -_CONTEXT_16K:].copy(),
                state[:, n].copy(),
            )


class Stream:
    """One stream of sound on its way through the network."""

    def __init__(self, network: Silero) -> None:
        self._network = network
        self._sound: Wave = np.zeros(rate.CONTEXT, np.float32)
        """What is not judged yet, and before it what the resampler still needs."""
        self._coming: list[Wave] = []
        self._coming_samples = 0
        self.made: deque[Judged] = deque()
        """Frames that are judged and not asked for yet."""
        self.context: Wave = np.zeros(_CONTEXT_16K, np.float32)
        """The last samples at 16 kHz [64]."""
        self.state: NDArray[np.float32] = np.zeros((2, 128), np.float32)
        """Of the LSTM."""

    def hear(self, wave: Wave) -> None:
        """More sound [n] at 24 kHz."""
        self._coming.append(wave)
        self._coming_samples += len(wave)
        if self._coming_samples + len(self._sound) >= FRAME + rate.CONTEXT:
            self._sound = np.concatenate((self._sound, *self._coming))
            self._coming, self._coming_samples = [], 0
            self._network.wait_for(self)

    @property
    def frames(self) -> int:
        """Whole frames that wait."""
        return (len(self._sound) - rate.CONTEXT) // FRAME

    @property
    def loudness(self) -> float:
        """RMS of the first whole frame that waits."""
        frame = self._sound[rate.CONTEXT : rate.CONTEXT + FRAME]
        return math.sqrt(float(np.dot(frame, frame)) / FRAME)

    def judged(self) -> Judged:
        """The next frame; one must have been heard whole."""
        if not self.made:
            self._network.serve(self)
        return self.made.popleft()

    # -- for the network --------------------------------------------------------------------------------------

    def stretch(self) -> Wave:
        """The first frame that waits, and the resampler's context before it."""
        return self._sound[: rate.CONTEXT + FRAME]

    def take(self, judged: Judged, context: Wave, state: NDArray[np.float32]) -> None:
        """That frame was judged."""
        self.made.append(judged)
        self._sound = self._sound[FRAME:]
        self.context, self.state = context, state


_loaded: Silero | None = None
_loading = threading.Lock()


def silero() -> Silero:
    """The process's one network, loaded (30 ms) when first asked for."""
    global _loaded
    with _loading:
        if _loaded is None:
            _loaded = Silero()
        return _loaded
