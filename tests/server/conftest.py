"""A real server on a free port, and in place of a model something that echoes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from duologue.backends.contract import Card, Event, Link
from duologue.server.options import ServerOptions
from duologue.server.run import Serving, serving


class EchoBackend:
    """Starts and stops; its sessions are made by :class:`Echo`."""

    card = Card(
        name="echo",
        title="An echo",
        languages=("en",),
        input_modalities=("text",),
        output_modalities=("text",),
        voices=("wall",),
        tools=False,
        licence="Apache-2.0",
    )

    def __init__(self, fault: str | None = None) -> None:
        self.fault = fault
        self.running = False

    async def start(self) -> None:
        if self.fault:
            raise OSError(self.fault)
        self.running = True

    async def stop(self) -> None:
        self.running = False

    def open(self, emit: Callable[[Event], None]) -> Link:
        raise AssertionError("an echo needs no link")


class Echo:
    """A session that does what the frame says."""

    alive: set[Echo]

    def __init__(self, alive: set[Echo], wake: Callable[[], None], metrics: Any) -> None:
        self.alive = alive
        self.wake = wake
        self.metrics = metrics
        self.alive.add(self)
        self._events: list[dict[str, Any]] = [{"type": "session.created"}]
        self._alarms: list[tuple[float, str]] = []
        self._fault = False
        self.drained = False
        self.lost: str | None = None
        self.received = 0
        self.full = False

    @property
    def busy(self) -> bool:
        return bool(self._alarms)

    def receiving(self, frame: str | bytes) -> Iterator[None]:
        self.received += 1
        if isinstance(frame, bytes):
            self._events.append({"type": "bytes", "count": len(frame)})
            return
        order = json.loads(frame)
        match order["do"]:
            case "echo":
                self._events.append({"type": "echo", "of": order["of"]})
            case "in":
                self._alarms.append((time.monotonic() + order["seconds"], order["of"]))
            case "elsewhere":
                asyncio.get_running_loop().call_later(order["seconds"], self._woken, order["of"])
            case "much":
                self._events += [{"type": "much", "of": "x" * 2**20}] * order["megabytes"]
            case "pieces":
                for _ in range(order["count"]):
                    time.sleep(order["seconds"])
                    yield
            case "fill":
                self.full = True
            case "work":
                time.sleep(order["seconds"])
            case "crash":
                raise ZeroDivisionError("in receive")
            case "crash later":
                self._fault = True
            case "first response":
                self.metrics.first_response(0.3)

    def _woken(self, of: str) -> None:
        self._events.append({"type": "echo", "of": of})
        self.wake()

    def poll(self) -> float | None:
        if self._fault:
            raise ZeroDivisionError("in poll")
        now = time.monotonic()
        self._events += [{"type": "echo", "of": of} for due, of in self._alarms if due <= now]
        self._alarms = [alarm for alarm in self._alarms if alarm[0] > now]
        return min((due for due, _ in self._alarms), default=None)

    def outgoing(self) -> list[dict[str, Any]]:
        events, self._events = self._events, []
        return events

    def drain(self) -> None:
        self.drained = True

    def close(self) -> None:
        self.alive.discard(self)


class Client:
    """A WebSocket client with the patience of a test."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, do: str, **rest: Any) -> None:
        await self.connection.send(json.dumps({"do": do, **rest}))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(5):
            event: dict[str, Any] = json.loads(await self.connection.recv())
            return event

    async def echo(self, of: str) -> str:
        """Send, and wait for the answer: what it says."""
        await self.say("echo", of=of)
        return str((await self.hear())["of"])

    async def closed(self) -> tuple[int | None, str | None]:
        """Read to the end; the code and reason of the server's close."""
        async with asyncio.timeout(5):
            await self.connection.wait_closed()
        return self.connection.close_code, self.connection.close_reason


class House:
    """A server under test."""

    def __init__(self, server: Serving, backend: EchoBackend, alive: set[Echo]) -> None:
        self.server = server
        self.backend = backend
        self.alive = alive
        self.url = server.url
        self.ws = server.url.replace("http", "ws", 1) + "v1/realtime?model=gpt-realtime"

    async def connect(self, **options: Any) -> Client:
        """A client that has read ``session.created``."""
        client = Client(await websockets.connect(self.ws, compression=None, max_size=None, **options))
        assert (await client.hear())["type"] == "session.created"
        return client

    async def until(self, sessions: int, within: float = 1.0) -> None:
        """Wait until so many sessions live."""
        async with asyncio.timeout(within):
            while {len(self.alive), len(self.server.house)} != {sessions}:  # noqa: ASYNC110  watched from outside
                await asyncio.sleep(0.01)


@pytest.fixture
async def served() -> AsyncIterator[Callable[..., Awaitable[House]]]:
    """Start a server with the given options; it is stopped when the test ends."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> House:
            alive: set[Echo] = set()
            backend = EchoBackend()
            chosen = ServerOptions(**{"port": 0, "drain_seconds": 0.0, **options})
            running = serving(
                chosen,
                backend,
                lambda options, backend, metrics: lambda wake, initial: Echo(alive, wake, metrics),
            )
            return House(await stack.enter_async_context(running), backend, alive)

        yield start
