"""Models that take turns behind a server on a real socket, and clients who keep all that arrives."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from duologue.backends.engine import EngineBackend
from duologue.engine.messages import Spec
from duologue.measure.lines import Arrival, Line, dial
from duologue.models import catalogue
from duologue.server.options import ServerOptions
from duologue.server.run import Serving, serving
from duologue.server.sessions import opener
from protocol.realtime_rules import Client

SYSTEMS = ("qwen2_audio", "llama_omni", "mini_omni2")
SEEDS = {"qwen2_audio": 2, "llama_omni": 12, "mini_omni2": 2}
"""With these they have a lot to say."""


def write(system: str, root: Path) -> Path:
    """A small random one, in the published layout."""
    catalogue.system(system).write(root / system, seed=SEEDS[system], sizes={})
    return root / system


@asynccontextmanager
async def served(directory: Path, rows: int = 4, **more: Any) -> AsyncIterator[Serving]:
    """``more``: of the backend."""
    backend = EngineBackend(Spec(str(directory), rows, device="cpu", dtype="float32", threads=1), **more)
    async with serving(ServerOptions(port=0, drain_seconds=0.0, sessions=8), backend, opener) as server:
        yield server


class Recorded:
    """A line of which everything that arrives is kept."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.rules = Client()

    def now(self) -> float:
        return self._line.now()

    async def send(self, event: Mapping[str, Any]) -> None:
        await self._line.send(event)

    async def wait(self, until: float) -> list[Arrival]:
        arrived = await self._line.wait(until)
        self.rules.follow([dict(arrival.event) for arrival in arrived])
        return arrived

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.rules.events if event["type"] == kind]

    async def until(self, kind: str, count: int = 1, patience: float = 30.0) -> dict[str, Any]:
        end = self.now() + patience
        while len(self.of(kind)) < count:
            assert self.now() < end, f"no {kind}; {self.rules.types}"
            await self.wait(self.now() + 0.02)
        return self.of(kind)[count - 1]


@asynccontextmanager
async def call(server: Serving, **settings: Any) -> AsyncIterator[Recorded]:
    async with dial(server.url) as line:
        recorded = Recorded(line)
        await recorded.until("session.created")
        await recorded.send({"type": "session.update", "session": {"type": "realtime", **settings}})
        await recorded.until("session.updated")
        yield recorded


def written(text: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}}


def picture(colour: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
