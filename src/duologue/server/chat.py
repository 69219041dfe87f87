"""Moshi's own WebSocket at ``/api/chat``, so that its existing clients connect unchanged.

No turns, no events: sound both ways in one Ogg/Opus stream each, and text as it is said
(:mod:`duologue.protocol.moshi`). What Kyutai's server does to a session's first frame is done here too, and nowhere
else; like there, a client that sends nothing stops the model's clock. Unlike there many may talk at once, and one more
is told so at once.

PersonaPlex's clients name a voice and a text in the query (``voice_prompt``, ``text_prompt``); ``seed`` fixes what is
drawn. Other keys are taken and without effect, as with Kyutai's server.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum
from pathlib import PurePath
from typing import Literal, Protocol

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect
from structlog.contextvars import bound_contextvars

from duologue.audio import Wave
from duologue.backends.contract import NoRoom
from duologue.engine.messages import Dropped, Joined, Lost, Said
from duologue.engine.process import Heard
from duologue.protocol.moshi import HANDSHAKE, Wire, WireError
from duologue.server.house import Full, House
from duologue.server.metrics import Metrics

MAX_MESSAGE = 32 * 1024
"""Bytes of one message: eight seconds of speech. Decoding more at once would hold up everybody else."""

UNREAD = 250
"""Messages that a client may leave unread: ten seconds of speech and its words."""

GOODBYE_SECONDS = 1.0

log = structlog.get_logger("duologue.server")


class Seat(Protocol):
    """A place in the engine."""

    def hear(self, wave: Wave) -> None: ...

    def leave(self) -> None: ...


class Seats(Protocol):
    """Who gives seats: :class:`duologue.backends.engine.EngineBackend`."""

    def join(
        self,
        on_event: Callable[[Heard], None],
        *,
        manner: Literal["live", "kyutai"],
        voice: str,
        instructions: str,
        seed: int | None,
    ) -> Seat: ...


class Ending(Enum):
    """Why it ended: the name for metrics, the code that closes the socket."""

    CLIENT = ("client", 1000)
    SLOW = ("slow", 1008)
    BROKEN = ("broken", 1007)
    DRAINED = ("drained", 1001)
    LOST = ("lost", 1011)

    @property
    def label(self) -> str:
        return self.value[0]


class Chat:
    """One client: a guest of the house with a seat in the engine."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._wire = Wire()
        self._unsent: deque[bytes] = deque()
        self._stir = asyncio.Event()
        self._ending: Ending | None = None

    def leave(self) -> None:
        """End now: a dialogue on a clock has no reply to wait for."""
        self._end(Ending.DRAINED, "the server is shutting down")

    cut = leave

    async def run(self, seats: Seats) -> Ending:
        """Hold the conversation; the socket is accepted. Raises :class:`NoRoom`."""
        query = self._socket.query_params
        seat = seats.join(
            self._on_event,
            manner="kyutai",
            voice=PurePath(query.get("voice_prompt", "")).stem,
            instructions=query.get("text_prompt", ""),
            seed=_number(query.get("seed", "")),
        )
        tasks = [asyncio.create_task(part) for part in (self._read(seat), self._write())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            seat.leave()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        ending = next(iter(done)).result()
        await self._say_goodbye(ending)
        return ending

    async def _read(self, seat: Seat) -> Ending:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return Ending.CLIENT
            data = message.get("bytes")
            if data is None:
                continue  # text: nothing of this protocol, and ignored as Kyutai's server does
            try:
                wave = self._decoded(data)
            except WireError as error:
                self._end(Ending.BROKEN, str(error))
                return Ending.BROKEN
            if wave is not None and len(wave):
                seat.hear(wave)
            await asyncio.sleep(0)  # a burst of messages is shared out among everybody's turns

    def _decoded(self, data: bytes) -> Wave | None:
        if len(data) > MAX_MESSAGE:
            raise WireError(f"a message of {len(data)} bytes; at most {MAX_MESSAGE} are taken")
        return self._wire.receive(data)

    async def _write(self) -> Ending:
        try:
            while True:
                await self._stir.wait()
                self._stir.clear()
                while self._unsent:
                    await self._socket.send_bytes(self._unsent.popleft())
                if self._ending is not None:
                    return self._ending
        except WebSocketDisconnect:
            return Ending.CLIENT

    def _on_event(self, event: Heard) -> None:
        match event:
            case Joined():
                self._send(HANDSHAKE)
            case Said():
                self._send(self._wire.audio(event.wave))
                if event.text:
                    self._send(Wire.text(event.text))
            case Lost():
                self._end(Ending.LOST, event.message)
            case Dropped():
                log.info("sound came too late and was dropped", samples=event.samples)

    def _send(self, message: bytes | None) -> None:
        if message is None or self._ending is not None:
            return
        if len(self._unsent) >= UNREAD:
            self._unsent.clear()
            self._ending = Ending.SLOW
        else:
            self._unsent.append(message)
        self._stir.set()

    def _end(self, ending: Ending, why: str) -> None:
        self._send(Wire.error(why))
        self._ending = self._ending or ending
        self._stir.set()

    async def _say_goodbye(self, ending: Ending) -> None:
        if ending is Ending.CLIENT:
            return
        label, code = ending.value
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                while self._unsent:
                    await self._socket.send_bytes(self._unsent.popleft())
                await self._socket.close(code, label)
        except (TimeoutError, WebSocketDisconnect):
            log.info("client was gone before the goodbye", ending=label)


def _number(text: str) -> int | None:
    """A seed of the query; what is none (or -1, by which those clients mean any) is left to chance."""
    return int(text) if text.isdecimal() and len(text) < 19 else None


def endpoint(house: House, metrics: Metrics, seats: Seats) -> Callable[[WebSocket], Awaitable[None]]:
    """The route's function."""

    async def chat(socket: WebSocket) -> None:
        """``WS /api/chat``."""
        await socket.accept()
        line, name = Chat(socket), secrets.token_hex(4)
        try:
            with bound_contextvars(session=name), house.seat(line), metrics.sessions.track_inprogress():
                began = time.monotonic()
                ending = await line.run(seats)
        except (Full, NoRoom) as full:
            code = full.code if isinstance(full, Full) else "no_room"
            metrics.sessions_refused.labels(code).inc()
            log.info("session refused", code=code)
            await socket.send_bytes(Wire.error(str(full)))
            await socket.close(1013, "no room")
        else:
            metrics.sessions_ended.labels(ending.label).inc()
            log.info("session ended", session=name, why=ending.label, seconds=round(time.monotonic() - began, 1))

    return chat
