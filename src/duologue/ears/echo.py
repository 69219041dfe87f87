"""Echo: what the loudspeaker says comes back into the microphone, and is taken out again here.

    far   what is played ──┬──→ AEC3 ───────────→ is somebody there? ─┐
    near  what is heard  ──┴──→ linear filter ─→ with all they say ──┴─→ the person alone

Two cancellers, 10 ms at a time. WebRTC's AEC3 (as LiveKit's wheel brings it) gets a reply's echo 30 to 45 dB down and
hardly ever takes it for a person; but of a person who speaks over a loud reply it leaves scraps, too little for the ear
to know a voice or a word by. A linear filter (:mod:`.echo_path`) leaves the person whole, and of the echo a whisper
that is a voice as well. So both decide together whether somebody is there: if not, AEC3's output is what comes
out, if so, the linear filter's.

AEC3 finds the delay between the two sides by itself, up to about half a second. It can be given a first guess of it;
none is given here: guesses up to the true delay changed nothing in a simulated room with delays of 10 to 400 ms, while
guesses 100 ms above it let the first second of echo through.
"""

from __future__ import annotations

import numpy as np

from duologue.audio import RATE, Wave
from duologue.audio.formats import decode_pcm16, encode_pcm16
from duologue.ears.echo_path import EchoPath

FRAME = RATE // 100
"""Samples of one step of the canceller: 10 ms, which AEC3 prescribes."""

REACH = 30
"""Steps of played sound whose echo the linear filter can explain: 300 ms of delay and reverberation."""

REMEDY = 'pip install "duologue[terminal]"'

_SMOOTH = 0.4
"""How much of a step's power enters the averages."""
_QUIET = 10 ** (-62 / 10)
"""AEC3's output is taken to be no softer than this: it adds comfort noise itself."""
_RISE = 10 ** (0.05 / 10)
"""How fast the floor of AEC3's output may rise in a step: 5 dB a second."""
_ABOVE = 10 ** (6 / 10)
"""A person stands out of that floor by 6 dB."""
_RINGS = 10 ** (-1 / 10)
"""Reverberation falls by 1 dB a step or faster: by 60 dB in 0.6 s."""
_BESIDE = 10 ** (-3 / 10)
"""A person is at most 3 dB softer than the echo."""
_AUDIBLE = 10 ** (-50 / 10)
_HOLD = 15
"""Steps for which somebody who was there is still taken to be: 150 ms, the silence inside a consonant."""
_PLAYS = 10 ** (-40 / 10)
"""Softer than that nothing is to be learnt from what is played."""
_EXPLAINED = 10 ** (-10 / 10)
"""The filter explains a step if it leaves a tenth of what is heard,"""
_SLIGHT = 10 ** (-40 / 10)
"""or if there is next to no echo to explain (headphones)."""
_ENOUGH = 75
_SURE = 300
"""Steps explained: what is enough, and what is counted at most."""
_NOTHING = 10 ** (-12 / 10)
"""Where the filter leaves less than this of the echo, there is nobody."""
_SUPPRESSED = 10 ** (-8 / 10)
"""While the filter is learning: where AEC3 leaves less than this of what is heard, there is nobody."""
_MUFFLED = 10 ** (-12 / 20)
"""AEC3 leaves a faint voice of an echo now and then, most often in the first second of it. Where there is nobody, its
output is therefore taken down by 12 dB, towards its own noise."""


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
        self._path = EchoPath(FRAME, REACH)
        self._presence = Presence()
        self._gains = (0.0, 1.0)
        """Of the linear filter's output and of AEC3's in the last sample."""
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
        clean = decode_pcm16(frame.data.tobytes())
        echo, rest = self._path.step(far, near)
        there = self._presence.step(far, near, clean=clean, echo=echo, rest=rest)
        gains = (1.0, 0.0) if there else (0.0, _MUFFLED if self._presence.echo_alone else 1.0)
        ramps = np.linspace(self._gains, gains, FRAME, dtype=np.float32)
        self._gains = gains
        return ramps[:, 0] * rest + ramps[:, 1] * clean


class Presence:
    """Is somebody there besides the echo?

    Three things must hold: the filter has learnt the echo; what it does not explain is not small beside the echo, nor
    beside the echo's reverberation; and AEC3 lets something through that stands out of its own noise. Without the
    first, the echo of the very first words would be a person; without the second, every knock on the table; without the
    third, every peak of what the loudspeaker distorts.
    """

    def __init__(self) -> None:
        self._clean = self._rest = self._echo = self._heard = 0.0
        """Powers, averaged over some 20 ms."""
        self._floor = _QUIET
        self._ringing = 0.0
        """The echo's power, with the reverberation that follows it."""
        self._learnt = 0
        self._left = 0

    @property
    def learnt(self) -> bool:
        """Whether the filter is believed."""
        return self._learnt >= _ENOUGH

    @property
    def echo_alone(self) -> bool:
        """Whether there is an echo for certain, and nobody else."""
        if self.learnt:
            return self._rest < _NOTHING * self._ringing
        return self._clean < _SUPPRESSED * self._heard

    def step(self, far: Wave, near: Wave, *, clean: Wave, echo: Wave, rest: Wave) -> bool:
        """One step of both sides, of AEC3's output, and of the linear filter's two parts."""
        self._clean += _SMOOTH * (_power(clean) - self._clean)
        self._rest += _SMOOTH * (_power(rest) - self._rest)
        self._echo += _SMOOTH * (_power(echo) - self._echo)
        self._heard += _SMOOTH * (_power(near) - self._heard)
        self._floor = max(_QUIET, min(self._clean, self._floor * _RISE))
        self._ringing = max(self._echo, self._ringing * _RINGS)
        stands_out = self._clean > _ABOVE * self._floor
        self._learn(_power(far), stands_out)
        beside = self._rest > max(_BESIDE * self._ringing, _AUDIBLE)
        if self.learnt and beside and stands_out:
            self._left = _HOLD
        self._left -= self._left > 0
        return self._left > 0

    def _learn(self, played: float, stands_out: bool) -> None:
        """The filter is believed once it has explained most of a second of echo, until it is wrong for long."""
        if played < _PLAYS:
            return
        if self._rest < max(_EXPLAINED * self._heard, _SLIGHT * played):
            self._learnt = min(self._learnt + 1, _SURE)
        elif self._rest > max(0.5 * self._heard, _AUDIBLE) and not stands_out:
            self._learnt = max(self._learnt - 1, 0)


def _power(wave: Wave) -> float:
    """Mean square."""
    return float(np.mean(np.square(wave)))
