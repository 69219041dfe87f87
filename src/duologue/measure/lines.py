"""Lines to a Realtime server: over a WebSocket, or to a session in this very process.

A *line* carries events both ways and knows what time it is. A caller only ever asks it to let time pass and
to say what arrived meanwhile, so the same conversation runs in real time against any server, and in
process as fast as the machine can (then time is virtual: it stands still while the backend works).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import websockets.asyncio.client as ws
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException


class LineError(RuntimeError):
    """The line could not be opened, or was closed by the other end; the message says why."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A server event and when it came, in seconds of the line's clock."""

    at: float
    event: Mapping[str, Any]


class Line(Protocol):
    """One connection that speaks OpenAI Realtime."""

    def now(self) -> float:
        """Seconds; only differences mean something."""

    async def send(self, event: Mapping[str, Any]) -> None:
        """A client event. On a closed line it is lost; :meth:`wait` tells of that in its time."""

    async def wait(self, until: float) -> list[Arrival]:
        """Lets time pass until ``until`` and returns what arrived, in order.

        Raises :class:`LineError` when the line is closed and everything that arrived was returned.
        """


# -- over a WebSocket -----------------------------------------------------------------------------------


def endpoint(url: str, model: str | None = None) -> str:
    """The WebSocket address of the Realtime endpoint behind what a person would type.

    ``http://host:port``, ``…/v1`` and the full ``ws://host/v1/realtime?model=…`` all do.
    """
    parts = urlsplit(url if "//" in url else f"//{url}")
    scheme = {"http": "ws", "https": "wss", "": "ws"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.hostname:
        raise LineError(f"{url!r} is no address of a server; give it like http://127.0.0.1:8790")
    path = parts.path.rstrip("/")
    if not path.endswith("/realtime"):
        path = path + "/realtime" if path.endswith("/v1") else path + "/v1/realtime"
    query = dict(parse_qsl(parts.query))
    if model is not None:
        query["model"] = model
    query.setdefault("model", "duologue")
    return urlunsplit((scheme, parts.netloc, path, urlencode(query, quote_via=quote), ""))


@asynccontextmanager
async def dial(url: str, *, model: str | None = None, token: str | None = None) -> AsyncIterator[Line]:
    """A line to the server at ``url``, closed at the end. Raises :class:`LineError` where it refuses."""
    address = endpoint(url, model)
    host = urlsplit(address).hostname or ""
    try:
        socket = await ws.connect(
            address,
            additional_headers={"Authorization": f"Bearer {token}"} if token else {},
            compression=None,
            max_size=None,
            max_queue=None,
            proxy=None if host in ("127.0.0.1", "::1", "localhost") else True,
        )
    except InvalidStatus as error:
        raise LineError(f"{address}: refused with HTTP {_reason(error)}") from error
    except (OSError, WebSocketException, TimeoutError) as error:
        raise LineError(f"{address}: cannot connect ({error}); is the server running there?") from error
    line = _SocketLine(socket)
    reader = asyncio.create_task(line.read())
    try:
        yield line
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        await socket.close()


def _reason(error: InvalidStatus) -> str:
    response = error.response
    try:
        message = json.loads(response.body or b"")["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return str(response.status_code)
    return f"{response.status_code}: {message}"


class _SocketLine:
    def __init__(self, socket: ws.ClientConnection) -> None:
        self._socket = socket
        self._arrived: list[Arrival] = []
        self._closed: str | None = None

    async def read(self) -> None:
        """Stamps what arrives, until the other end closes."""
        try:
            with suppress(ConnectionClosed):  # code and reason tell below, after an orderly end too
                async for message in self._socket:
                    at = self.now()
                    self._arrived.append(Arrival(at, json.loads(message)))
            code, reason = self._socket.close_code, self._socket.close_reason
            self._closed = f"the server closed the connection (code {code}{f', {reason}' if reason else ''})"
        except ValueError as error:
            self._closed = f"the server sent something that is not JSON ({error})"

    def now(self) -> float:
        return time.monotonic()

    async def send(self, event: Mapping[str, Any]) -> None:
        with suppress(ConnectionClosed):  # what arrived before is returned first, then the reader's word
            await self._socket.send(json.dumps(event))

    async def wait(self, until: float) -> list[Arrival]:
        await asyncio.sleep(max(0.0, until - self.now()))
        arrived, self._arrived = self._arrived, []
        if self._closed is not None and not arrived:
            raise LineError(self._closed)
        return arrived
