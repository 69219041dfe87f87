"""What the operator decides about every session of a server."""

from __future__ import annotations

from dataclasses import dataclass

from duologue.backends.contract import Strictness


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Defaults of the server; a client may ask for others (``session.duologue``)."""

    lead_ms: int | None = 120
    """Milliseconds of audio sent ahead of real time; ``None``: unpaced (offline use)."""
    strictness: Strictness = "normal"
    """How sure the model must be that words are meant for it, before it answers them unasked."""
    history: bool = False
    """Whether a model that was trained on single turns shall know of earlier ones all the same."""
    speculate: bool = True
    """Whether a reply is begun at the first pause of a turn, and taken back if the person goes on."""
