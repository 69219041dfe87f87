"""The official ``openai`` package and a server with a token: the SDK's API key is the token."""

from __future__ import annotations

from collections.abc import AsyncIterator

import openai
import pytest
from openai import AsyncOpenAI
from websockets.exceptions import InvalidStatus

from server.test_process import running

from .official import talking


@pytest.fixture
async def guarded() -> AsyncIterator[str]:
    command = ("-m", "duologue", "serve", "--port", "0", "--token", "open-sesame", "--log-level", "warning")
    async with running(command=command) as process:
        yield process.url.rstrip("/")


async def test_the_key_is_the_token(guarded: str) -> None:
    async with talking(guarded, key="open-sesame") as talk:
        assert talk.events[0]["session"]["model"] == "pocket"
    with pytest.raises(InvalidStatus) as refused:
        async with talking(guarded, key="open-barley"):
            raise AssertionError("let in with a wrong key")
    assert refused.value.response.status_code == 401

    async with AsyncOpenAI(api_key="open-sesame", base_url=guarded + "/v1") as client:
        assert [model.id async for model in client.models.list()] == ["pocket"]
    async with AsyncOpenAI(api_key="open-barley", base_url=guarded + "/v1") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
