"""Client secrets: keys for pages, made with the server's token, good for a while and for talking only."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import websockets
from openai import AsyncOpenAI

from duologue.backends.pocket.backend import PocketBackend
from duologue.server import client_secrets
from duologue.server.client_secrets import ClientSecrets, TooMany
from duologue.server.options import ServerOptions
from duologue.server.run import Serving, serving
from duologue.server.sessions import opener
from pocket.parts import ScriptedEar, ScriptedMind, ScriptedMouth

TOKEN = "the-servers-own"
WITH_TOKEN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def server() -> AsyncIterator[Serving]:
    backend = PocketBackend(ear=ScriptedEar, mind=lambda now: ScriptedMind(), mouth=ScriptedMouth)
    options = ServerOptions(port=0, token=TOKEN, drain_seconds=0.0)
    async with serving(options, backend, opener) as running:
        yield running


async def _created(server: Serving, key: str, *, browser: bool = False) -> dict[str, Any]:
    """The session of a connection made with ``key``."""
    url = server.url.replace("http", "ws") + "v1/realtime?model=gpt-realtime"
    how: dict[str, Any] = {"additional_headers": {"Authorization": f"Bearer {key}"}}
    if browser:
        how = {"subprotocols": ["realtime", f"openai-insecure-api-key.{key}"]}
    async with websockets.connect(url, **how) as socket:
        event = json.loads(await socket.recv())
        assert event["type"] == "session.created"
        session: dict[str, Any] = event["session"]
        return session


async def _ask(server: Serving, body: Any, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url) as http:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await http.post("/v1/realtime/client_secrets", content=content, headers=headers or WITH_TOKEN)


async def test_the_official_client_makes_one_and_a_browser_connects_with_it(server: Serving) -> None:
    client = AsyncOpenAI(api_key=TOKEN, base_url=server.url + "v1", max_retries=0)
    made = await client.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60},
        session={
            "type": "realtime",
            "model": "gpt-realtime",
            "instructions": "You are a tour guide.",
            "audio": {"output": {"voice": "two"}, "input": {"turn_detection": None}},
        },
    )
    assert made.value.startswith("ek_")
    assert abs(made.expires_at - time.time() - 60) < 3
    assert made.session.type == "realtime"
    assert made.session.object == "realtime.session"
    assert made.session.instructions == "You are a tour guide."
    for browser in (True, False):
        session = await _created(server, made.value, browser=browser)
        assert session["instructions"] == "You are a tour guide."
        assert session["audio"]["output"]["voice"] == "two"
        assert session["audio"]["input"]["turn_detection"] is None
    plain = await _created(server, TOKEN)
    assert plain["instructions"] == ""


async def test_without_a_body_there_are_the_defaults(server: Serving) -> None:
    made = (await _ask(server, b"")).json()
    assert abs(made["expires_at"] - time.time() - 600) < 3
    assert made["session"]["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"
    assert await _created(server, made["value"])


async def test_it_opens_nothing_but_conversations(server: Serving) -> None:
    secret = (await _ask(server, {})).json()["value"]
    refused = await _ask(server, {}, Authorization=f"Bearer {secret}")
    assert refused.status_code == 401
    async with httpx.AsyncClient(base_url=server.url) as http:
        for path in ("/metrics", "/v1/models"):
            assert (await http.get(path, headers={"Authorization": f"Bearer {secret}"})).status_code == 401
    assert (await _ask(server, {}, Authorization="Bearer wrong")).status_code == 401
    with pytest.raises(websockets.InvalidStatus) as denied:
        await _created(server, "ek_" + "x" * 32)
    assert denied.value.response.status_code == 401


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"{", "invalid_json", None),
        (b"[" * 100_000, "invalid_json", None),
        ([], "invalid_json", None),
        ({"expires_after": {"seconds": 9}}, "invalid_value", "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "invalid_value", "expires_after.seconds"),
        ({"expires_after": {"anchor": "later"}}, "invalid_value", "expires_after.anchor"),
        ({"expires_after": 60}, "invalid_type", "expires_after"),
        ({"session": "x"}, "invalid_type", "session"),
        ({"session": {"type": "transcription"}}, "invalid_value", "session.type"),
        ({"session": {"type": "realtime", "voice": "x"}}, "unknown_parameter", "session.voice"),
        (
            {"session": {"audio": {"output": {"speed": 9}}}},
            "invalid_value",
            "session.audio.output.speed",
        ),
    ],
)
async def test_what_is_wrong_is_named(server: Serving, body: Any, code: str, param: str | None) -> None:
    refused = await _ask(server, body)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert (error["code"], error["param"]) == (code, param)
    assert error["message"]


async def test_a_body_has_its_limit(server: Serving) -> None:
    assert (await _ask(server, b"x" * (2**20 + 1))).status_code == 413


async def test_where_no_token_is_needed_any_key_will_do() -> None:
    backend = PocketBackend(ear=ScriptedEar, mind=lambda now: ScriptedMind(), mouth=ScriptedMouth)
    async with serving(ServerOptions(port=0, drain_seconds=0.0), backend, opener) as running:
        body = {"session": {"type": "realtime", "instructions": "Be kind."}}
        secret = (await _ask(running, body, Accept="*/*")).json()["value"]
        assert (await _created(running, secret))["instructions"] == "Be kind."
        assert (await _created(running, "ek_any"))["instructions"] == ""


def test_they_expire_and_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_secrets, "MOST", 2)
    now = 1_000.5
    issued = ClientSecrets(lambda: now)
    first, expires_at = issued.issue({"instructions": "first"}, 10, 0)
    issued.issue({}, 20, 0)
    assert expires_at == 1_010
    assert issued.settings(["x", first]) == {"instructions": "first"}
    with pytest.raises(TooMany):
        issued.issue({}, 10, 0)
    now = 1_010.0
    assert issued.settings([first]) is None
    issued.issue({}, 10, 0)
    with pytest.raises(TooMany):
        issued.issue({}, 10, 0)


def test_their_settings_are_bounded_together() -> None:
    issued = ClientSecrets()
    for _ in range(32):
        issued.issue({}, 60, 2**20)
    with pytest.raises(TooMany):
        issued.issue({}, 60, 2**20)
    issued.issue({}, 60, 0)
