"""A server that says what a test tells it to: the page's folder over HTTP, Realtime events by script."""

from __future__ import annotations

import base64
import json
import mimetypes
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

import duologue.server

PAGE = Path(duologue.server.__file__).parent / "page"
POLICY = "default-src 'self'; connect-src 'self' ws: wss:; style-src 'self'; img-src 'self' data: blob:"

MODEL = {"id": "scripted", "voices": ["ada", "grace"]}

Event = dict[str, Any]


class ScriptedServer:
    """One conversation at a time: ``emit`` speaks to the page, ``wait_for`` hears what it sent."""

    def __init__(self, port: int = 0) -> None:
        self.token: str | None = None
        self.model: dict[str, Any] = MODEL
        self.received: list[Event] = []
        self._news = threading.Condition()
        self._guest: ServerConnection | None = None
        self._server = serve(
            self._converse,
            "127.0.0.1",
            port,
            process_request=self._answer,
            subprotocols=[Subprotocol("realtime")],
            compression=None,
        )
        self.port: int = self._server.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """As if it were killed: nothing listens any more and the line drops."""
        self._server.shutdown()
        if self._guest is not None:
            self._guest.socket.shutdown(socket.SHUT_RDWR)

    @property
    def connected(self) -> bool:
        return self._guest is not None

    # -- what the script says ----------------------------------------------------------------------

    def emit(self, kind: str, **fields: Any) -> None:
        assert self._guest is not None, "the page is not connected"
        self._guest.send(json.dumps({"type": kind, "event_id": f"event_{time.monotonic_ns()}", **fields}))

    def reply(self, number: int, wave: NDArray[np.float64], words: str, *, done: bool = True) -> None:
        """A response ``resp_N`` of one spoken item ``reply_N``; ``done=False`` leaves it running."""
        response, item = f"resp_{number}", f"reply_{number}"
        place = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        self.emit("response.created", response={"id": response, "status": "in_progress", "output": []})
        for word in words.split():
            self.emit("response.output_audio_transcript.delta", **place, delta=f"{word} ")
        for start in range(0, len(wave), 4800):
            self.emit("response.output_audio.delta", **place, delta=pcm16(wave[start : start + 4800]))
        if done:
            self.emit("response.output_audio_transcript.done", **place, transcript=words)
            self.end(number, "completed")

    def end(self, number: int, status: str) -> None:
        output = [{"id": f"reply_{number}", "type": "message"}]
        self.emit("response.done", response={"id": f"resp_{number}", "status": status, "output": output})

    # -- what the page says ------------------------------------------------------------------------

    def wait_for(self, kind: str, *, after: int = 0, seconds: float = 10.0) -> Event:
        """The first event of this type that the page sent, leaving out the first ``after`` events."""

        def found() -> Event | None:
            return next((event for event in self.received[after:] if event["type"] == kind), None)

        with self._news:
            event = self._news.wait_for(found, seconds)
        assert event, f"no {kind} within {seconds} s, only {sorted({e['type'] for e in self.received})}"
        return event

    # -- the wire ----------------------------------------------------------------------------------

    def _answer(self, _: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path == "/":
            return file(PAGE / "index.html")
        if path.startswith("/static/") and (PAGE / path[8:]).is_file():
            return file(PAGE / path[8:])
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        shown = (f"Bearer {self.token}", f"realtime, openai-insecure-api-key.{self.token}")
        if self.token and request.headers.get("Authorization") not in shown and offered not in shown:
            return answer(HTTPStatus.UNAUTHORIZED, b'{"error": {"message": "no"}}', "application/json")
        if path == "/v1/models":
            return answer(HTTPStatus.OK, json.dumps({"data": [self.model]}).encode(), "application/json")
        return None if path == "/v1/realtime" else answer(HTTPStatus.NOT_FOUND, b"", "text/plain")

    def _converse(self, guest: ServerConnection) -> None:
        self._guest = guest
        self.emit("session.created", session={"type": "realtime"})
        try:
            for frame in guest:
                with self._news:
                    self.received.append(json.loads(frame))
                    self._news.notify_all()
        except ConnectionClosed:
            return
        finally:
            if self._guest is guest:
                self._guest = None


def file(path: Path) -> Response:
    return answer(HTTPStatus.OK, path.read_bytes(), mimetypes.guess_type(path)[0] or "text/plain")


def answer(status: HTTPStatus, body: bytes, kind: str) -> Response:
    headers = Headers(
        {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": POLICY,
            "Connection": "close",
        }
    )
    return Response(status.value, status.phrase, headers, body)


def pcm16(wave: NDArray[np.float64]) -> str:
    return base64.b64encode((wave * 32767).astype("<i2").tobytes()).decode()


def tone(seconds: float, hertz: float = 440.0) -> NDArray[np.float64]:
    """A sine at half scale, 24 kHz."""
    wave: NDArray[np.float64] = 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * 24000)) / 24000)
    return wave


def until(condition: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.02)
