"""The server's own cost: what happens to a frame between a client's socket and the model, and back.

The model is an echo: it says what it hears, at once. Clients speak in real time over loopback WebSockets, in OpenAI
Realtime or in Moshi's protocol. What counts is the time from the sending of the piece that ends a frame to the arrival
of that frame's last sample: all that the server adds to the frame itself. Server and engine share one core, where the
system lets them be tied to it; the clients use the others. Beside clients that misbehave they have the whole machine:
there it is not the cost that counts, but whether the others notice.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
import websockets.asyncio.client as ws

from duologue.audio import RATE
from duologue.measure.serving import own_server
from duologue.measure.tree import Tree
from duologue.measure.trouble import Protocol, make_trouble

FRAME = RATE * 2 // 25
PIECES = {20: RATE // 50, 40: RATE // 25, 80: FRAME}
"""Samples that a client sends at once, by their milliseconds. In Moshi's protocol it is a frame."""

_LOWEST, _STEP, _LEVELS = 400, 5, 3000

SETTLE = 2.0
"""Seconds that are not counted: everybody comes in."""


@dataclass(frozen=True, slots=True)
class Wires:
    """A run."""

    protocol: str
    piece_ms: int
    """Of sound that a client sends at once."""
    sessions: int
    frames: int
    """How many were timed."""
    missing: int
    """Of those sent and counted, how many never came back."""
    median_ms: float
    p99_ms: float
    worst_ms: float
    core_percent: float
    """Processor time of server and engine, in per cent of a core."""
    one_core: bool
    """Whether they were tied to one."""
    troublemakers: int
    """Clients that misbehaved meanwhile, beside those that were measured."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


async def wires(
    *,
    protocol: Protocol = "realtime",
    piece_ms: int = 20,
    sessions: int = 64,
    duration: float = 20.0,
    troublemakers: int = 0,
    misbehaviour: str | None = None,
) -> Wires:
    """Measure; raises ``LineError`` where the server does not start.

    ``piece_ms``: one of :data:`PIECES`, for OpenAI Realtime. ``misbehaviour``: the only kind they do, one
    of the protocol's.
    """
    if protocol == "moshi":
        piece_ms = 80
    with _other_core(not troublemakers) as (tied, let_go):
        async with own_server(model="echo", sessions=sessions + troublemakers) as server:
            let_go()
            url = server.url.replace("http", "ws", 1)
            path = "/v1/realtime?model=echo" if protocol == "realtime" else "/api/chat"
            make = _Realtime if protocol == "realtime" else _Moshi
            # Who makes trouble has to be up by then: a process that starts holds up everybody on two cores.
            began = time.monotonic() + (10.0 if troublemakers else 3.0)
            callers = [
                make(url + path, PIECES[piece_ms], began + 0.08 * n / sessions, began + SETTLE + duration)
                for n in range(sessions)
            ]
            trouble = (
                make_trouble(
                    server.url, n, began + SETTLE + duration - time.monotonic(), misbehaviour, protocol=protocol
                )
                for n in range(troublemakers)
            )
            running = asyncio.gather(*(caller.run() for caller in callers), *trouble)
            await asyncio.sleep(max(0.0, began + SETTLE - time.monotonic()))
            tree = Tree(server.pid)
            before, since = tree.cpu(), time.monotonic()
            await running
            percent = 100 * (tree.cpu() - before) / (time.monotonic() - since)
    delays = [delay for caller in callers for at, delay in caller.delays if at >= began + SETTLE]
    sent = sum(caller.counted(began + SETTLE) for caller in callers)
    median, p99, worst = (1000 * float(at) for at in np.percentile(delays, (50, 99, 100)))
    missing = max(0, sent - len(delays))
    return Wires(protocol, piece_ms, sessions, len(delays), missing, median, p99, worst, percent, tied, troublemakers)


class _Caller:
    """Speaks in real time, and knows when each piece of it was sent and came back."""

    def __init__(self, url: str, piece: int, start: float, end: float) -> None:
        """``piece``: samples that it sends at once; ``start`` and ``end`` are times of the monotonic clock."""
        self._url, self.piece, self._start, self._end = url, piece, start, end
        self._sent: list[float] = []
        self.delays: list[tuple[float, float]] = []
        """(when it was sent, seconds until it was back), for pieces that end a frame."""

    def counted(self, since: float) -> int:
        """Frames that were sent from ``since`` on, up to the last second."""
        return sum(since <= at < self._end - 1.0 for at in self._sent) * self.piece // FRAME

    async def run(self) -> None:
        """Talk until the end."""
        async with ws.connect(self._url, compression=None, max_size=None, max_queue=None, proxy=None) as socket:
            listener = asyncio.create_task(self._listen(socket))
            n = 0
            while (due := self._start + (n + 1) * self.piece / RATE) < self._end:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                self._sent.append(time.monotonic())
                await socket.send(self.message(n))
                n += 1
            await asyncio.sleep(0.3)
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def _listen(self, socket: ws.ClientConnection) -> None:
        async for message in socket:
            now, piece = time.monotonic(), self.ended(message)
            if piece is not None and self._sent[piece] < self._end - 1.0:
                self.delays.append((self._sent[piece], now - self._sent[piece]))

    def message(self, n: int) -> str | bytes:
        """The n-th piece."""
        raise NotImplementedError

    def ended(self, message: str | bytes) -> int | None:
        """The piece whose end is the end of the frame that is whole with this message, if one is."""
        raise NotImplementedError


class _Realtime(_Caller):
    """Each piece has a level of its own, by which it is known again."""

    def __init__(self, url: str, piece: int, start: float, end: float) -> None:
        super().__init__(url, piece, start, end)
        self._position = 0

    def message(self, n: int) -> str:
        pcm = np.full(self.piece, _LOWEST + _STEP * (n % _LEVELS), "<i2")
        return f'{{"type":"input_audio_buffer.append","audio":"{base64.b64encode(pcm.tobytes()).decode()}"}}'

    def ended(self, message: str | bytes) -> int | None:
        event = json.loads(message)
        if event["type"] != "response.output_audio.delta":
            return None
        pcm = np.frombuffer(base64.b64decode(event["delta"]), "<i2")
        self._position += len(pcm)
        level = round((int(pcm[-1]) - _LOWEST) / _STEP)
        if self._position % FRAME or level < 0:
            return None
        round_ = (len(self._sent) - 1 - level) // _LEVELS
        return round_ * _LEVELS + level


class _Moshi(_Caller):
    """A message is a frame, both ways."""

    def __init__(self, url: str, piece: int, start: float, end: float) -> None:
        super().__init__(url, piece, start, end)
        self._returned = 0
        self._messages = _coded(100 + 100 * round((end - start) * RATE / FRAME / 100))

    def message(self, n: int) -> bytes:
        return self._messages[n]

    def ended(self, message: str | bytes) -> int | None:
        if not isinstance(message, bytes) or message[0] != 1:
            return None
        self._returned += 1
        return self._returned - 1


@cache
def _coded(count: int) -> list[bytes]:
    """So many frames of noise in one stream: coded once, for all clients say the same."""
    from duologue.protocol.moshi import Wire

    wire, noise = Wire(), np.random.default_rng(0).uniform(-0.1, 0.1, (count, FRAME)).astype(np.float32)
    return [wire.audio(frame) or b"" for frame in noise]


@contextmanager
def _other_core(wanted: bool) -> Iterator[tuple[bool, Any]]:
    """What is started inside the block runs on one core; once let go, this process runs on the others."""
    cores = sorted(os.sched_getaffinity(0))
    if not wanted or len(cores) < 2:
        yield False, lambda: None
        return
    os.sched_setaffinity(0, cores[:1])
    try:
        yield True, lambda: os.sched_setaffinity(0, cores[1:])
    finally:
        os.sched_setaffinity(0, cores)
