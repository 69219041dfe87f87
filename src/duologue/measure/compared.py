"""One line of a comparison: ours beside somebody else's, measured in turns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of step, or of work."""

    what: str
    sessions: int
    dtype: str
    ours_ms: float
    theirs_ms: float | None
    """Median of theirs for one session; ``None`` where it is not measured at that."""
    to_one: float
    """Ours against ours for one session of the same precision."""

    @property
    def ratio(self) -> float | None:
        """Ours for all these sessions against theirs for one."""
        return None if self.theirs_ms is None else self.ours_ms / self.theirs_ms

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"ratio": self.ratio}

    def __str__(self) -> str:
        ours = f"{self.sessions:>2} sessions {self.ours_ms:7.1f} ms  {self.to_one:.2f} of one"
        shown = f"{self.what:<46} {self.dtype:<13} {ours}"
        return shown if self.ratio is None else f"{shown}  theirs, one {self.theirs_ms:6.1f} ms  ratio {self.ratio:.2f}"
