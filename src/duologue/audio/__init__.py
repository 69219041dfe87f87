"""Audio at the edges. Inside duologue sound is mono float32 in [-1, 1] at 24 kHz; everything else converts here.

Positions on a session's two timelines (heard and said) are whole samples at :data:`RATE`, counted from
the session's start. Seconds and milliseconds appear only where a protocol or a person wants them.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

RATE = 24_000
"""Samples per second on both timelines."""

Wave: TypeAlias = NDArray[np.float32]
"""Mono samples in [-1, 1] at :data:`RATE`, shape [n]."""


def samples(seconds: float) -> int:
    """Whole samples in ``seconds``."""
    return round(seconds * RATE)


def seconds(count: int) -> float:
    """Seconds that ``count`` samples last."""
    return count / RATE


def milliseconds(count: int) -> int:
    """Whole milliseconds (rounded down) that ``count`` samples last."""
    return count * 1000 // RATE
