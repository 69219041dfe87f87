"""What a socket gets: a session on the server's backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from duologue.backends.contract import Backend
from duologue.server.metrics import Metrics
from duologue.server.options import ServerOptions
from duologue.server.websocket import Driven
from duologue.session.options import SessionOptions
from duologue.session.session import Session

AT_ONCE = 4
"""Steps of 40 ms that a session hears before others get their turn: 0.5 to 4 ms of work, by the machine."""


def opener(
    options: ServerOptions, backend: Backend, metrics: Metrics
) -> Callable[[Callable[[], None], Mapping[str, Any] | None], Driven]:
    """Makes sessions; each is given what it calls to be polled again, and settings to start with if there are any."""
    defaults = SessionOptions(
        lead_ms=options.lead_ms, strictness=options.strictness, history=options.history, speculate=options.speculate
    )

    def open_session(wake: Callable[[], None], initial: Mapping[str, Any] | None) -> Session:
        return Session(backend, options=defaults, initial=initial, wake=wake, observer=metrics, steps=AT_ONCE)

    return open_session
