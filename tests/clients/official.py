"""The official ``openai`` client in a conversation, with every event that arrives checked."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI, omit
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from duologue.audio import RATE
from protocol.realtime_rules import Client

from .microphone import Microphone

Event = dict[str, Any]


class Talk:
    """One connection. Whatever arrives is parsed by the SDK, then held against the protocol's rules."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.rules = Client()
        self.arrivals: list[float] = []
        """``time.monotonic()`` of each of ``rules.events``."""
        self._seen = 0
        self._news = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())
        self._listening.add_done_callback(lambda _: self._news.set())

    @property
    def events(self) -> list[Event]:
        return self.rules.events

    async def close(self) -> None:
        self._listening.cancel()
        (ended,) = await asyncio.gather(self._listening, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended

    async def _listen(self) -> None:
        while True:
            data = await self.connection.recv_bytes()
            event: Event = json.loads(data)
            parsed = self.connection.parse_event(data)
            assert parsed.to_dict() == event, "the SDK lost or changed something"
            self.arrivals.append(time.monotonic())
            self.rules.follow([event])
            self._news.set()

    async def until(self, kind: str, *, within: float = 10.0, **fields: Any) -> Event:
        """The next event of a type, and with these fields, after those already returned."""
        return await self.until_one(
            kind, lambda event: event["type"] == kind and fields.items() <= event.items(), within=within
        )

    async def until_one(self, wanted: str, is_it: Callable[[Event], bool], *, within: float) -> Event:
        """The next event that is the one wanted."""
        try:
            async with asyncio.timeout(within):
                while True:
                    while self._seen < len(self.events):
                        self._seen += 1
                        if is_it(self.events[self._seen - 1]):
                            return self.events[self._seen - 1]
                    if self._listening.done():
                        self._listening.result()
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {wanted} within {within} s; there were {self.rules.types}") from None

    async def hear(self, pcm: bytes) -> None:
        """What the microphone picks up."""
        await self.connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())

    async def configure(self, **session: Any) -> Event:
        """``session.update``; returns the effective session."""
        request: Any = {"type": "realtime", **session}
        await self.connection.session.update(session=request)
        updated: Event = (await self.until("session.updated"))["session"]
        return updated

    async def write(self, text: str) -> str:
        """A text turn without asking for an answer; returns its item's id."""
        item: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        await self.connection.conversation.item.create(item=item)
        written: str = (await self.until("conversation.item.done"))["item"]["id"]
        return written

    async def ask(self, within: float = 20.0, **response: Any) -> Event:
        """``response.create``; returns the finished response."""
        request: Any = response or omit
        await self.connection.response.create(response=request)
        return await self.answer(within)

    async def answer(self, within: float = 20.0) -> Event:
        """The next response that is done."""
        done: Event = (await self.until("response.done", within=within))["response"]
        return done

    def audio(self, response_id: str) -> bytes:
        """All audio of a response so far."""
        deltas = [e for e in self.events if e["type"] == "response.output_audio.delta"]
        return b"".join(base64.b64decode(e["delta"]) for e in deltas if e["response_id"] == response_id)

    def played_ms(self, item_id: str) -> int:
        """How much of an item a client has played that plays in real time what arrives (as all stock clients count)."""
        deltas = [
            (when, len(base64.b64decode(event["delta"])))
            for when, event in zip(self.arrivals, self.events, strict=True)
            if event["type"] == "response.output_audio.delta" and event["item_id"] == item_id
        ]
        received = sum(size for _, size in deltas) * 1000 // (2 * RATE)
        return min(received, round((time.monotonic() - deltas[0][0]) * 1000))


@asynccontextmanager
async def talking(url: str, *, model: str = "gpt-realtime", key: str = "any key") -> AsyncIterator[Talk]:
    """Connect as the SDK's documentation says: only ``base_url`` is not OpenAI's."""
    client = AsyncOpenAI(api_key=key, base_url=url + "/v1")
    async with client, client.realtime.connect(model=model) as connection:
        talk = Talk(connection)
        try:
            await talk.until("session.created")
            yield talk
        finally:
            await talk.close()


@asynccontextmanager
async def speaking(url: str) -> AsyncIterator[tuple[Talk, Microphone]]:
    """The same with a microphone that is on, and transcripts asked for."""
    async with talking(url) as talk:
        await talk.configure(audio={"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}})
        async with Microphone(talk.hear) as microphone:
            yield talk, microphone


def said(response: Event) -> str:
    """The words of a response's messages, lower case."""
    parts = [part for item in response["output"] for part in item.get("content", ())]
    return " ".join(part.get("transcript") or part.get("text") or "" for part in parts).lower()
