"""One socket and its session: timing, limits, clients that vanish or never read, crashes, draining."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import pytest
import websockets
from openai import AsyncOpenAI
from websockets.frames import Opcode

from duologue.server import wire
from duologue.server.websocket import BACKLOG_ENDS
from duologue.server.wire import MAX_FRAGMENTS, MAX_MESSAGE

from .conftest import House

Start = Callable[..., Awaitable[House]]


async def raw_client(house: House, receive_buffer: int | None = None) -> socket.socket:
    """A WebSocket whose bytes are the test's own: connected, and never read again."""
    parts = urlsplit(house.url)
    client = socket.socket()
    if receive_buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, (parts.hostname, parts.port))
    request = (
        f"GET /v1/realtime HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await loop.sock_sendall(client, request.encode())
    assert b"101" in await loop.sock_recv(client, 4096)
    return client


def frame(payload: bytes, opcode: int = Opcode.TEXT, *, fin: bool = True) -> bytes:
    """A client's frame, masked with zeros."""
    head = bytes([(0x80 if fin else 0) | opcode])
    size = len(payload)
    if size < 126:
        return head + bytes([0x80 | size]) + bytes(4) + payload
    return head + bytes([0x80 | 127]) + struct.pack("!Q", size) + bytes(4) + payload


async def test_frames_go_in_and_events_come_out_in_order(served: Start) -> None:
    client = await (await served()).connect()
    for number in range(100):
        await client.say("echo", of=str(number))
    assert [(await client.hear())["of"] for _ in range(100)] == [str(number) for number in range(100)]


async def test_a_session_is_polled_when_it_is_due_and_when_its_backend_woke_it(served: Start) -> None:
    client = await (await served()).connect()
    for do in ("in", "elsewhere"):
        began = time.monotonic()
        await client.say(do, seconds=0.2, of="later")
        assert (await client.hear())["of"] == "later"
        assert 0.19 <= time.monotonic() - began < 0.4


async def test_binary_frames_reach_the_session(served: Start) -> None:
    client = await (await served()).connect()
    await client.connection.send(b"\x00\x01\x02")
    assert await client.hear() == {"type": "bytes", "count": 3}


async def test_a_lone_surrogate_is_echoed_and_not_stumbled_over(served: Start) -> None:
    client = await (await served()).connect()
    await client.connection.send('{"do": "echo", "of": "\\ud800"}')
    assert "\\ud800" in str(await client.connection.recv())


async def test_text_that_is_not_utf8_closes_with_1007_and_others_go_on(served: Start) -> None:
    house = await served()
    other = await house.connect()
    client = await raw_client(house)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, frame(b"\xff\xfe"))
    received = b""
    async with asyncio.timeout(2):
        while chunk := await loop.sock_recv(client, 4096):
            received += chunk
    assert struct.pack("!H", 1007) in received
    client.close()
    assert await other.echo("still here") == "still here"


async def test_a_large_message_is_the_sessions_affair_and_a_huge_one_ends_the_socket(served: Start) -> None:
    house = await served()
    other = await house.connect()
    client = await house.connect()
    await client.connection.send(bytes(21 * 2**20))
    assert await client.hear() == {"type": "bytes", "count": 21 * 2**20}
    with suppress(websockets.ConnectionClosed):  # it may be ended before all of it is sent
        await client.connection.send(bytes(MAX_MESSAGE + 1))
    assert (await client.closed())[0] == 1009
    assert await other.echo("still here") == "still here"
    await house.until(sessions=1)


