"""uvicorn's WebSocket, with the bounds that a public server owes.

uvicorn closes politely: a connection is gone once everything written to it was read. A client that never
reads would so keep its socket, and what is buffered for it, for ever; here it is cut off in the end.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from duologue.server.fragments import PIECE, Cutter, joined

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


class Wire(WebSocketsSansIOProtocol):
    """One connection that was upgraded to WebSocket."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.last_sign = 0.0
        """When anything last came from the client (the loop's time)."""
        self._cutter = Cutter(MAX_MESSAGE)
        self._fragments = 0
        self._text = joined()

    def data_received(self, data: bytes) -> None:
        self.last_sign = self.loop.time()
        if self.handshake_initiated:
            data = self._cutter.cut(data)
        super().data_received(data)
        if len(data) >= PIECE and not self.read_paused and not self.transport.is_closing():
            # The loop would read on while there is more, as there always is from one who pours. It is others' turn.
            self.transport.pause_reading()
            self.loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def handle_text(self, event: Frame) -> None:
        self._fragments = 1
        if event.fin:
            super().handle_text(event)
            return
        self.curr_msg_data_type = "text"
        self._text = joined()
        next(self._text)
        self._take_text(event)

    def handle_bytes(self, event: Frame) -> None:
        self._fragments = 1
        super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        self._fragments += 1
        if self._fragments > MAX_FRAGMENTS:
            self.conn.fail(1009, f"a message in more than {MAX_FRAGMENTS} fragments")
            self.handle_parser_exception()
        elif self.curr_msg_data_type == "text":
            self._take_text(event)
        else:
            super().handle_cont(event)

    def _take_text(self, event: Frame) -> None:
        """The next fragment of a text; what uvicorn does when it has joined all of them is done for each."""
        if self.close_sent:
            return
        try:
            text = self._text.send((bytes(event.data), event.fin))
        except UnicodeDecodeError as error:
            self.conn.fail(1007, str(error))
            self.handle_parser_exception()
            return
        if text is None:
            return
        self._text = joined()
        self.queue.put_nowait({"type": "websocket.receive", "text": text})
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

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
