"""One conversation: clocks, turns, replies, pacing, and the floor that orders them."""

from __future__ import annotations

from duologue.session.observer import Observer
from duologue.session.options import SessionOptions
from duologue.session.session import Session

__all__ = ["Observer", "Session", "SessionOptions"]