async def test_a_message_in_endless_fragments_is_ended(served: Start) -> None:
    house = await served()
    client = await raw_client(house)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, frame(b"{", fin=False))
    nothing = frame(b"", Opcode.CONT, fin=False) * (MAX_FRAGMENTS // 8)
    for _ in range(7):
        await loop.sock_sendall(client, nothing)
    await asyncio.sleep(0.2)
    assert len(house.alive) == 1, "not yet too many"
    await loop.sock_sendall(client, nothing)
    await house.until(sessions=0)
    assert struct.pack("!H", 1009) in await loop.sock_recv(client, 65536)
    client.close()


async def test_nothing_is_read_from_a_client_while_its_session_is_full(served: Start) -> None:
    house = await served()
    client = await house.connect()
    (session,) = house.alive
    await client.say("fill")
    await client.say("echo", of="later")
    await asyncio.sleep(0.2)
    assert session.received == 1
    session.full = False
    session.wake()
    assert (await client.hear())["of"] == "later"


async def test_an_answer_to_a_ping_may_lie_behind_what_is_not_read_yet(
    served: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "PING_SECONDS", 0.1)
    house = await served()
    client = await house.connect()
    (session,) = house.alive
    await client.say("fill")
    for number in range(3):
        await client.say("echo", of=str(number))
    await asyncio.sleep(0.5)
    session.full = False
    session.wake()
    assert [(await client.hear())["of"] for _ in range(3)] == ["0", "1", "2"]
    await asyncio.sleep(0.5)
    assert await client.echo("still here") == "still here"


async def test_no_answer_at_all_is_excused_for_so_long_only(served: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "PING_SECONDS", 0.1)
    monkeypatch.setattr(wire, "EXCUSED_SECONDS", 0.5)
    house = await served()
    mute = await raw_client(house)
    loop = asyncio.get_running_loop()
    began = time.monotonic()
    with suppress(ConnectionError):
        while time.monotonic() < began + 2.0 and len(house.alive):
            await loop.sock_sendall(mute, frame(b'{"do": "echo", "of": "."}'))
            await asyncio.sleep(0.05)
    assert 0.4 < time.monotonic() - began < 1.5
    mute.close()


async def test_whoever_leaves_with_a_full_session_is_gone_at_once(served: Start) -> None:
    house = await served()
    client = await house.connect()
    await client.say("fill")
    await client.connection.close()
    await house.until(sessions=0)


async def test_a_frame_taken_in_pieces_lets_others_have_their_turn(served: Start) -> None:
    house = await served()
    slow, other = await house.connect(), await house.connect()
    await slow.say("pieces", count=400, seconds=0.001)
    await slow.say("echo", of="afterwards")
    async with asyncio.timeout(0.3):
        assert await other.echo("meanwhile") == "meanwhile"
    assert (await slow.hear())["of"] == "afterwards"


async def test_beyond_the_limit_a_client_is_told_at_once(served: Start) -> None:
    house = await served(sessions=2)
    first, _ = [await house.connect() for _ in range(2)]
    began = time.monotonic()
    async with websockets.connect(house.ws) as third:
        refusal = json.loads(await third.recv())
        assert refusal["type"] == "error"
        assert refusal["event_id"]
        assert refusal["error"]["code"] == "session_limit_reached"
        assert "2 sessions" in refusal["error"]["message"]
        await third.wait_closed()
        assert third.close_code == 1013
    assert time.monotonic() - began < 0.5
    await first.connection.close()
    await house.until(sessions=1)
    assert await (await house.connect()).echo("in") == "in"


async def test_the_official_client_reads_the_refusal(served: Start) -> None:
    house = await served(sessions=1)
    await house.connect()
    client = AsyncOpenAI(api_key="any", base_url=house.url + "v1")
    async with client.realtime.connect(model="gpt-realtime") as connection:
        event = await connection.recv()
    assert event.type == "error"
    assert event.error.code == "session_limit_reached"


async def test_a_client_that_vanishes_frees_its_place_in_mid_reply(served: Start) -> None:
    house = await served(sessions=1)
    client = await house.connect()
    await client.say("in", seconds=30, of="never heard")
    client.connection.transport.abort()
    await house.until(sessions=0)
    await house.connect()


async def test_a_client_that_never_reads_is_let_go_and_stalls_nobody(served: Start) -> None:
    house = await served()
    other = await house.connect()
    deaf = await raw_client(house, receive_buffer=4096)
    await house.until(sessions=2)
    loop = asyncio.get_running_loop()
    ask = frame(json.dumps({"do": "in", "seconds": 0.05, "of": "y" * 2**20}).encode())
    for _ in range(3):  # beyond what the kernel buffers, and below the limit: nothing more is read from it
        await loop.sock_sendall(deaf, frame(b'{"do": "much", "megabytes": 2}'))
    await loop.sock_sendall(deaf, ask)
    slowest = 0.0
    for number in range(50):
        began = time.monotonic()
        assert await other.echo(str(number)) == str(number)
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 0.25
    await loop.sock_sendall(deaf, frame(b'{"do": "echo", "of": "is this read?"}'))
    await asyncio.sleep(0.2)
    assert len(house.alive) == 2, "paused, not ended"
    deaf.close()
    await house.until(sessions=1)


async def test_one_who_asks_much_and_reads_late_waits_and_misses_nothing(served: Start) -> None:
    house = await served()
    deaf = await raw_client(house, receive_buffer=4096)
    await house.until(sessions=1)
    (session,) = house.alive
    loop = asyncio.get_running_loop()
    for _ in range(12):
        await loop.sock_sendall(deaf, frame(b'{"do": "much", "megabytes": 2}'))
    await asyncio.sleep(0.5)
    assert session.received <= 5, "what it asked beyond this would only pile up"
    count = 0
    async with asyncio.timeout(20):
        while count < 24 * 2**20:
            count += (await loop.sock_recv(deaf, 2**20)).count(b"x")
    assert session.received == 12
    deaf.close()
    await house.until(sessions=0)


async def test_a_burst_from_one_is_shared_out_among_everybodys_turns(served: Start) -> None:
    house = await served()
    other = await house.connect()
    hasty = await raw_client(house)
    burst = frame(b'{"do": "work", "seconds": 0.002}') * 500
    await asyncio.get_running_loop().sock_sendall(hasty, burst)
    began = time.monotonic()
    await other.echo("between")
    assert time.monotonic() - began < 0.3
    hasty.close()


async def test_a_machine_that_went_silent_is_noticed(served: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "PING_SECONDS", 0.2)
    house = await served()
    other = await house.connect()
    for order in (b'{"do": "echo", "of": "."}', b'{"do": "much", "megabytes": 7}'):
        silent = await raw_client(house, receive_buffer=4096)
        await asyncio.get_running_loop().sock_sendall(silent, frame(order))
        await house.until(sessions=2)
        await house.until(sessions=1)
        silent.close()
    await asyncio.sleep(0.5)
    assert await other.echo("it answers pings") == "it answers pings"


async def test_unsent_events_are_bounded(served: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "FAREWELL_SECONDS", 0.3)
    house = await served()
    deaf = await raw_client(house, receive_buffer=4096)
    await house.until(sessions=1)
    loop = asyncio.get_running_loop()
    count = BACKLOG_ENDS // 2**20 + 4  # beyond the limit and what the kernel buffers
    for number in range(count):
        later = {"do": "elsewhere", "seconds": 0.5 + 0.02 * number, "of": "z" * 2**20}
        await loop.sock_sendall(deaf, frame(json.dumps(later).encode()))
    await house.until(sessions=0, within=3)
    async with httpx.AsyncClient(base_url=house.url) as http:
        metrics = (await http.get("/metrics")).text
    assert 'duologue_sessions_ended_total{why="slow"} 1.0' in metrics
    await asyncio.sleep(0.4)
    count = 0
    while chunk := await loop.sock_recv(deaf, 2**20):
        count += chunk.count(b"z")
    assert count % 2**20, "what waited in the server was dropped, in the middle of a message, not kept for it"
    deaf.close()


async def test_much_at_once_to_a_client_that_reads_is_no_fault(served: Start) -> None:
    client = await (await served()).connect()
    await client.say("much", megabytes=24)
    for _ in range(24):
        assert len((await client.hear())["of"]) == 2**20


@pytest.mark.parametrize("do", ["crash", "crash later"])
async def test_a_crash_ends_one_session_and_is_logged(served: Start, do: str, caplog: pytest.LogCaptureFixture) -> None:
    house = await served()
    other = await house.connect()
    client = await house.connect()
    await client.say(do)
    event = await client.hear()
    assert event["error"]["type"] == "server_error"
    assert "ZeroDivisionError" not in json.dumps(event)
    assert (await client.closed())[0] == 1011
    assert await other.echo("still here") == "still here"
    await house.until(sessions=1)


async def test_draining_lets_replies_end_and_nobody_in(served: Start) -> None:
    house = await served()
    idle, busy = [await house.connect() for _ in range(2)]
    await busy.say("in", seconds=0.6, of="the end of the story")
    await asyncio.sleep(0.05)
    draining = asyncio.create_task(house.server.house.drain(10))
    assert (await idle.closed())[0] == 1001
    async with httpx.AsyncClient(base_url=house.url) as http:
        assert (await http.get("/healthz")).status_code == 503
    async with websockets.connect(house.ws) as late:
        assert json.loads(await late.recv())["error"]["code"] == "server_shutting_down"
    assert all(session.drained for session in house.alive)
    assert (await busy.hear())["of"] == "the end of the story"
    assert (await busy.closed())[0] == 1001
    await asyncio.wait_for(draining, 1)
    assert house.backend.running


async def test_draining_is_bounded(served: Start) -> None:
    house = await served()
    client = await house.connect()
    await client.say("in", seconds=60, of="an endless story")
    await asyncio.sleep(0.05)
    began = time.monotonic()
    await house.server.house.drain(0.3)
    assert 0.3 <= time.monotonic() - began < 1.0
    assert (await client.closed())[0] == 1001


async def test_places_are_strict_when_many_come_at_once(served: Start) -> None:
    house = await served(sessions=3)

    async def first_word() -> str:
        async with websockets.connect(house.ws) as connection:
            event = json.loads(await connection.recv())
            await asyncio.sleep(0.3)
            return str(event.get("error", event).get("code", event["type"]))

    words = await asyncio.gather(*(first_word() for _ in range(10)))
    assert sorted(words) == ["session.created"] * 3 + ["session_limit_reached"] * 7
