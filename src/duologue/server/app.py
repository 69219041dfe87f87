"""The routes: OpenAI's under ``/v1``, the page at ``/``, and what operators watch."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from structlog.contextvars import bound_contextvars

from duologue.backends.contract import Card
from duologue.server import client_secrets, errors, websocket
from duologue.server.access import CHAT, REALTIME, Access, CrossOrigin, Gate, offered_keys
from duologue.server.client_secrets import ClientSecrets
from duologue.server.house import Full, House
from duologue.server.metrics import Metrics
from duologue.server.options import ServerOptions

if TYPE_CHECKING:
    from duologue.server.chat import Seats

PAGE = Path(__file__).parent / "page"

OpenSession = Callable[[Callable[[], None], Mapping[str, Any] | None], websocket.Driven]
"""Makes a session, given what it calls to be polled again, and the settings that it starts with where there are any."""

# Only the page's own files, and its own server; AudioWorklet modules count as scripts.
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "connect-src 'self' ws: wss:",  # older Safari does not take 'self' for a WebSocket
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Permissions-Policy": "microphone=(self), camera=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # revalidated by ETag, so that page and server are always of one version
}

log = structlog.get_logger("duologue.server")


def build(
    options: ServerOptions,
    card: Card,
    house: House,
    metrics: Metrics,
    opener: OpenSession,
    seats: Seats | None = None,
) -> Starlette:
    """The application of one server that serves one backend; with ``seats``, in Moshi's protocol too."""
    issued = ClientSecrets()
    access = Access(options, issued)
    models = Models(card)
    routes = [
        WebSocketRoute(REALTIME, _realtime(house, metrics, opener, issued)),
        *([] if seats is None else [_chat_route(house, metrics, seats)]),
        WebSocketRoute("/{path:path}", _no_such_socket),
        Route(REALTIME, _upgrade_required),
        Route("/v1/realtime/client_secrets", client_secrets.endpoint(issued, card), methods=["POST"]),
        Route("/v1/realtime/calls", _no_webrtc, methods=["POST"]),
        Route("/v1/models", models.list),
        Route("/v1/models/{name:path}", models.retrieve),
        Route("/", _page),
        Mount("/static", StaticFiles(directory=PAGE)),
        Route("/healthz", _health(house)),
        Route("/metrics", metrics.page),
    ]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(SafeHeaders),
            Middleware(CrossOrigin, access=access),
            Middleware(Gate, access=access),
        ],
        exception_handlers={
            HTTPException: errors.on_http_exception,
            WebSocketDisconnect: _left_at_the_door,
            Exception: errors.on_crash,
        },
    )


class SafeHeaders:
    """Headers that keep browsers from running, framing or caching more than is meant."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        await self._app(scope, receive, with_headers)


def _chat_route(house: House, metrics: Metrics, seats: Seats) -> WebSocketRoute:
    from duologue.server import chat  # with its Opus library, which comes with the models

    return WebSocketRoute(CHAT, chat.endpoint(house, metrics, seats))


def _realtime(
    house: House, metrics: Metrics, opener: OpenSession, issued: ClientSecrets
) -> Callable[[WebSocket], Awaitable[None]]:
    async def realtime(socket: WebSocket) -> None:
        """``WS /v1/realtime?model=NAME``; clients send OpenAI's names, the loaded model answers to all."""
        for other in ("call_id", "intent"):
            if other in socket.query_params:
                message = f"'{other}' belongs to an API that this server does not have; connect without it"
                await socket.send_denial_response(errors.refusal(400, message, "unsupported_parameter"))
                return
        initial = issued.settings(offered_keys(socket.headers, socket.scope))
        line = websocket.Line(socket, lambda wake: opener(wake, initial))
        name = secrets.token_hex(4)
        try:
            with bound_contextvars(session=name), house.seat(line), metrics.sessions.track_inprogress():
                began = time.monotonic()
                ending = await line.run()
        except Full as full:
            metrics.sessions_refused.labels(full.code).inc()
            log.info("session refused", code=full.code)
            await websocket.turn_away(socket, full.code, str(full))
        else:
            metrics.sessions_ended.labels(ending.label).inc()
            log.info("session ended", session=name, why=ending.label, seconds=round(time.monotonic() - began, 1))

    return realtime


class Models:
    """``/v1/models``: the one model, with the facts of its card beside what OpenAI's list has."""

    def __init__(self, card: Card) -> None:
        self._model: dict[str, Any] = {
            "id": card.name,
            "object": "model",
            "created": int(time.time()),
            "owned_by": "duologue",
            "title": card.title,
            "languages": card.languages,
            "input_modalities": card.input_modalities,
            "output_modalities": card.output_modalities,
            "voices": card.voices,
            "tools": card.tools,
            "licence": card.licence,
            "notes": card.notes,
        }

    async def list(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model]})

    async def retrieve(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name == self._model["id"]:
            return JSONResponse(self._model)
        message = f"there is no model called {name!r} here; this server serves {self._model['id']!r}"
        return errors.refusal(404, message, "model_not_found")


async def _page(request: Request) -> Response:
    return FileResponse(PAGE / "index.html")


def _health(house: House) -> Callable[[Request], Awaitable[Response]]:
    async def health(request: Request) -> Response:
        """For load balancers: 503 once no new sessions are taken."""
        if house.draining:
            return JSONResponse({"status": "draining"}, status_code=503)
        return JSONResponse({"status": "ok"})

    return health


async def _upgrade_required(request: Request) -> Response:
    message = "this is a WebSocket: connect to it with a ws:// or wss:// URL, not with a plain GET"
    return errors.refusal(426, message, "upgrade_required", headers={"Upgrade": "websocket"})


async def _no_webrtc(request: Request) -> Response:
    message = "this version does not speak WebRTC; connect by WebSocket to /v1/realtime"
    return errors.refusal(404, message, "webrtc_not_supported")


async def _no_such_socket(socket: WebSocket) -> None:
    message = f"there is no WebSocket at {socket.scope['path']}; connect to /v1/realtime"
    await socket.send_denial_response(errors.refusal(404, message, "not_found"))


async def _left_at_the_door(socket: WebSocket, error: Exception) -> None:
    """The client was gone before the handshake, or the refusal, was complete: nobody is left to be told."""
    log.info("client left at the door", path=socket.scope["path"])
