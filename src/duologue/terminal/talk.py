"""A person at a device, on a line to a session, and the echo of the one taken out of the other.

    device ─→ heard ─┐
    device ←─ said ──┴→ echo canceller ─→ input_audio_buffer.append ─→ line
       ↑                                                                │
    loudspeaker ←─ response.output_audio.delta, duologue.pause, … ←─────┘

What the session hears is the canceller's output, so it is there that voice is looked for. While both speak the words
in it are chopped; but the session pauses its output at the first sign of a voice, and this client its loudspeaker at
once (``duologue.pause``), so the rest of what the person says meets no echo.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from duologue.audio import Wave, milliseconds, samples
from duologue.audio.formats import decode_pcm16, encode_pcm16
from duologue.ears.echo import EchoCanceller
from duologue.terminal.device import AudioDevice, DeviceError
from duologue.terminal.loudspeaker import Loudspeaker

SETTINGS = {
    "type": "realtime",
    "audio": {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}},
    "duologue": {"events": ["floor", "partial", "pause", "ignored", "latency"]},
}
"""Transcripts, and duologue's own events; the name of the transcriber is one that every server knows."""

TICK = 0.01
"""Seconds between two looks at the line."""

DEAD = 3.0
"""After so many seconds without a block the device counts as gone."""


class Arrival(Protocol):
    """A server event."""

    @property
    def event(self) -> Mapping[str, Any]: ...


class Line(Protocol):
    """A connection that speaks OpenAI Realtime, to a server or to a session in this process."""

    def now(self) -> float:
        """Seconds; only differences mean something."""

    async def send(self, event: Mapping[str, Any]) -> None:
        """A client event."""

    async def wait(self, until: float) -> Sequence[Arrival]:
        """Lets time pass until ``until`` and returns what arrived, in order."""


class Talk:
    """One conversation. ``told`` gets every event of the server's, once the device has followed it."""

    def __init__(
        self,
        line: Line,
        device: AudioDevice,
        *,
        canceller: EchoCanceller | None,
        told: Callable[[Mapping[str, Any]], None] = lambda event: None,
    ) -> None:
        """``canceller``: without one, every loudspeaker that the microphone hears interrupts itself."""
        self._line = line
        self._device = device
        self._canceller = canceller
        self._told = told
        self._loudspeaker = Loudspeaker()
        self._blocks: deque[tuple[Wave, Wave]] = deque()
        """(heard, said at the same time), from the device and not sent yet."""
        self._latest = 0.0
        self._unwanted: set[str] = set()
        """Responses that fell silent: what still arrives of their sound is dropped."""
        self._active: str | None = None

    async def run(self) -> None:
        """Talks in real time until cancelled. Raises what the line raises, and :class:`DeviceError`."""
        await self.begin()
        try:
            while True:
                await self.tick(self._line.now() + TICK)
                if self._line.now() - self._latest > DEAD:
                    raise DeviceError(f"{self._device.name} has given no sound for {DEAD:g} s: is it still plugged in?")
        finally:
            self._device.stop()

    async def begin(self) -> None:
        """Opens the device."""
        await self._line.send({"type": "session.update", "session": SETTINGS})
        self._latest = self._line.now()
        self._device.start(self._exchange)

    async def tick(self, until: float) -> None:
        """Time passes until ``until``; what arrives is played, what was heard is sent."""
        for arrival in await self._line.wait(until):
            await self._take(arrival.event)
            self._told(arrival.event)
        await self._send_heard()

    def _exchange(self, heard: Wave) -> Wave:
        """The device's side; may be called from a thread of the device's own."""
        said = self._loudspeaker.take(len(heard))
        self._blocks.append((heard, said))
        return said

    async def _send_heard(self) -> None:
        blocks = [self._blocks.popleft() for _ in range(len(self._blocks))]
        if not blocks:
            return
        self._latest = self._line.now()
        wave = np.concatenate([heard for heard, _ in blocks])
        if self._canceller is not None:
            self._canceller.far(np.concatenate([said for _, said in blocks]))
            wave = self._canceller.near(wave)
        audio = base64.b64encode(encode_pcm16(wave)).decode("ascii")
        await self._line.send({"type": "input_audio_buffer.append", "audio": audio})

    async def _take(self, event: Mapping[str, Any]) -> None:
        match event["type"]:
            case "response.created":
                self._active = event["response"]["id"]
            case "response.output_audio.delta":
                if event["response_id"] not in self._unwanted:
                    wave = decode_pcm16(base64.b64decode(event["delta"]))
                    self._loudspeaker.push(event["item_id"], event["content_index"], wave)
            case "duologue.pause":
                self._loudspeaker.pause(event["paused"])
            case "input_audio_buffer.speech_started":
                await self._fall_silent()
            case "response.done":
                self._active = None
                self._unwanted.discard(event["response"]["id"])
                if event["response"]["status"] == "cancelled":
                    await self._fall_silent()

    async def _fall_silent(self) -> None:
        """Drops what is not played yet, and tells the server how much was heard of what it cuts."""
        if self._active is not None:
            self._unwanted.add(self._active)
        under_way = samples(self._device.latency)  # given to the device, but not in the air yet
        for cut in self._loudspeaker.flush():
            await self._line.send(
                {
                    "type": "conversation.item.truncate",
                    "item_id": cut.item,
                    "content_index": cut.part,
                    "audio_end_ms": milliseconds(max(0, cut.played - under_way)),
                }
            )
