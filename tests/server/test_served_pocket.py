"""The whole server as a process, with the embedded model, driven by the official client and by rude ones."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import websockets
from openai import AsyncOpenAI

from .test_process import Process, running

TOO_LARGE = "A" * (21 * 2**20)
"""Base64 beyond the 15 MiB of audio that an append may hold, in a message that the socket still takes."""


@pytest.fixture
async def server() -> AsyncIterator[Process]:
    command = ("-m", "duologue", "serve", "--port", "0", "--sessions", "2", "--log-level", "warning")
    began = time.monotonic()
    async with running(command=command) as process:
        assert time.monotonic() - began < 5, "from start to ready"
        yield process


async def until(connection: Any, kind: str) -> Any:
    """The next event of a type."""
    async with asyncio.timeout(10):
        async for event in connection:
            if event.type == kind:
                return event
    raise AssertionError(f"closed before {kind}")


def speech() -> list[dict[str, Any]]:
    """Ask for a reply of some seconds."""
    content = [{"type": "input_text", "text": "count to ten"}]
    item = {"type": "message", "role": "user", "content": content}
    return [{"type": "conversation.item.create", "item": item}, {"type": "response.create"}]


async def test_the_official_client_talks_and_survives_its_own_mistakes(server: Process) -> None:
    client = AsyncOpenAI(api_key="any", base_url=server.url + "v1")
    async with client.realtime.connect(model="gpt-realtime") as connection:
        assert (await connection.recv()).type == "session.created"
        await connection.send({"type": "input_audio_buffer.append", "audio": TOO_LARGE, "event_id": "big"})
        refused = await until(connection, "error")
        assert refused.error.event_id in ("big", None)
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await until(connection, "session.updated")
        content: Any = [{"type": "input_text", "text": "what is two plus three"}]
        await connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        await connection.response.create()
        text = (await until(connection, "response.output_text.done")).text
        assert "five" in text.lower() or "5" in text
        assert (await until(connection, "response.done")).response.status == "completed"


async def test_one_who_vanishes_in_mid_reply_frees_a_place(server: Process) -> None:
    for _ in range(3):  # one more than there are places
        connection = await websockets.connect(server.ws)
        for event in speech():
            await connection.send(json.dumps(event))
        async with asyncio.timeout(5):
            while json.loads(await connection.recv())["type"] != "response.output_audio.delta":
                continue
        connection.transport.abort()
        await asyncio.sleep(1)
        async with httpx.AsyncClient(base_url=server.url) as http:
            assert "duologue_sessions 0.0" in (await http.get("/metrics")).text


async def test_ctrl_c_lets_a_reply_end(server: Process) -> None:
    async with websockets.connect(server.ws) as connection:
        for event in speech():
            await connection.send(json.dumps(event))
        async with asyncio.timeout(5):
            while json.loads(await connection.recv())["type"] != "response.output_audio.delta":
                continue
        os.killpg(server.process.pid, signal.SIGINT)  # what a terminal does: to the ear's workers as well
        events = [json.loads(message) async for message in connection]
    spoken = sum(event["type"] == "response.output_audio.delta" for event in events)
    assert events[-1]["type"] == "response.done"
    assert events[-1]["response"]["status"] == "completed", events[-1]["response"]["status_details"]
    assert spoken > 20, "most of it was said after the signal"
    assert connection.close_code == 1001
    assert await server.exit_code(within=5) == 0
    assert "Traceback" not in await server.log()
