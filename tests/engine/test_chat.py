"""Moshi's own protocol on a real socket: the golden conversation, and what misbehaves."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from duologue.backends.engine import EngineBackend
from duologue.measure.golden import Case, Claim
from duologue.measure.golden_moshi import server_frames, system
from duologue.measure.golden_wire import decoded, same_sound, split, structure
from duologue.protocol.moshi import Kind, Wire
from duologue.server.run import Serving
from engine.golden_server import CASE, published, served

Server = tuple[Serving, EngineBackend]


@pytest.fixture
async def echo() -> AsyncIterator[Server]:
    async with served("echo") as server:
        yield server


def address(server: Server, query: str = "") -> str:
    return server[0].url.replace("http", "ws", 1) + "api/chat" + query


def line(server: Server, query: str = "") -> connect:
    return websockets.connect(address(server, query), compression=None)


async def receive(client: ClientConnection, within: float = 5.0) -> bytes:
    async with asyncio.timeout(within):
        message = await client.recv()
    assert isinstance(message, bytes)
    return message


async def quiet(client: ClientConnection) -> list[bytes]:
    """What arrives until nothing has for a while."""
    got = []
    try:
        while True:
            got.append(await receive(client, 0.3))
    except TimeoutError:
        return got


async def test_the_golden_conversation(tmp_path: Path) -> None:
    """Kyutai's server and ours, message by message: kinds, pages, text, order, and the sound."""
    case = Case.open(CASE)
    async with served(str(published(tmp_path))) as server, line(server) as client:
        got, after = [await receive(client)], [-1]
        for index, message in enumerate(split(case.given("client_bytes"), case.given("client_lengths"))):
            await client.send(message)
            for reply in await quiet(client):
                got.append(reply)
                after.append(index)
    theirs = split(case.given("server_bytes"), case.given("server_lengths"))
    assert structure(got) == structure(theirs)
    assert after == case.given("server_after").tolist()
    assert [message[0] for message in got] == case.given("server_kinds").tolist()
    frames = server_frames(system(case), case.given("decoded_user_pcm").flatten())
    spoken = np.concatenate([frame["said"].wave[0].numpy() for frame in frames if frame["said"].ready[0]])
    sound = same_sound(case, spoken, decoded(got), case.given("decoded_agent_pcm").numpy())
    assert not isinstance(sound, Claim) or sound.holds, sound


async def test_two_conversations_at_once_are_as_one(tmp_path: Path) -> None:
    case = Case.open(CASE)
    messages = split(case.given("client_bytes"), case.given("client_lengths"))

    async def talk(server: Server, pause: float) -> list[bytes]:
        async with line(server, "?text_temperature=0.7&seed=-1") as client:
            got = [await receive(client)]
            for message in messages:
                await client.send(message)
                await asyncio.sleep(pause)
            return got + await quiet(client)

    async with served(str(published(tmp_path))) as server:
        alone = await talk(server, 0.08)
        first, second = await asyncio.gather(talk(server, 0.08), talk(server, 0.05))
    assert structure(alone) == structure(first) == structure(second)


async def test_a_full_house_is_refused_at_once() -> None:
    async with served("echo", rows=1) as server, line(server) as client:
        assert await receive(client) == b"\x00"
        async with line(server) as second:
            refusal = await receive(second)
            assert refusal[0] == Kind.ERROR
            assert "all 1 conversations" in refusal[1:].decode()
            await second.wait_closed()
            assert second.close_code == 1013
        await client.close()
        await asyncio.sleep(0.1)
        async with line(server) as third:
            assert await receive(third) == b"\x00"


async def test_a_token_may_come_in_the_query_here_and_only_here() -> None:
    async with served("echo", token="secret-1") as server:
        with pytest.raises(InvalidStatus):
            await line(server).__aenter__()
        with pytest.raises(InvalidStatus):
            await line(server, "?token=wrong").__aenter__()
        async with line(server, "?token=secret-1") as client:
            assert await receive(client) == b"\x00"
        elsewhere = server[0].url.replace("http", "ws", 1) + "v1/realtime?model=m&token=secret-1"
        with pytest.raises(InvalidStatus):
            await websockets.connect(elsewhere)


