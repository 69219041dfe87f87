"""Ctrl+C reaches a whole process group, a synthesizer at work included; yet a server lets its running replies end."""

from __future__ import annotations

import signal


def hold_back() -> None:
    """For a thread that starts synthesizers: they inherit its mask, and the server alone decides about ending."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
