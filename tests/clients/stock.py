"""A stock client that is no library of ours: a process in its own environment, spoken to by a microphone."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from .microphone import Microphone

HERE = Path(__file__).parent

ENVIRONMENT = Path(sys.prefix) / "clients" / "bin"
"""Where scripts/stock-clients puts Python, Node and the packages."""

COMMANDS = {
    "agents-js": (ENVIRONMENT / "node", HERE / "node" / "agents_talk.mjs"),
    "pipecat": (ENVIRONMENT / "python", HERE / "python" / "pipecat_talk.py"),
    "livekit": (ENVIRONMENT / "python", HERE / "python" / "livekit_talk.py"),
}


class StockClient:
    """What the client has told so far (see ``python/lines.py``), with the time of each line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: list[tuple[float, dict[str, Any]]] = []
        self._seen = 0
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())
        self._reading.add_done_callback(lambda _: self._news.set())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self.told.append((time.monotonic(), json.loads(line)))
            self._news.set()

    async def hear(self, pcm: bytes) -> None:
        """What the microphone picks up."""
        assert self._process.stdin is not None
        self._process.stdin.write(base64.b64encode(pcm) + b"\n")
        await self._process.stdin.drain()

    async def until(self, kind: str, containing: str = "", *, within: float = 10.0) -> Any:
        """The next thing of this kind told, after those already returned; a text that contains some words."""
        try:
            async with asyncio.timeout(within):
                while True:
                    while self._seen < len(self.told):
                        self._seen += 1
                        _, what = self.told[self._seen - 1]
                        if kind in what and containing in str(what[kind]).lower():
                            return what[kind]
                    if self._reading.done():
                        self._reading.result()
                        raise AssertionError(f"the client ended before {kind}; {self.story}")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {kind} {containing!r} within {within} s; {self.story}") from None

    async def hang_up(self) -> None:
        """End the input, upon which the client ends by itself, or is ended."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            os.killpg(self._process.pid, signal.SIGKILL)  # node's wheel runs node in a process below its own
            raise AssertionError(f"the client did not end with its input; {self.story}") from None
        finally:
            await self._reading

    def all(self, kind: str) -> list[Any]:
        """Everything of a kind told so far."""
        return [what[kind] for _, what in self.told if kind in what]

    @property
    def story(self) -> str:
        """What happened, in brief."""
        lines = [what for _, what in self.told if "played" not in what]
        types = [what["event"]["type"] if "event" in what else what for what in lines]
        return "\n".join(map(str, types))


@asynccontextmanager
async def talking(name: str, url: str) -> AsyncIterator[tuple[StockClient, Microphone]]:
    """Start a client and connect it to the server; the microphone is on."""
    program, script = COMMANDS[name]
    if not program.exists():
        raise RuntimeError(f"{program} is missing; run scripts/stock-clients with this environment (make test does)")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        program, script, url, stdin=pipe, stdout=pipe, limit=2**24, start_new_session=True
    )
    client = StockClient(process)
    try:
        await client.until("ready", within=30)
        async with Microphone(client.hear) as microphone:
            yield client, microphone
    finally:
        await client.hang_up()
