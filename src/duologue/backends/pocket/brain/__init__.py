"""pocket's brain: skills with slots. No I/O, no clock and no dice of its own."""

from __future__ import annotations

from .understanding import Parse, understand

__all__ = ["Parse", "understand"]
