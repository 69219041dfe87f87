"""What a socket gets: a session on the server's backend."""

from __future__ import annotations

from collections.abc import Callable

from duologue.backends.contract import Backend
from duologue.server.metrics import Metrics
from duologue.server.options import ServerOptions
from duologue.server.websocket import Driven
from duologue.session.options import SessionOptions
from duologue.session.session import Session


def opener(options: ServerOptions, backend: Backend, metrics: Metrics) -> Callable[[Callable[[], None]], Driven]:
    """Makes sessions; each is given what it calls to be polled again."""
    defaults = SessionOptions(lead_ms=options.lead_ms)

    def open_session(wake: Callable[[], None]) -> Session:
        return Session(backend, options=defaults, wake=wake, observer=metrics)

    return open_session
