"""A Realtime server with known behaviour, to see whether the measuring measures it.

It hears by loudness: a frame above −45 dBFS is voice, 200 ms without is the end of the turn. What follows,
and after how long, is written down beforehand. It knows no sockets: :class:`ScriptedLine` runs it on virtual
time, :func:`serve_scripted` behind a real WebSocket.
"""

from __future__ import annotations

import asyncio
import base64
import heapq
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

import numpy as np
from websockets.asyncio.server import ServerConnection, serve

from duologue.audio import RATE, Wave, samples
from duologue.audio.formats import decode_pcm16, encode_pcm16
from duologue.audio.level import levels
from duologue.measure.lines import Arrival

ENDPOINT = 0.2
"""Seconds of quiet that end a turn."""

PIECE = 0.04
"""Seconds of audio in one delta."""


def tone(seconds: float, hertz: float = 300.0, amplitude: float = 0.2) -> Wave:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(samples(seconds)) / RATE)).astype(np.float32)


@dataclass
class Scripted:
    """One session of it."""

    does: Literal["answer", "ignore", "nothing", "fail", "hang"] = "answer"
    delay: float = 0.3
    """Seconds from the end of the turn to the first audio."""
    reply: float = 0.5
    """Seconds the reply lasts."""
    obeys_after: float | None = 0.15
    """Seconds of voice over a reply after which it is cancelled; ``None``: it never is."""
    lead: float = 0.0
    """Seconds of audio sent ahead of real time."""
    received: list[dict[str, Any]] = field(default_factory=list)
    _due: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)
    _order: Any = field(default_factory=count)
    _voice_since: float | None = None
    _last_voice: float | None = None
    _announced: bool = False
    _item: str = ""
    _response: str = ""
    _over: float = -1.0

    def open(self, now: float) -> None:
        session = {"id": "sess_1", "object": "realtime.session", "type": "realtime", "model": "scripted"}
        self._at(now, type="session.created", session=session)

    def receive(self, event: dict[str, Any], now: float) -> None:
        self.received.append(event)
        match event["type"]:
            case "session.update":
                self._at(now, type="session.updated", session={"model": "scripted"})
            case "input_audio_buffer.append":
                self._hear(decode_pcm16(base64.b64decode(event["audio"])), now)
            case "response.create":
                self._answer(now + self.delay)

    def outgoing(self, now: float) -> list[Arrival]:
        arrived = []
        while self._due and self._due[0][0] <= now:
            at, _, event = heapq.heappop(self._due)
            arrived.append(Arrival(at, event))
        return arrived

    @property
    def next_due(self) -> float | None:
        return self._due[0][0] if self._due else None

    def _at(self, when: float, **event: Any) -> None:
        number = next(self._order)
        heapq.heappush(self._due, (when, number, {"event_id": f"event_{number}", **event}))

    def _hear(self, wave: Wave, now: float) -> None:
        if levels(wave).max() > -45:
            self._last_voice = now
            self._voice_since = now if self._voice_since is None else self._voice_since
            obeys = self.obeys_after is not None and now - self._voice_since >= self.obeys_after
            if now >= self._over and not self._announced:
                self._announce(now)
            elif now < self._over and obeys:
                self._cancel(now)
        elif self._last_voice is not None and now >= self._last_voice + ENDPOINT - 1e-6:
            self._voice_since = self._last_voice = None
            if self._announced:
                self._announced = False
                self._end_turn(now)

    def _announce(self, now: float) -> None:
        self._announced = True
        self._item = f"item_{next(self._order)}"
        self._at(now, type="input_audio_buffer.speech_started", item_id=self._item, audio_start_ms=0)

    def _cancel(self, now: float) -> None:
        self._due = [entry for entry in self._due if not entry[2]["type"].startswith("response.")]
        heapq.heapify(self._due)
        self._over = now
        self._announce(now)
        self._done(now, "cancelled")

    def _end_turn(self, now: float) -> None:
        self._at(now, type="input_audio_buffer.speech_stopped", item_id=self._item, audio_end_ms=0)
        self._at(now, type="input_audio_buffer.committed", item_id=self._item, previous_item_id=None)
        kind = "conversation.item.input_audio_transcription.completed"
        self._at(now + 0.05, type=kind, item_id=self._item, content_index=0, transcript="what time is it")
        if self.does == "ignore":
            self._at(now + 0.1, type="duologue.ignored", item_id=self._item, text="what time is it")
        elif self.does != "nothing":
            self._answer(now + self.delay)

    def _answer(self, at: float) -> None:
        self._response = f"resp_{next(self._order)}"
        common = {"response_id": self._response, "item_id": f"{self._response}_item"}
        self._at(at, type="response.created", response={"id": self._response, "status": "in_progress"})
        if self.does == "hang":
            return
        if self.does == "fail":
            self._done(at, "failed")
            return
        self._at(at, type="response.output_audio_transcript.delta", delta="it is noon", **common)
        wave = tone(self.reply)
        for index in range(0, len(wave), samples(PIECE)):
            piece = base64.b64encode(encode_pcm16(wave[index : index + samples(PIECE)])).decode()
            when = at + max(0.0, index / RATE - self.lead)
            self._at(when, type="response.output_audio.delta", delta=piece, **common)
        self._over = at + self.reply
        self._done(max(at, self._over - self.lead), "completed")

    def _done(self, at: float, status: str) -> None:
        details = {"type": "failed", "error": {"message": "the mouth broke"}} if status == "failed" else None
        response = {"id": self._response, "status": status, "status_details": details}
        self._at(at, type="response.done", response=response)


class ScriptedLine:
    """On virtual time."""

    def __init__(self, script: Scripted) -> None:
        self.script = script
        self._now = 100.0
        script.open(self._now)

    def now(self) -> float:
        return self._now

    async def send(self, event: Mapping[str, Any]) -> None:
        self.script.receive(dict(event), self._now)

    async def wait(self, until: float) -> list[Arrival]:
        self._now = max(self._now, until)
        return self.script.outgoing(self._now)


@asynccontextmanager
async def serve_scripted(script: Scripted) -> AsyncIterator[str]:
    """One real WebSocket server on a free port; yields its address."""

    async def converse(socket: ServerConnection) -> None:
        clock = asyncio.get_running_loop().time
        script.open(clock())

        async def write() -> None:
            while True:
                for arrival in script.outgoing(clock()):
                    await socket.send(json.dumps(arrival.event))
                await asyncio.sleep(0.002)

        writer = asyncio.create_task(write())
        try:
            async for message in socket:
                script.receive(json.loads(message), clock())
        finally:
            writer.cancel()

    async with serve(converse, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}"
