"""A chat endpoint of OpenAI's protocol on a real socket; what it answers is written in what it is given."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


def chunk(content: str | None = None, **delta: Any) -> str:
    """One event: a piece of text, or whatever else ``delta`` holds."""
    if content is not None:
        delta["content"] = content
    return f"data: {json.dumps({'object': 'chat.completion.chunk', 'choices': [{'index': 0, 'delta': delta}]})}\n\n"


def end(reason: str = "stop") -> str:
    """The last event of an answer, and what ends the stream."""
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': {}, 'finish_reason': reason}]})}\n\ndata: [DONE]\n\n"


def answer(*texts: str) -> tuple[str, ...]:
    """A whole answer in pieces."""
    return (chunk(role="assistant", content=""), *(chunk(text) for text in texts), end())


@dataclass
class Endpoint:
    """Answers with ``script``: pieces of the body, or seconds to wait, or an event to wait for."""

    script: Sequence[str | bytes | float | asyncio.Event] = ()
    status: int = 200
    kind: str = "text/event-stream"
    models: tuple[str, ...] = ("tiny-chat",)
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client closed its connection before the answer was over."""

    async def complete(self, request: Request) -> Response:
        self.asked.append(await request.json())
        self.keys.append(request.headers.get("authorization"))
        return StreamingResponse(self._body(), self.status, media_type=self.kind)

    async def _body(self) -> AsyncIterator[bytes]:
        try:
            for piece in tuple(self.script):
                match piece:
                    case float() | int():
                        await asyncio.sleep(piece)
                    case asyncio.Event():
                        await piece.wait()
                    case str():
                        yield piece.encode()
                    case bytes():
                        yield piece
        except asyncio.CancelledError:
            self.hung_up.set()
            raise

    async def list(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Those of the last request."""
        messages: list[dict[str, Any]] = self.asked[-1]["messages"]
        return messages


@asynccontextmanager
async def running(endpoint: Endpoint) -> AsyncIterator[Endpoint]:
    """The endpoint on a free port."""
    routes = [
        Route("/v1/chat/completions", endpoint.complete, methods=["POST"]),
        Route("/v1/models", endpoint.list),
    ]
    listening = socket.create_server(("127.0.0.1", 0))
    endpoint.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), lifespan="off", log_level="critical"))
    serving = asyncio.create_task(server.serve([listening]))
    try:
        while not server.started:  # noqa: ASYNC110 (it has no event for it)
            await asyncio.sleep(0.005)
        yield endpoint
    finally:
        server.should_exit = True
        server.force_exit = True
        await serving
        listening.close()
