"""What Prometheus reads at ``/metrics``."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)
from starlette.requests import Request
from starlette.responses import Response

from duologue import __version__, audio
from duologue.engine.messages import Pulse

# Finest where conversations are won or lost: people answer each other within 0.2 to 0.5 s.
_LATENCIES = (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.5, 2.0, 3.0, 5.0)


class Metrics:
    """One server's figures, in a registry of their own; a :class:`duologue.session.observer.Observer`."""

    def __init__(self, model: str) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info("duologue", "What is served", registry=registry).info({"version": __version__, "model": model})
        self.sessions = Gauge("duologue_sessions", "Sessions open now", registry=registry)
        self.sessions_ended = Counter(
            "duologue_sessions_ended",
            "Sessions that ended, by why: client, slow (it did not read), drained, failed",
            ["why"],
            registry=registry,
        )
        self.sessions_refused = Counter(
            "duologue_sessions_refused", "Sessions refused, by error code", ["code"], registry=registry
        )
        self._turns = Counter("duologue_turns", "Turns heard", registry=registry)
        self._left_alone = Counter(
            "duologue_turns_left_alone", "Turns heard to which silence was chosen", registry=registry
        )
        self._replies = Counter("duologue_replies", "Replies that ended, by status", ["status"], registry=registry)
        self._first_response = Histogram(
            "duologue_first_response_seconds",
            "From the end of the person's voice to the first audible sample of the answer",
            buckets=_LATENCIES,
            registry=registry,
        )
        self._barge_ins = Counter("duologue_barge_ins", "Replies interrupted by the person", registry=registry)
        self._heard = Counter("duologue_heard_seconds", "Seconds of audio heard", registry=registry)
        self._said = Counter("duologue_said_seconds", "Seconds of audio said", registry=registry)

    def watch(self, pulse: Callable[[], Pulse | None]) -> None:
        """Figures of an engine, as its last sign of life has them; all 0 while it is not there."""
        figures = {
            "duologue_engine_room": ("Conversations that the engine can hold in real time", "room"),
            "duologue_engine_seated": ("Seats taken in the engine", "seated"),
            "duologue_engine_tick_milliseconds": ("Median time of a tick in the last second", "tick_ms"),
            "duologue_engine_worst_tick_milliseconds": ("Longest tick in the last second", "worst_ms"),
            "duologue_engine_taken_back": ("Answers begun and taken back since the engine began", "taken_back"),
            "duologue_engine_lost_seconds": ("Seconds of computing that went into these", "lost_s"),
        }
        for name, (meaning, field) in figures.items():
            gauge = Gauge(name, meaning, registry=self.registry)
            gauge.set_function(lambda field=field: getattr(pulse(), field, 0))  # type: ignore[misc]

    def turn_heard(self) -> None:
        self._turns.inc()

    def turn_left_alone(self) -> None:
        self._left_alone.inc()

    def reply_ended(self, status: str) -> None:
        self._replies.labels(status).inc()

    def first_response(self, seconds: float) -> None:
        self._first_response.observe(seconds)

    def barge_in(self) -> None:
        self._barge_ins.inc()

    def heard(self, samples: int) -> None:
        self._heard.inc(audio.seconds(samples))

    def said(self, samples: int) -> None:
        self._said.inc(audio.seconds(samples))

    async def page(self, request: Request) -> Response:
        """``GET /metrics``, in Prometheus' text format."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)
