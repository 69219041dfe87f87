"""What the operator decides about every session of a server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Defaults of the server; a client may ask for another lead (``session.duologue.lead_ms``)."""

    lead_ms: int | None = 160
    """Milliseconds of audio sent ahead of real time; ``None``: unpaced (offline use)."""
