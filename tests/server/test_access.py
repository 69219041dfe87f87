"""Who may come in: token, origin and host, on every route, over HTTP and WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import httpx
import pytest
import websockets

from duologue.server.access import Access
from duologue.server.client_secrets import ClientSecrets
from duologue.server.options import OptionError, ServerOptions, is_loopback

from .conftest import House

Start = Callable[..., Awaitable[House]]
TOKEN = "a-Secret.token_1"
API = ["/v1/models", "/v1/models/echo", "/metrics", "/v1/realtime", "/v1/nothing"]
OPEN = ["/healthz", "/static/nothing.js", "/"]


async def handshake(house: House, **options: object) -> int:
    """The status of a WebSocket handshake: 101, or the refusal's."""
    try:
        async with websockets.connect(house.ws, **options):  # type: ignore[arg-type]
            return 101
    except websockets.InvalidStatus as refused:
        response = refused.response
    error = json.loads(response.body or b"")["error"]
    return response.status_code if error["message"] else 0


async def test_every_api_route_wants_the_token_and_the_page_does_not(served: Start) -> None:
    house = await served(token=TOKEN)
    async with httpx.AsyncClient(base_url=house.url) as http:
        for path in API:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
                answer = await http.get(path, headers=headers)
                assert answer.status_code == 401, path
                assert answer.json()["error"]["code"] == "invalid_api_key"
            assert (await http.get(path, params={"token": TOKEN})).status_code == 401, "never in the URL"
            good = await http.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
            assert good.status_code in (200, 404, 426), path
        for path in OPEN:
            assert (await http.get(path)).status_code != 401, path
        assert (await http.post("/v1/realtime/calls", content=b"v=0")).status_code == 401


async def test_websocket_takes_the_token_where_openai_clients_put_it(served: Start) -> None:
    house = await served(token=TOKEN)
    assert await handshake(house) == 401
    assert await handshake(house, additional_headers={"Authorization": "Bearer no"}) == 401
    assert await handshake(house, additional_headers={"Authorization": "Bearer n\u00f6"}) == 401
    assert await handshake(house, additional_headers={"Authorization": f"Bearer {TOKEN}"}) == 101
    assert await handshake(house, additional_headers={"Authorization": f"bearer {TOKEN}"}) == 101
    key = f"openai-insecure-api-key.{TOKEN}"
    assert await handshake(house, subprotocols=["realtime", key]) == 101
    assert await handshake(house, subprotocols=["realtime", key + "x"]) == 401


async def test_the_subprotocol_realtime_is_selected_if_offered(served: Start) -> None:
    house = await served()
    for offered, selected in (
        (["realtime", "openai-insecure-api-key.any", "openai-agents-sdk.0.20.0"], "realtime"),
        (None, None),
    ):
        async with websockets.connect(house.ws, subprotocols=offered) as connection:  # type: ignore[arg-type]
            assert connection.subprotocol == selected


async def test_foreign_pages_are_refused_and_loopback_pages_are_not(served: Start) -> None:
    house = await served(allow_origins=("https://Talk.example.org/",))
    async with httpx.AsyncClient(base_url=house.url) as http:
        for origin, allowed in (
            ("http://localhost:5173", True),
            ("http://127.0.0.1", True),
            ("http://[::1]:80", True),
            ("https://talk.example.org", True),
            ("https://talk.example.org:8443", False),
            ("http://talk.example.org", False),
            ("https://evil.example", False),
            ("http://localhost.evil.example", False),
            ("http://127.0.0.1.evil.example", False),
            ("null", False),
            ("http://[", False),
            ("http://localhost:x", False),
        ):
            answer = await http.get("/v1/models", headers={"Origin": origin})
            assert answer.status_code == (200 if allowed else 403), origin
            assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
            assert await handshake(house, origin=origin) == (101 if allowed else 403), origin


async def test_preflight_for_allowed_pages_only(served: Start) -> None:
    house = await served(token=TOKEN)
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,x-stainless-os",
    }
    async with httpx.AsyncClient(base_url=house.url) as http:
        good = await http.options("/v1/realtime/calls", headers={"Origin": "http://localhost:3000", **asks})
        assert good.status_code == 200
        assert good.headers["access-control-allow-origin"] == "http://localhost:3000"
        assert good.headers["access-control-allow-headers"] == "authorization,x-stainless-os"
        bad = await http.options("/v1/realtime/calls", headers={"Origin": "https://evil.example", **asks})
        assert "access-control-allow-origin" not in bad.headers


async def test_a_name_that_was_rebound_to_loopback_is_not_answered(served: Start) -> None:
    house = await served()
    port = house.url.rstrip("/").rpartition(":")[2]
    async with httpx.AsyncClient(base_url=house.url) as http:
        for host, status in (
            (f"rebound.example:{port}", 403),
            ("[", 403),
            (f"localhost:{port}", 200),
            (f"[::1]:{port}", 200),
            ("LOCALHOST.", 200),
        ):
            for path in ("/v1/models", "/healthz"):
                answer = await http.get(path, headers={"Host": host})
                assert answer.status_code == status, (host, path)
        rebound = f"http://rebound.example:{port}"
        answer = await http.get("/v1/models", headers={"Host": f"rebound.example:{port}", "Origin": rebound})
        assert answer.status_code == 403


def test_the_servers_own_page_may_use_it_under_any_name() -> None:
    access = Access(ServerOptions(host="0.0.0.0", token=TOKEN), ClientSecrets())
    assert access.allows("http://192.168.1.5:8790", "192.168.1.5:8790")
    assert access.allows("https://talk.lan", "talk.lan"), "behind a proxy that speaks TLS"
    assert access.allows("https://talk.lan", "talk.lan:443")
    assert not access.allows("http://192.168.1.5:8080", "192.168.1.5:8790")
    assert not access.allows("http://other.lan:8790", "192.168.1.5:8790")
    assert not access.allows("http://192.168.1.5:8790", None)
    assert Access(ServerOptions(allow_origins=("*",)), ClientSecrets()).allows("https://anything.example")


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.168.1.5", "example.org", "localhost.example.org"])
def test_beyond_loopback_a_token_is_needed(host: str) -> None:
    with pytest.raises(OptionError, match="--token"):
        ServerOptions(host=host)
    assert ServerOptions(host=host, token=TOKEN).host == host


def test_loopback_names() -> None:
    for name in ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "Localhost.", "a.localhost"):
        assert is_loopback(name), name
    for name in ("", "0.0.0.0", "128.0.0.1", "localhost.org", "127.0.0.1.org"):
        assert not is_loopback(name), name


@pytest.mark.parametrize("token", ["", "two words", "käse", "a/b", "a=b", "x" * 513, "line\n"])
def test_tokens_that_browsers_cannot_send_are_refused(token: str) -> None:
    with pytest.raises(OptionError, match="openssl rand"):
        ServerOptions(token=token)


@pytest.mark.parametrize(
    "origin", ["evil.example", "https://", "https://a.example/page", "https://a:b", "https://u@a.example", ""]
)
def test_an_origin_that_no_browser_sends_is_refused(origin: str) -> None:
    with pytest.raises(OptionError, match="no origin"):
        ServerOptions(allow_origins=(origin,))


async def test_guesses_do_not_take_places(served: Start) -> None:
    house = await served(token=TOKEN, sessions=1)
    statuses = await asyncio.gather(*(handshake(house) for _ in range(5)))
    assert statuses == [401] * 5
    await house.connect(additional_headers={"Authorization": f"Bearer {TOKEN}"})
