"""A room in numbers: a loudspeaker, walls, a person and a microphone, as a device without any hardware.

    said ─→ loudspeaker: tanh ─→ 45 ms of devices and air ─→ 150 ms of walls ─┐
    person ───────────────────────────────────────────────────────────────────┼─→ microphone
    quiet noise ──────────────────────────────────────────────────────────────┘

The loudspeaker is no linear one: at half of full scale it is short by 8 %, at full scale by 24 %.
Time passes only in :meth:`Room.step`, so a conversation in it runs as fast as the machine can, and twice alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from duologue.audio import Wave, samples
from duologue.terminal.device import BLOCK, Exchange

DELAY = samples(0.045)
"""Samples between a sound's leaving for the loudspeaker and its direct way into the microphone."""

REVERBERATION = samples(0.15)
"""Samples in which the walls' answer falls by 60 dB."""



def walls(seed: int) -> NDArray[np.float64]:
    """A random room's answer to an impulse [DELAY + REVERBERATION]: exponentially falling noise of unit energy."""
    time = np.arange(REVERBERATION)
    answer = np.random.default_rng(seed).standard_normal(REVERBERATION) * 10 ** (-3 * time / REVERBERATION)
    return np.concatenate((np.zeros(DELAY), answer / np.linalg.norm(answer)))


class Room:
    """See :class:`~duologue.terminal.device.AudioDevice`.

    ``echo`` is the echo's level at the microphone in dB relative to what is played, for sound with a flat spectrum;
    ``None``: headphones. ``noise`` is a stretch of the room's own sound, repeated for ever.
    """

    name = "a simulated room"
    latency = 0.0
    glitches = 0

    def __init__(self, *, echo: float | None, noise: Wave, seed: int = 0) -> None:
        answer = walls(seed) * (0.0 if echo is None else 10 ** (echo / 20))
        size = len(answer) + BLOCK
        self._answer = np.fft.rfft(answer, size)
        self._air = np.zeros(size)
        """The latest samples that left the loudspeaker."""
        self._noise = noise
        self._saying: list[tuple[int, Wave]] = []
        self._said: list[Wave] = []
        self._exchange: Exchange | None = None
        self._reaching = np.zeros(BLOCK)
        self.position = 0
        """Samples that have passed."""

    def start(self, exchange: Exchange) -> None:
        """Whoever is to talk in the room."""
        self._exchange = exchange

    def stop(self) -> None:
        """They have gone."""
        self._exchange = None

    def say(self, wave: Wave) -> int:
        """The person says ``wave`` from now on; returns where it begins."""
        self._saying.append((self.position, wave))
        return self.position

    def step(self) -> None:
        """10 ms pass."""
        if self._exchange is None:
            raise RuntimeError("nobody is in the room: start() it first")
        said = self._exchange(self._heard())
        self._said.append(said)
        self._air = np.concatenate((self._air[BLOCK:], np.tanh(said)))
        # Circular convolution: right at the end of the window, which is longer than the answer by one block.
        self._reaching = np.fft.irfft(np.fft.rfft(self._air) * self._answer, len(self._air))[-BLOCK:]
        self.position += BLOCK

    @property
    def said(self) -> Wave:
        """All that left the loudspeaker so far [position]."""
        return np.concatenate(self._said) if self._said else np.zeros(0, np.float32)

    def _heard(self) -> Wave:
        begin, end = self.position, self.position + BLOCK
        heard = self._reaching + np.take(self._noise, range(begin, end), mode="wrap")
        for start, wave in self._saying:
            part = wave[max(0, begin - start) : end - start]
            heard[: len(part)] += part
        self._saying = [(start, wave) for start, wave in self._saying if start + len(wave) > end]
        return np.clip(heard, -1, 1).astype(np.float32)
