"""Figures: percentiles, and how far they are from what must be reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Spread:
    """How some durations lie, in whole milliseconds."""

    count: int
    p50: int
    p95: int
    p99: int
    longest: int

    @classmethod
    def of(cls, durations: Sequence[float]) -> Spread | None:
        """Of ``durations`` in seconds; ``None`` where there are none. Percentiles are interpolated."""
        if not durations:
            return None
        p50, p95, p99, longest = (round(1000 * float(at)) for at in np.percentile(durations, (50, 95, 99, 100)))
        return cls(len(durations), p50, p95, p99, longest)

    def __str__(self) -> str:
        return f"p50 {self.p50} ms, p95 {self.p95} ms, longest {self.longest} ms ({self.count})"
