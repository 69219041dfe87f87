"""Who may speak: a finite state machine written as a table. Pure."""

from __future__ import annotations

from duologue.floor.machine import IGNORED, TABLE, Action, Policy, Row, Signal, State, Step, step

__all__ = ["IGNORED", "TABLE", "Action", "Policy", "Row", "Signal", "State", "Step", "step"]
