"""Lines over real sockets: addresses, refusals, endings, and a conversation in real time."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus

import pytest
from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.datastructures import Headers

from duologue.measure.caller import Caller
from duologue.measure.exchange import exchange
from duologue.measure.lines import LineError, dial, endpoint
from measure.scripted import ENDPOINT, Scripted, serve_scripted, tone


@pytest.mark.parametrize(
    ("typed", "model", "address"),
    [
        ("http://127.0.0.1:8790", None, "ws://127.0.0.1:8790/v1/realtime?model=duologue"),
        ("127.0.0.1:8790", None, "ws://127.0.0.1:8790/v1/realtime?model=duologue"),
        ("localhost:8790/", "pocket", "ws://localhost:8790/v1/realtime?model=pocket"),
        ("https://host/v1/", None, "wss://host/v1/realtime?model=duologue"),
        ("ws://host/v1/realtime?model=moshi", None, "ws://host/v1/realtime?model=moshi"),
        ("wss://host/v1/realtime?model=moshi", "a b", "wss://host/v1/realtime?model=a%20b"),
        ("http://host/prefix", None, "ws://host/prefix/v1/realtime?model=duologue"),
    ],
)
def test_addresses_as_people_type_them(typed: str, model: str | None, address: str) -> None:
    assert endpoint(typed, model) == address


@pytest.mark.parametrize("typed", ["ftp://host", "http://", "", "file:///etc/passwd"])
def test_what_is_no_address(typed: str) -> None:
    with pytest.raises(LineError, match="no address of a server"):
        endpoint(typed)


async def test_a_real_socket_in_real_time() -> None:
    async with serve_scripted(Scripted(delay=0.1, reply=0.3)) as url, dial(url) as line:
        caller = Caller(line)
        await caller.join()
        turn = await exchange(caller, tone(0.4))
    assert turn.heard == "what time is it"
    assert turn.latency is not None
    assert ENDPOINT + 0.1 - 0.03 <= turn.latency < ENDPOINT + 0.1 + 0.25  # a shared machine may be late


async def test_nobody_listens() -> None:
    with pytest.raises(LineError, match=r"cannot connect.*is the server running there\?"):
        async with dial("http://127.0.0.1:9"):
            pass


async def test_a_refusal_is_told_in_the_servers_words() -> None:
    async def deny(socket: ServerConnection, request: Request) -> Response:
        assert request.headers["Authorization"] == "Bearer wrong"
        body = json.dumps({"error": {"message": "that token is not right"}}).encode()
        return Response(HTTPStatus.UNAUTHORIZED, "Unauthorized", Headers(), body)

    async def never(socket: ServerConnection) -> None:
        raise AssertionError

    async with serve(never, "127.0.0.1", 0, process_request=deny) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(LineError, match=r"HTTP 401: that token is not right"):
            async with dial(f"http://127.0.0.1:{port}", token="wrong"):
                pass


async def test_a_full_house_is_told_in_the_servers_words() -> None:
    """The last error before the socket closes says more than the code it closes with."""

    async def full(socket: ServerConnection) -> None:
        error = {"type": "server_error", "code": "session_limit_reached", "message": "all 16 are taken"}
        await socket.send(json.dumps({"type": "error", "event_id": "e", "error": error}))
        await socket.close(1013, "try again later")

    async with serve(full, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with dial(f"http://127.0.0.1:{port}") as line:
            with pytest.raises(LineError, match=r"all 16 are taken.*code 1013, try again later"):
                await Caller(line).join()


@pytest.mark.parametrize("how", ["close", "abort", "nonsense"])
async def test_a_server_that_goes_away(how: str) -> None:
    async def converse(socket: ServerConnection) -> None:
        for kind in ("session.created", "session.updated"):
            await socket.send(json.dumps({"type": kind, "session": {"model": "m"}}))
        await asyncio.sleep(0.1)
        match how:
            case "abort":
                socket.transport.abort()
            case "nonsense":
                await socket.send("not json")
                await socket.wait_closed()

    async with serve(converse, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with dial(f"http://127.0.0.1:{port}") as line:
            caller = Caller(line)
            await caller.join()
            with pytest.raises(LineError, match="not JSON" if how == "nonsense" else "closed the connection"):
                await caller.listen(2.0)
