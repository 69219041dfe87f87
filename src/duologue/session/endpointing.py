"""Endpointing: how long a silence must last before it ends the turn.

The wait is short when the words already make a finished utterance, long when they plainly do not, and in between
when nobody can tell. ``semantic_vad`` chooses among the three by its eagerness, and never waits longer than the
protocol's own limits (8 s, 4 s, 2 s); ``server_vad`` waits its ``silence_duration_ms`` whatever the words.
"""

from __future__ import annotations

from dataclasses import dataclass

from duologue.protocol.settings import SemanticVad, ServerVad


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds of silence that end a turn."""

    complete: float
    unknown: float
    incomplete: float

    def wait(self, complete: bool | None) -> float:
        """The silence to wait for, given whether the words make a complete utterance."""
        if complete is None:
            return self.unknown
        return self.complete if complete else self.incomplete


_EAGERNESS = {
    "high": Patience(0.16, 0.40, 1.0),
    "medium": Patience(0.22, 0.58, 1.8),
    "low": Patience(0.50, 1.40, 4.0),
}


def patience(detection: ServerVad | SemanticVad) -> Patience:
    """How patient the session's turn detection is."""
    if isinstance(detection, ServerVad):
        silence = detection.silence_duration_ms / 1000
        return Patience(silence, silence, silence)
    eagerness = "medium" if detection.eagerness == "auto" else detection.eagerness
    return _EAGERNESS[eagerness]
