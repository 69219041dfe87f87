"""Other makers' clients, unmodified and configured as they come, in conversation with a served `pocket`."""

from __future__ import annotations

import asyncio

import pytest

from protocol.realtime_rules import Client

from .stock import COMMANDS, StockClient, talking

pytestmark = pytest.mark.clients

RATE = 24_000


@pytest.fixture(params=COMMANDS)
def name(request: pytest.FixtureRequest) -> str:
    client: str = request.param
    return client


def check_contented(client: StockClient) -> None:
    """It had nothing to complain about, and where it shows the protocol's events they keep the rules."""
    assert client.all("trouble") == []
    Client().follow(client.all("event"))


async def test_a_question_by_voice(url: str, name: str) -> None:
    async with talking(name, url) as (client, microphone):
        played = sum(client.all("played"))
        await microphone.say("what is two plus three")
        flushed = len(client.all("flushed"))
        await client.until("heard", "two plus three")
        await client.until("said", "five")
        assert sum(client.all("played")) - played > RATE / 2
        assert len(client.all("flushed")) == flushed, "nobody interrupted"
        check_contented(client)


async def test_interrupting(url: str, name: str) -> None:
    async with talking(name, url) as (client, microphone):
        await microphone.say("tell me a story")
        await client.until("heard", "story")
        await asyncio.sleep(3.5)  # LiveKit is deaf for the first three seconds of a reply, by default
        played, flushed = sum(client.all("played")), len(client.all("flushed"))
        assert played > 2 * RATE
        await microphone.say("what is five plus five", voice="rms")
        assert len(client.all("flushed")) > flushed, "its loudspeaker was told to drop the rest"
        silent = sum(client.all("played"))
        await client.until("heard", "five plus five")
        await client.until("said", "ten")
        assert silent - played < 1.2 * RATE, "it was silent before the other, who took 2 s, had finished"
        check_contented(client)


async def test_calling_a_tool(url: str, name: str) -> None:
    async with talking(name, url) as (client, microphone):
        played = sum(client.all("played"))
        await microphone.say("what is the weather in paris")
        called = await client.until("called")
        assert called == {"name": "get_weather", "arguments": {"city": "Paris"}}
        await client.until("said", "cloudy")
        assert sum(client.all("played")) - played > RATE / 2
        check_contented(client)