async def talk(client: ClientConnection, seconds: float) -> list[float]:
    """Speak in real time to an echo; seconds from each frame's last message to its return."""
    wire, loop, sent, delays = Wire(), asyncio.get_running_loop(), [], []

    async def listen() -> None:
        async for message in client:
            if message[0] == Kind.AUDIO:
                delays.append(loop.time() - sent[min(len(delays), len(sent) - 1)])

    listener = asyncio.create_task(listen())
    rng, began = np.random.default_rng(0), loop.time()
    for n in range(round(seconds / 0.08)):
        await asyncio.sleep(max(0.0, began + 0.08 * (n + 1) - loop.time()))
        message = wire.audio(rng.normal(0, 0.1, 1920).astype(np.float32))
        sent.append(loop.time())
        await client.send(message or b"")
    await asyncio.sleep(0.2)
    listener.cancel()
    return delays


@pytest.mark.parametrize("kind", ["ignored", "broken"])
async def test_what_is_no_sound(echo: Server, kind: str) -> None:
    """What means nothing is ignored, as by the reference; a broken stream gets a clear error and is closed."""
    if kind == "ignored":
        async with line(echo) as client:
            await receive(client)
            for junk in (b"", b"\x06", b"\x03\x01", b"\xfe\x00\x01", "text", b"\x02half a piece \xe2\x82"):
                await client.send(junk)
            assert len(await talk(client, 0.4)) == 5
        return
    for junk in (b"\x01" + b"no Ogg at all" * 5, b"\x01OggS" + bytes(40_000)):
        async with line(echo) as client:
            await receive(client)
            await client.send(junk)
            error = await receive(client)
            assert error[0] == Kind.ERROR
            assert len(error) > 20
            await client.wait_closed()
            assert client.close_code == 1007


async def test_neighbours_do_not_notice_who_misbehaves(echo: Server) -> None:
    """One never reads, one dies in the middle of a frame, one sends rubbish over and over."""
    good = await line(echo).__aenter__()
    await receive(good)
    before = sorted(await talk(good, 1.2))

    async def deaf() -> None:
        client = await line(echo).__aenter__()
        client.transport.pause_reading()
        wire = Wire()
        while True:
            await client.send(wire.audio(np.ones(1920, np.float32)) or b"")
            await asyncio.sleep(0.02)

    async def rude() -> None:
        while True:
            client = await line(echo).__aenter__()
            await client.send((Wire().audio(np.ones(1920, np.float32)) or b"")[:200])
            client.transport.abort()
            other = await line(echo).__aenter__()
            try:
                await other.send(b"\x01" + os.urandom(500))
                await other.wait_closed()
            except ConnectionClosed:
                pass
            await asyncio.sleep(0.02)

    tasks = [asyncio.create_task(deaf()), asyncio.create_task(rude())]
    after = sorted(await talk(good, 2.4))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(after) == 30
    assert after[len(after) // 2] < before[len(before) // 2] + 0.015
    await good.close()


async def test_a_dying_engine_is_told_and_the_server_goes_on(echo: Server) -> None:
    _, backend = echo
    async with line(echo) as client:
        await receive(client)
        assert backend.engine.pid is not None
        os.kill(backend.engine.pid, signal.SIGKILL)
        error = await receive(client)
        assert error[0] == Kind.ERROR
        assert "broke down" in error[1:].decode()
        await client.wait_closed()
        assert client.close_code == 1011
    async with asyncio.timeout(20):
        while backend.engine.pulse is None:  # noqa: ASYNC110  (watched from outside)
            await asyncio.sleep(0.05)
    async with line(echo) as client:
        assert await receive(client) == b"\x00"


async def test_the_engine_is_seen_in_the_metrics(echo: Server) -> None:
    async with httpx.AsyncClient(base_url=echo[0].url) as http, line(echo) as client:
        await receive(client)
        for _ in range(50):
            shown = (await http.get("metrics")).text
            if "duologue_engine_seated 1.0" in shown:
                break
            await asyncio.sleep(0.1)
    assert "duologue_engine_seated 1.0" in shown
    assert "duologue_engine_room 4.0" in shown
    assert "duologue_engine_tick_milliseconds" in shown
