"""Echo: what the loudspeaker says comes back into the microphone, and is taken out again here.

    far   what is played  ──┐
    near  what is heard  ───┴→ AEC3, 10 ms at a time → the person alone

The canceller is WebRTC's AEC3 with its high-pass filter, as LiveKit's wheel brings it (``pip install
"duologue[terminal]"``). It finds the delay between the two by itself, up to about half a second. It can be
given a first guess of it; none is given here: guesses up to the true delay changed nothing in a simulated room
with delays of 10 to 400 ms, while guesses 100 ms above it let the first second of echo through.

It works at 24 kHz as it is, takes 0.8 % of a core, and gets a reply's echo 30 to 45 dB down. Where both sides
speak it keeps less than half of the person's voice: enough to notice that they speak, too little to trust with their
words, which are clear again as soon as the reply has paused.
"""

from __future__ import annotations

import numpy as np

from duologue.audio import RATE, Wave
from duologue.audio.formats import decode_pcm16, encode_pcm16

FRAME = RATE // 100
"""Samples of one step of the canceller: 10 ms, which AEC3 prescribes."""

REMEDY = 'pip install "duologue[terminal]"'


class NoCanceller(RuntimeError):
    """There is no echo canceller on this machine; the message says how to get one."""


class EchoCanceller:
    """One microphone beside one loudspeaker, both running on one clock from the same moment on."""

    def __init__(self) -> None:
        """Raises :class:`NoCanceller` where LiveKit's wheel is missing or does not load."""
        try:
            from livekit import rtc

            self._module = rtc.AudioProcessingModule(echo_cancellation=True, high_pass_filter=True)
        except ImportError as error:
            raise NoCanceller(f"no echo canceller ({error}): {REMEDY}") from error
        self._frame = rtc.AudioFrame
        self._module.set_stream_delay_ms(0)
        self._far: Wave = np.zeros(0, np.float32)
        self._near: Wave = np.zeros(0, np.float32)

    def far(self, wave: Wave) -> None:
        """The next samples [n] that are played."""
        self._far = np.concatenate((self._far, wave))

    def near(self, wave: Wave) -> Wave:
        """The next samples [n] that are heard, without the echo of what was played at the same time.

        What goes in comes out in steps of 10 ms, as soon as both sides of a step are there; any chunking gives the
        same samples.
        """
        self._near = np.concatenate((self._near, wave))
        frames = min(len(self._far), len(self._near)) // FRAME
        whole = frames * FRAME
        far, near = self._far[:whole], self._near[:whole]
        self._far, self._near = self._far[whole:], self._near[whole:]
        steps = range(0, whole, FRAME)
        clean = [self._step(far[at : at + FRAME], near[at : at + FRAME]) for at in steps]
        return np.concatenate(clean) if clean else np.zeros(0, np.float32)

    def _step(self, far: Wave, near: Wave) -> Wave:
        self._module.process_reverse_stream(self._frame(bytearray(encode_pcm16(far)), RATE, 1, FRAME))
        frame = self._frame(bytearray(encode_pcm16(near)), RATE, 1, FRAME)
        self._module.process_stream(frame)
        return decode_pcm16(frame.data.tobytes())
