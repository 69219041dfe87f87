"""24 kHz → 16 kHz as a stream, for the ears: what goes in comes out at once.

A general resampler (soxr) withholds 20 to 38 ms of a stream at the qualities that reject aliases, and every
reply would wait for that. With a ratio of 2/3 the whole business is one small matrix product::

    three samples in, 48 samples of context  →  [48] @ [48, 2]  →  two samples out

The filter is a Kaiser-windowed sinc at 48 kHz (the common rate), 96 taps: flat to 7 kHz, 70 dB down from
9 kHz, linear phase, 1 ms of delay (:data:`DELAY`), which positions must be corrected for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from duologue.audio import Wave

RATE = 16_000
"""What Silero VAD and the acoustic model of PocketSphinx listen at."""

_TAPS = 48
"""Samples at 24 kHz that each sample at 16 kHz is made of."""

DELAY = _TAPS // 2
"""Samples at 24 kHz by which the result is late."""

CONTEXT = _TAPS - 1
"""Samples at 24 kHz before a stretch of which its first result is made too."""


def _filters() -> NDArray[np.float32]:
    """The two phases of the filter, shape [48, 2]: column p makes the p-th of each two samples."""
    at = np.arange(2 * _TAPS) - (2 * _TAPS - 1) / 2
    cutoff = 7_800 / 24_000  # as a share of the common rate's Nyquist frequency
    kernel = cutoff * np.sinc(cutoff * at) * np.kaiser(2 * _TAPS, 6.0)
    kernel *= 2 / kernel.sum()  # every second sample of the common rate is a stuffed zero
    # Of every three samples (common-rate positions 0, 2, 4) come two results (positions 0 and 3): a result at
    # position q meets the kernel's tap t where q - t is a sample, that is even.
    phases = np.zeros((_TAPS + 2, 2))
    for phase in (0, 1):
        for tap in range(phase, 2 * _TAPS, 2):
            phases[_TAPS - 1 + (3 * phase - tap) // 2, phase] = kernel[tap]
    return np.ascontiguousarray(phases, dtype=np.float32)


FILTERS = _filters()


BLOCK = 48
"""Samples at 24 kHz that :func:`downsample` takes at a time."""


def _block_filters() -> NDArray[np.float32]:
    """What makes 32 samples of 48 and the context before them, [95, 32]: the two phases sixteen times over, each time
    three samples further on."""
    filters = np.zeros((CONTEXT + BLOCK, 2 * BLOCK // 3), np.float32)
    for triple in range(BLOCK // 3):
        filters[3 * triple :, 2 * triple : 2 * triple + 2][: len(FILTERS)] = FILTERS
    return filters


_BLOCK_FILTERS = _block_filters()


def downsample(stretches: NDArray[np.float32]) -> NDArray[np.float32]:
    """Many stretches at once: [n, CONTEXT + BLOCK * m] at 24 kHz gives [n, 32 * m] at 16 kHz.

    A product of matrices: the last bits depend on n and m, other than :class:`Downsampler`'s. Of blocks of 48 samples,
    not three, it writes a ninth as much down before, and takes a quarter of the time.
    """
    count, length = stretches.shape
    stretches = np.ascontiguousarray(stretches)
    sample = stretches.itemsize
    # numpy's sliding_window_view gives the same view, and takes a fifth of a run of the network to do it.
    shape = (count, (length - CONTEXT) // BLOCK, CONTEXT + BLOCK)
    windows: NDArray[np.float32] = np.ndarray(
        shape, np.float32, stretches, 0, (length * sample, BLOCK * sample, sample)
    )
    product: NDArray[np.float32] = np.ascontiguousarray(windows).reshape(-1, CONTEXT + BLOCK) @ _BLOCK_FILTERS
    return product.reshape(count, -1)


class Downsampler:
    """One stream from 24 kHz to 16 kHz. Any chunking gives bit for bit the same samples."""

    def __init__(self) -> None:
        self._context: Wave = np.zeros(CONTEXT, dtype=np.float32)

    def push(self, wave: Wave) -> Wave:
        """``wave`` [n] at 24 kHz gives [2 * floor((n + rest) / 3)] at 16 kHz; the rest (0 to 2 samples) waits."""
        stretch = np.concatenate((self._context, wave))
        blocks = (len(stretch) - CONTEXT) // 3
        if blocks <= 0:
            self._context = stretch
            return np.zeros(0, dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(stretch, _TAPS + 2)[::3][:blocks]
        self._context = stretch[3 * blocks :]
        # einsum and not @: BLAS adds in an order that depends on the number of rows
        result: Wave = np.einsum("nk,kp->np", windows, FILTERS).reshape(-1)
        return result
