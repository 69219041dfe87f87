"""uvicorn's WebSocket, with the bounds that a public server owes.

uvicorn closes politely: a connection is gone once everything written to it was read. A client that never
reads would so keep its socket, and what is buffered for it, for ever; here it is cut off in the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.streams import StreamReader

MAX_MESSAGE = 24 * 2**20
"""Bytes in one message. Above the 20 MiB that the protocol takes (15 MiB of audio in base64), so that an
append somewhat too large is answered by an error event; beyond this the socket closes with 1009."""

MAX_FRAGMENTS = 2**16
"""Frames in one message: empty ones count for no bytes, but each is kept until the message ends."""

PING_SECONDS = 20.0
"""How often a client is pinged, and how long it has to answer before its machine counts as gone."""

EXCUSED_SECONDS = 300.0
"""How long an answer may stay out where it can lie behind something else that the client sent."""

FAREWELL_SECONDS = 5.0
"""How long a closed socket may take to read what was sent before it."""

LARGE = 2**20
"""Bytes of a frame that are not copied once more: 8 ms for 11 MB, most of it the kernel's finding of fresh pages."""


class Reader(StreamReader):
    """websockets' own, which gives a large frame away instead of a copy of it."""

    def read_exact(self, n: int) -> Generator[None, None, bytearray]:
        while n >= LARGE and len(self.buffer) < n and not self.eof:
            yield
        if n < LARGE or len(self.buffer) < n:
            return (yield from super().read_exact(n))
        frame, self.buffer = self.buffer, self.buffer[n:]
        del frame[n:]
        return frame


class Wire(WebSocketsSansIOProtocol):
    """One connection that was upgraded to WebSocket."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.last_sign = 0.0
        """When anything last came from the client (the loop's time)."""
        self.conn.reader = Reader()
        self.conn.parser = self.conn.parse()
        next(self.conn.parser)  # as it was made: it waits for the first bytes

    def data_received(self, data: bytes) -> None:
        self.last_sign = self.loop.time()
        super().data_received(data)

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= MAX_FRAGMENTS:
            self.conn.fail(1009, f"a message in more than {MAX_FRAGMENTS} fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def keepalive_timeout(self) -> None:
        # What it sent may be more than is being taken at the moment, and its answer the last of it.
        behind = self.read_paused or self.last_sign > self.ping_sent_at
        if behind and self.loop.time() < self.ping_sent_at + EXCUSED_SECONDS:
            self.pong_timer = self.loop.call_later(PING_SECONDS, self.keepalive_timeout)
            return
        super().keepalive_timeout()
        self.transport.abort()

    def on_task_complete(self, task: asyncio.Task[Any]) -> None:
        super().on_task_complete(task)
        self.loop.call_later(FAREWELL_SECONDS, self.transport.abort)
