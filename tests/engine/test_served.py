"""A neural model served whole: OpenAI Realtime and Moshi's protocol at once, from a published directory."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import websockets
from click.testing import CliRunner

from duologue import cli
from duologue.protocol.moshi import Kind, Wire
from engine.golden_server import published, served
from protocol.realtime_rules import Client


async def realtime(url: str, seconds: float, updates: dict[str, Any] | None = None) -> Client:
    """Noise in real time; everything that came back, held against the protocol's rules."""
    rules = Client()
    async with websockets.connect(f"{url}v1/realtime?model=gpt-realtime", compression=None) as socket:

        async def listen() -> None:
            async for message in socket:
                rules.follow([json.loads(message)])

        listener = asyncio.create_task(listen())
        if updates is not None:
            await socket.send(json.dumps({"type": "session.update", "session": {"type": "realtime", **updates}}))
        rng, loop = np.random.default_rng(0), asyncio.get_running_loop()
        began = loop.time()
        for n in range(round(seconds / 0.02)):
            await asyncio.sleep(max(0.0, began + 0.02 * (n + 1) - loop.time()))
            pcm = (rng.normal(0, 300, 480)).astype("<i2").tobytes()
            audio = base64.b64encode(pcm).decode()
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        await asyncio.sleep(0.2)
        listener.cancel()
    return rules


async def moshi(url: str, seconds: float, query: str = "") -> list[bytes]:
    async with websockets.connect(f"{url}api/chat{query}", compression=None, max_queue=None) as socket:
        messages = [await asyncio.wait_for(socket.recv(), 10)]
        wire = Wire()
        for _ in range(round(seconds / 0.08)):
            await socket.send(wire.audio(np.full(1920, 0.01, np.float32)) or b"")
            await asyncio.sleep(0.08)
        await asyncio.sleep(0.2)
        await socket.close()
        messages += [message async for message in socket]
    return [message for message in messages if isinstance(message, bytes)]


async def test_both_protocols_at_once(tmp_path: Path) -> None:
    async with served(str(published(tmp_path))) as (server, _):
        url = server.url.replace("http", "ws", 1)
        client, messages = await asyncio.gather(realtime(url, 2.0), moshi(url, 1.5))
    kinds = [message[0] for message in messages]
    assert kinds[0] == Kind.HANDSHAKE
    assert kinds.count(Kind.AUDIO) >= 15
    assert Kind.TEXT in kinds
    assert "response.created" in client.types, "random weights always have something to say"
    sent = [e for e in client.events if e["type"] == "response.output_audio.delta"]
    assert sum(len(base64.b64decode(e["delta"])) for e in sent) / 48_000 > 1.0
    assert any(e["type"] == "response.output_audio_transcript.delta" for e in client.events)
    assert not client.errors


async def test_personas(tmp_path: Path) -> None:
    """PersonaPlex by its clients' query, and by a Realtime session's instructions and voice."""
    directory = tmp_path / "persona"
    assert CliRunner().invoke(cli.main, ["tiny", "personaplex", str(directory)]).exit_code == 0
    async with served(str(directory)) as (server, backend):
        assert backend.card.voices == ("NATF0", "NATM0")
        url = server.url.replace("http", "ws", 1)
        messages = await moshi(url, 0.5, "?voice_prompt=NATM0.pt&text_prompt=You%20are%20a%20pirate.&seed=-1")
        assert messages[0] == b"\x00"
        assert any(message[0] == Kind.AUDIO for message in messages)
        [refused] = await moshi_error(url, "?voice_prompt=NOBODY.pt&text_prompt=x")
        assert "no voice 'NOBODY'" in refused[1:].decode()
        persona = {"instructions": "You are a nurse.", "audio": {"output": {"voice": "NATM0"}}}
        client = await realtime(url, 1.5, persona)
    assert "response.created" in client.types
    assert not client.errors


async def moshi_error(url: str, query: str) -> list[bytes]:
    async with websockets.connect(f"{url}api/chat{query}", compression=None, max_queue=None) as socket:
        error = await socket.recv()
        with pytest.raises(websockets.ConnectionClosedError, match="1011"):
            await socket.recv()
    assert isinstance(error, bytes) and error[0] == Kind.ERROR
    return [error]


async def test_realtime_clients_are_told_when_there_is_no_room_and_when_the_model_dies() -> None:
    async with served("echo", rows=1) as (server, backend):
        url = server.url.replace("http", "ws", 1) + "v1/realtime?model=echo"
        async with websockets.connect(url) as first:
            assert json.loads(await first.recv())["type"] == "session.created"
            async with websockets.connect(url) as second:
                error = json.loads(await second.recv())
                assert error["error"]["code"] == "no_room"
                assert "all 1 conversations" in error["error"]["message"]
                await second.wait_closed()
                assert second.close_code == 1013
            assert backend.engine.pid is not None
            os.kill(backend.engine.pid, signal.SIGKILL)
            lost = json.loads(await first.recv())
            assert (lost["type"], lost["error"]["code"]) == ("error", "session_lost")
            await first.wait_closed()
            assert first.close_code == 1011
        async with asyncio.timeout(20):
            while backend.engine.pulse is None:  # noqa: ASYNC110  (watched from outside)
                await asyncio.sleep(0.05)
        async with websockets.connect(url) as third:
            assert json.loads(await third.recv())["type"] == "session.created"
