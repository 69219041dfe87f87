"""From options to a running server, and back down.

A termination signal drains: no new sessions, running replies end (for a bounded time), the sockets close,
the process exits. A second signal does not wait for replies.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import TypeAlias

import structlog
import uvicorn

from duologue import memory
from duologue.backends.contract import Backend
from duologue.backends.engine import EngineBackend
from duologue.server import wire
from duologue.server.app import OpenSession, build
from duologue.server.house import House
from duologue.server.metrics import Metrics
from duologue.server.options import OptionError, ServerOptions

Opener: TypeAlias = Callable[[ServerOptions, Backend, Metrics], OpenSession]
"""Says how sessions are made: :func:`duologue.server.sessions.opener`."""

log = structlog.get_logger("duologue.server")


class CannotStart(RuntimeError):
    """The backend did not start; the message gives its cause and remedy."""


class Serving:
    """A server that runs."""

    def __init__(self, url: str, house: House, finished: asyncio.Event) -> None:
        self.url = url
        """Where the page is, with the port really bound: ``http://127.0.0.1:8790/``."""
        self.house = house
        self.finished = finished
        """Set when the server stopped of itself."""


@asynccontextmanager
async def serving(options: ServerOptions, backend: Backend, opener: Opener) -> AsyncIterator[Serving]:
    """A server on ``backend``, ready inside the block; sockets and backend are freed after it.

    Raises :class:`OptionError` where the address is taken, :class:`CannotStart` where the backend cannot.
    """
    sockets = _bind(options.host, options.port)
    try:
        try:
            await backend.start()
        except Exception as error:
            raise CannotStart(f"the model {backend.card.name!r} cannot start: {error}") from error
        try:
            house = House(options.sessions)
            house.settle()
            metrics = Metrics(backend.card.name)
            neural = backend if isinstance(backend, EngineBackend) else None
            if neural is not None:
                metrics.watch(lambda: neural.engine.pulse)
            seats = neural if backend.card.gait == "frame" else None  # Moshi's protocol knows no turns
            app = build(options, backend.card, house, metrics, opener(options, backend, metrics), seats)
            server = _Server(
                uvicorn.Config(
                    app,
                    http="h11",
                    ws=wire.Wire,
                    ws_max_size=wire.MAX_MESSAGE,
                    ws_ping_interval=wire.PING_SECONDS,
                    ws_ping_timeout=wire.PING_SECONDS,
                    ws_per_message_deflate=False,  # base64 of audio hardly shrinks, and clients ask for none
                    lifespan="off",
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    proxy_headers=False,
                    ssl_certfile=options.ssl_cert,
                    ssl_keyfile=options.ssl_key,
                    timeout_graceful_shutdown=2,
                )
            )
            running = asyncio.create_task(server.run_until_told(sockets))
            try:
                await server.listening.wait()
                yield Serving(_url(options, sockets), house, server.finished)
                await house.drain(options.drain_seconds)
            finally:
                server.should_exit = True
                await running
        finally:
            await backend.stop()
    finally:
        for each in sockets:
            each.close()


async def serve(
    options: ServerOptions,
    backend: Backend,
    opener: Opener,
    ready: Callable[[str], None],
) -> None:
    """Serve until a termination signal, then drain; ``ready`` is told the page's URL."""
    told_to_stop = asyncio.Event()
    me = asyncio.current_task()
    assert me is not None

    def on_signal() -> None:
        if told_to_stop.is_set():
            log.warning("stopping at once")
            me.cancel()
        else:
            log.info("draining: running replies end, then the server stops", seconds=options.drain_seconds)
            told_to_stop.set()

    with _signals(on_signal):
        async with serving(options, backend, opener) as server:
            ready(server.url)
            waits = [asyncio.create_task(event.wait()) for event in (told_to_stop, server.finished)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()


def serve_here(options: ServerOptions, backend: Backend, opener: Opener, ready: Callable[[str], None]) -> None:
    """:func:`serve` in an event loop of its own: uvloop's, where the system has it."""
    memory.return_large_blocks()
    factory = None
    if sys.platform != "win32":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(options, backend, opener, ready))


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves the signals to us and says when it listens and when it ended."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.finished = asyncio.Event()

    async def run_until_told(self, sockets: list[socket.socket]) -> None:
        try:
            await self.serve(sockets)
        finally:
            self.listening.set()  # it never will: whoever waits for it learns why from this task
            self.finished.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def _signals(on_signal: Callable[[], None]) -> Iterator[None]:
    """``on_signal`` is called in the running loop for SIGINT and SIGTERM while the block runs."""
    loop = asyncio.get_running_loop()

    def handler(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(on_signal)

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _bind(host: str, port: int) -> list[socket.socket]:
    """Sockets on every address of ``host``, bound and not yet listening: the port is ours before the model
    is loaded, and nobody is let in before it is."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise OptionError(f"the host {host!r} is not known here ({error.strerror}); give an address") from error
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = socket.socket(family, kind, protocol)
            sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            shared = sockets[0].getsockname()[1] if len(sockets) > 1 else port  # port 0: the same one for all
            one.bind((address[0], shared, *address[2:]))
    except OSError as error:
        for one in sockets:
            one.close()
        raise OptionError(
            f"cannot listen on {host or 'every address'} port {port} ({error.strerror}); "
            "is another server running? choose another with --port"
        ) from error
    return sockets


def _url(options: ServerOptions, sockets: list[socket.socket]) -> str:
    host = "localhost" if options.host in ("", "0.0.0.0", "::") else options.host.strip("[]")
    host = f"[{host}]" if ":" in host else host
    scheme = "http" if options.ssl_cert is None else "https"
    return f"{scheme}://{host}:{sockets[0].getsockname()[1]}/"
