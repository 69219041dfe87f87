"""HTTP: the page and its headers, models, health, metrics, and refusals in OpenAI's shape."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import httpx
import pytest
import websockets
from openai import AsyncOpenAI, NotFoundError
from prometheus_client.parser import text_string_to_metric_families

from duologue.server.options import OptionError, ServerOptions
from duologue.server.run import CannotStart, serving

from .conftest import Echo, EchoBackend, House

Start = Callable[..., Awaitable[House]]


async def test_the_page_and_its_files_come_with_a_strict_policy(served: Start) -> None:
    house = await served()
    async with httpx.AsyncClient(base_url=house.url) as http:
        page = await http.get("/")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        script = await http.get("/static/app.js")
        assert script.status_code == 200
        assert "javascript" in script.headers["content-type"]
        for answer in (page, script):
            policy = answer.headers["content-security-policy"]
            assert "default-src 'self'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "server" not in answer.headers
        again = await http.get("/static/app.js", headers={"If-None-Match": script.headers["etag"]})
        assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static/..%5capp.py",
        "/static//etc/passwd",
        "/static/%00",
        "/static/" + "a" * 5000,
        "/../../../../etc/passwd",
        "/v1/../static/../../app.py",
    ],
)
async def test_no_path_leads_out_of_the_page(served: Start, path: str) -> None:
    house = await served()
    parts = urlsplit(house.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as client:
        client.setblocking(False)
        import asyncio

        loop = asyncio.get_running_loop()
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        await loop.sock_sendall(client, request.encode())
        answer = b""
        while chunk := await loop.sock_recv(client, 65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 404"), answer[:200]
    assert b'"error"' in answer


async def test_models_as_the_official_client_reads_them(served: Start) -> None:
    house = await served()
    client = AsyncOpenAI(api_key="any", base_url=house.url + "v1", max_retries=0)
    models = (await client.models.list()).data
    assert [model.id for model in models] == ["echo"]
    assert models[0].to_dict()["voices"] == ["wall"]
    assert (await client.models.retrieve("echo")).owned_by == "duologue"
    with pytest.raises(NotFoundError, match="this server serves 'echo'"):
        await client.models.retrieve("gpt-realtime")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/realtime", 426, "upgrade_required"),
        ("POST", "/v1/realtime/calls", 404, "webrtc_not_supported"),
        ("GET", "/v1/realtime/calls", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/", 405, "method_not_allowed"),
        ("GET", "/v1/chat/completions", 404, "not_found"),
        ("DELETE", "/nothing", 404, "not_found"),
    ],
)
async def test_refusals_have_openais_shape(served: Start, method: str, path: str, status: int, code: str) -> None:
    house = await served()
    async with httpx.AsyncClient(base_url=house.url) as http:
        answer = await http.request(method, path, content=b"\x00junk")
        assert answer.status_code == status
        error = answer.json()["error"]
        assert error["code"] == code
        assert set(error) == {"message", "type", "code", "param"}


async def test_sockets_elsewhere_and_other_products_are_refused(served: Start) -> None:
    house = await served()
    for path, status in (
        ("v1/other", 404),
        ("static/app.js", 404),
        ("v1/realtime?intent=transcription", 400),
        ("v1/realtime?call_id=rtc_1", 400),
    ):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(house.url.replace("http", "ws") + path)
        assert refused.value.response.status_code == status
        assert b'"error"' in (refused.value.response.body or b"")


async def test_metrics_count_what_happened(served: Start) -> None:
    house = await served(sessions=1)
    client = await house.connect()
    await client.say("first response")
    await client.echo("done")
    async with websockets.connect(house.ws) as refused:
        await refused.recv()

    async def read() -> dict[str, float]:
        async with httpx.AsyncClient(base_url=house.url) as http:
            text = (await http.get("/metrics")).text
        return {
            sample.name + "".join(sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    figures = await read()
    assert figures["duologue_sessions"] == 1
    assert figures["duologue_sessions_refused_totalsession_limit_reached"] == 1
    assert figures["duologue_first_response_seconds_count"] == 1
    assert figures["duologue_first_response_seconds_sum"] == pytest.approx(0.3)
    assert figures["process_resident_memory_bytes"] > 0
    await client.connection.close()
    await house.until(sessions=0)
    figures = await read()
    assert figures["duologue_sessions"] == 0
    assert figures["duologue_sessions_ended_totalclient"] == 1


async def test_two_servers_in_one_process_and_a_port_that_is_taken(served: Start) -> None:
    first = await served()
    await served()
    port = int(first.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(OptionError, match="--port"):
        await served(port=port)


async def test_a_backend_that_cannot_start_is_named_with_its_cause() -> None:
    backend = EchoBackend(fault="no voice is installed: apt install flite")
    with pytest.raises(CannotStart, match="'echo' cannot start: no voice is installed: apt install flite"):
        async with serving(ServerOptions(port=0), backend, lambda *_: lambda wake, initial: Echo(set(), wake, None)):
            raise AssertionError("it must not run")
