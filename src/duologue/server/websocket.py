"""One WebSocket and the session on it.

A session has no clock and no socket of its own: it is given frames, asked what to send, and says when it
wants to be asked again. Three tasks do that for it. *Read* gives it what arrives. *Advance* asks it, when
something arrived, when its backend woke it, or when it is due. *Write* sends, and alone waits for a client
that reads slowly. What is not yet sent is counted: where much of it waits, nothing more is read from that
client (it is not reading its answers); where too much of it waits, the client is let go. Nor is more read from one who
sent so much that the session has still to hear most of it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, Protocol

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from duologue.backends.contract import NoRoom
from duologue.server import errors

BACKLOG_PAUSES = 4 * 2**20
"""Unsent bytes at which no more is read from the client."""

BACKLOG_ENDS = 8 * 2**20
"""Unsent bytes at which a client counts as lost: two minutes of speech."""

GOODBYE_SECONDS = 1.0
"""How long the last words to a client may take, before its place is free."""

SUBPROTOCOL = "realtime"
"""What browsers must be answered if they offered it."""

log = structlog.get_logger("duologue.server")


class Driven(Protocol):
    """What is driven here: :class:`duologue.session.Session`."""

    @property
    def busy(self) -> bool: ...

    @property
    def lost(self) -> str | None: ...

    @property
    def full(self) -> bool: ...

    def receiving(self, frame: str | bytes) -> Iterator[None]: ...

    def poll(self) -> float | None: ...

    def outgoing(self) -> list[dict[str, Any]]: ...

    def drain(self) -> None: ...

    def close(self) -> None: ...


class Ending(Enum):
    """Why a conversation ended: the name for metrics, the code and reason that close the socket."""

    CLIENT = ("client", 1000, "")
    SLOW = ("slow", 1008, "too much was left unread")
    DRAINED = ("drained", 1001, "the server is shutting down")
    FAILED = ("failed", 1011, "the session failed")
    LOST = ("lost", 1011, "the model lost the session")
    REFUSED = ("refused", 1013, "the model has no room")

    @property
    def label(self) -> str:
        return self.value[0]


async def accept(socket: WebSocket) -> None:
    """Complete the handshake, with the subprotocol if it was offered."""
    await socket.accept(SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None)


async def turn_away(socket: WebSocket, code: str, message: str) -> None:
    """Tell a client that there is no session for it, in a way that its code can read, and close."""
    await accept(socket)
    await socket.send_text(json.dumps(errors.event(message, code)))
    await socket.close(1013, message)


class Line:
    """One client's line: runs until either end hangs up."""

    def __init__(self, socket: WebSocket, open_session: Callable[[Callable[[], None]], Driven]) -> None:
        """``open_session`` makes the session; it is given what the session calls to be asked again."""
        self._socket = socket
        self._open_session = open_session
        self._stir = asyncio.Event()
        self._unsent: deque[str] = deque()
        self._unsent_bytes = 0
        self._to_send = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._digested = asyncio.Event()
        self._digested.set()
        self._leaving = False
        self._cut = False

    def leave(self) -> None:
        """End when the running reply ended."""
        self._leaving = True
        self._stir.set()

    def cut(self) -> None:
        """End now."""
        self._cut = True
        self._stir.set()

    async def run(self) -> Ending:
        """Accept the socket and hold the conversation; returns when the session is closed and freed."""
        await accept(self._socket)
        ending = await self._converse()
        await self._say_goodbye(ending)
        return ending

    async def _converse(self) -> Ending:
        try:
            session = self._open_session(self._stir.set)
            try:
                return await self._drive(session)
            finally:
                session.close()
        except NoRoom as full:
            self._queue([errors.event(str(full), "no_room")])
            return Ending.REFUSED
        except Exception:  # whatever it is, it is this session's alone
            log.exception("session failed")
            return Ending.FAILED

    async def _drive(self, session: Driven) -> Ending:
        parts = (self._read(session), self._advance(session), self._write())
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        endings = [task.result() for task in done]  # raises what any of them raised
        return endings[0]

    async def _read(self, session: Driven) -> Ending:
        while (frame := await self._frame()) is not None:
            await self._digested.wait()  # only here: of one who is digesting, too, it is noticed that it left
            for _ in session.receiving(frame):
                await asyncio.sleep(0)  # minutes of sound in one frame are, too
            del frame  # nor are they kept until the next one comes
            if session.full:
                self._digested.clear()
            self._stir.set()
            await asyncio.sleep(0)  # a burst of small frames is shared out among everybody's turns
        return Ending.CLIENT

    async def _frame(self) -> str | bytes | None:
        """What the client sends next, once there is room for it; ``None``: it is gone."""
        await self._room.wait()
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        frame: bytes | None = message.get("bytes")
        return frame if text is None else text

    async def _advance(self, session: Driven) -> Ending:
        loop = asyncio.get_running_loop()
        told = False
        while True:
            self._stir.clear()
            if self._leaving and not told:
                session.drain()
                told = True
            due = session.poll()
            if not session.full:
                self._digested.set()
            if not self._queue(session.outgoing()):
                return Ending.SLOW
            if session.lost is not None:
                return Ending.LOST
            if self._cut or (told and not session.busy):
                return Ending.DRAINED
            wait = None if due is None else max(0.0, due - time.monotonic())
            alarm = None if wait is None else loop.call_later(wait, self._stir.set)
            try:
                await self._stir.wait()
                await asyncio.sleep(0)  # a session that keeps waking itself does not hold up the others
            finally:
                if alarm is not None:
                    alarm.cancel()

    def _queue(self, events: list[dict[str, Any]]) -> bool:
        """Line up events to be sent; ``False``: too much was waiting already when they came."""
        if not events:
            return True
        behind = self._unsent_bytes
        for event in events:
            text = json.dumps(event, separators=(",", ":"))  # ASCII: also for lone surrogates a client sent
            self._unsent.append(text)
            self._unsent_bytes += len(text)
        self._to_send.set()
        if self._unsent_bytes > BACKLOG_PAUSES:
            self._room.clear()
        return behind <= BACKLOG_ENDS

    async def _write(self) -> Ending:
        try:
            while True:
                await self._to_send.wait()
                self._to_send.clear()
                await self._send_all()
        except WebSocketDisconnect:
            return Ending.CLIENT

    async def _send_all(self) -> None:
        while self._unsent:
            text = self._unsent[0]
            await self._socket.send_text(text)
            self._unsent.popleft()
            self._unsent_bytes -= len(text)
            if self._unsent_bytes <= BACKLOG_PAUSES:
                self._room.set()

    async def _say_goodbye(self, ending: Ending) -> None:
        """Send what is due and close. One who does not read it in time is cut off by the wire."""
        if ending is Ending.CLIENT:
            return
        _, code, reason = ending.value
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                if ending is not Ending.SLOW:
                    await self._send_all()
                if ending is Ending.FAILED:
                    event = errors.event("the session failed; connect again for a new one", "internal_error")
                    await self._socket.send_text(json.dumps(event))
                await self._socket.close(code, reason)
        except (TimeoutError, WebSocketDisconnect):
            log.info("client was gone before the goodbye", ending=ending.label)
