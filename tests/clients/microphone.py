"""A microphone that is always on, in front of a flite voice: what a client streams while a person talks and waits."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

import numpy as np

from duologue.audio import RATE, Wave, samples, seconds
from duologue.audio.formats import encode_pcm16
from duologue.measure.voices import speak

HOP = samples(0.02)

LEAD_IN = samples(0.1)
"""Room tone before a sentence: synthesizers begin more abruptly than people."""


class Microphone:
    """Sends 20 ms of PCM16 at 24 kHz every 20 ms, silence where nobody speaks, from entering to leaving the context."""

    def __init__(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        self._send = send
        self._waiting: deque[tuple[Wave, asyncio.Future[float]]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Microphone:
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._running is not None
        self._running.cancel()
        (ended,) = await asyncio.gather(self._running, return_exceptions=True)
        if error is None and isinstance(ended, Exception):
            raise ended

    async def say(self, text: str, voice: str = "slt") -> float:
        """Speak; returns the ``time.monotonic()`` at which the last word ended, just after it did."""
        spoken = speak(text, voice)
        wave = np.concatenate([np.zeros(LEAD_IN, np.float32), spoken.wave[: spoken.end]])
        ended: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append((wave, ended))
        assert self._running is not None
        awaited: set[asyncio.Future[Any]] = {ended, self._running}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if self._running.done():
            self._running.result()  # whoever listened is gone
        return ended.result()

    async def _run(self) -> None:
        start, sent = time.monotonic(), 0
        while True:
            wave, ended = self._waiting.popleft() if self._waiting else (np.zeros(HOP, np.float32), None)
            wave = np.append(wave, np.zeros(-len(wave) % HOP, np.float32))
            for at in range(0, len(wave), HOP):
                await self._send(encode_pcm16(wave[at : at + HOP]))
                sent += HOP
                await asyncio.sleep(max(0.0, start + seconds(sent) - time.monotonic()))
            if ended is not None:
                ended.set_result(time.monotonic())


def push_to_talk(text: str, voice: str = "slt") -> list[bytes]:
    """A sentence between pressing and releasing the button, in pieces of 100 ms to send at once."""
    wave, piece = np.concatenate([np.zeros(LEAD_IN, np.float32), speak(text, voice).wave]), RATE // 10
    return [encode_pcm16(wave[at : at + piece]) for at in range(0, len(wave), piece)]
