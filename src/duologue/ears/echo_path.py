"""The way from the loudspeaker to the microphone as a linear filter, learnt while sound is played.

A partitioned-block Kalman filter in the frequency domain (Enzner and Vary, "Frequency-domain adaptive Kalman filter for
acoustic echo control in hands-free telephones", Signal Processing 86, 2006; partitioned: Kuech, Mabande and Enzner,
ICASSP 2014). It weighs each step by how sure it is of the filter and how much else is in the microphone, so a person
who speaks over the echo does not spoil what was learnt. Linear as it is, it leaves the person's voice whole, and
of the echo what a loudspeaker distorts: 10 dB down after two seconds of speech, 20 to 25 dB down after ten.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from duologue.audio import Wave

_FORGETS = 0.9995
"""What of the filter is believed to hold from one step to the next; the rest may have changed."""

_UNSURE = 0.01
"""How unsure the filter is of each of its partitions at first."""

_SMOOTH = 0.8
"""How much of the error's spectrum is kept from one step to the next."""


class EchoPath:
    """A filter over the latest ``partitions`` * ``size`` played samples, taken ``size`` at a time."""

    def __init__(self, size: int, partitions: int) -> None:
        self._size = size
        self._previous: Wave = np.zeros(size, np.float32)
        self._played = np.zeros((partitions, size + 1), complex)
        """Spectra of the latest stretches played, the newest first."""
        self._filter = np.zeros_like(self._played)
        self._unsure = np.full(self._played.shape, _UNSURE)
        self._rest = np.full(size + 1, 1e-3)
        """Power spectrum of what the filter does not explain."""

    def step(self, played: Wave, heard: Wave) -> tuple[Wave, Wave]:
        """(echo, rest): ``heard`` [size] is the echo of what was played, up to ``played`` [size], and the rest."""
        stretch = np.concatenate((self._previous, played))
        self._previous = stretch[self._size :]
        self._played = np.roll(self._played, 1, axis=0)
        self._played[0] = np.fft.rfft(stretch)
        echo = np.fft.irfft(np.sum(self._played * self._filter, axis=0))[self._size :]
        rest = heard - echo
        self._learn(np.fft.rfft(np.concatenate((np.zeros(self._size), rest))))
        return echo.astype(np.float32), rest.astype(np.float32)

    def _learn(self, rest: NDArray[np.complex128]) -> None:
        self._rest = _SMOOTH * self._rest + (1 - _SMOOTH) * np.abs(rest) ** 2
        power = np.abs(self._played) ** 2
        # Half of each window is this step's: the factors 0.5 account for it (Kuech et al., eq. 15 to 18).
        gain = self._unsure / (np.sum(0.5 * power * self._unsure, axis=0) + self._rest + 1e-9)
        change = np.fft.irfft(gain * np.conj(self._played) * rest, axis=1)
        change[:, self._size :] = 0  # a partition reaches no further than its size
        self._filter = _FORGETS * (self._filter + np.fft.rfft(change, axis=1))
        kept = _FORGETS**2 * (1 - 0.5 * gain * power) * self._unsure
        self._unsure = kept + (1 - _FORGETS**2) * np.abs(self._filter) ** 2
