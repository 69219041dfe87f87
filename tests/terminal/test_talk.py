"""A device on a line: what is heard goes out, what comes in is played, paused and cut, and the server is told."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from duologue.audio import RATE, Wave, samples
from duologue.audio.formats import decode_pcm16, encode_pcm16
from duologue.measure.lines import Arrival, LineError
from duologue.terminal import talk
from duologue.terminal.device import BLOCK, DeviceError
from duologue.terminal.room import Room
from duologue.terminal.talk import Talk


class Script:
    """A line on virtual time that says what it is told to."""

    def __init__(self) -> None:
        self.sent: list[Mapping[str, Any]] = []
        self.time = 0.0
        self.coming: list[Mapping[str, Any]] = []
        self.closed = False

    def now(self) -> float:
        return self.time

    async def send(self, event: Mapping[str, Any]) -> None:
        self.sent.append(event)

    async def wait(self, until: float) -> list[Arrival]:
        await asyncio.sleep(0)
        self.time = until
        if self.closed:
            raise LineError("the server closed the connection")
        arrived = [Arrival(until, event) for event in self.coming]
        self.coming = []
        return arrived

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        return [event for event in self.sent if event["type"] == kind]


def delta(wave: Wave, response: str = "r1", item: str = "i1") -> dict[str, Any]:
    return {
        "type": "response.output_audio.delta",
        "response_id": response,
        "item_id": item,
        "content_index": 0,
        "delta": base64.b64encode(encode_pcm16(wave)).decode(),
    }


def created(response: str = "r1") -> dict[str, Any]:
    return {"type": "response.created", "response": {"id": response}}


def done(status: str, response: str = "r1") -> dict[str, Any]:
    return {"type": "response.done", "response": {"id": response, "status": status}}


TONE = np.full(samples(1.0), 0.25, np.float32)


class Evening:
    """A talk in a room with headphones."""

    def __init__(self, latency: float = 0.0) -> None:
        self.line = Script()
        self.room = Room(echo=None, noise=np.full(1, 0.125, np.float32))
        self.room.latency = latency
        self.told: list[str] = []
        self.talk = Talk(self.line, self.room, canceller=None, told=lambda event: self.told.append(event["type"]))

    async def go(self, blocks: int, *events: Mapping[str, Any]) -> Wave:
        """``events`` arrive, then so many blocks pass; returns what was played in them."""
        self.line.coming = list(events)
        await self.talk.tick(self.line.now())
        before = self.room.position
        for _ in range(blocks):
            self.room.step()
            await self.talk.tick(self.line.now() + talk.TICK)
        return self.room.said[before:]


@pytest.fixture
async def evening() -> Evening:
    evening = Evening()
    await evening.talk.begin()
    return evening


async def test_what_is_heard_is_sent(evening: Evening) -> None:
    await evening.go(5)
    assert evening.line.sent[0]["type"] == "session.update"
    assert "pause" in evening.line.sent[0]["session"]["duologue"]["events"]
    sent = [decode_pcm16(base64.b64decode(event["audio"])) for event in evening.line.of("input_audio_buffer.append")]
    np.testing.assert_array_equal(np.concatenate(sent), np.full(5 * BLOCK, 0.125, np.float32))


async def test_what_arrives_is_played_and_paused(evening: Evening) -> None:
    played = await evening.go(10, created(), delta(TONE))
    np.testing.assert_array_equal(played, TONE[: 10 * BLOCK])
    paused = await evening.go(10, {"type": "duologue.pause", "response_id": "r1", "paused": True})
    assert not paused[BLOCK:].any()
    resumed = await evening.go(10, {"type": "duologue.pause", "response_id": "r1", "paused": False})
    assert resumed[-1] == 0.25
    assert evening.told == ["response.created", "response.output_audio.delta", "duologue.pause", "duologue.pause"]


async def test_an_interruption_silences_and_tells_what_was_heard(evening: Evening) -> None:
    await evening.go(20, created(), delta(TONE))
    silent = await evening.go(10, {"type": "input_audio_buffer.speech_started"}, delta(TONE), done("cancelled"))
    assert not silent[BLOCK:].any()  # also what still came of it
    assert [(cut["item_id"], cut["audio_end_ms"]) for cut in evening.line.of("conversation.item.truncate")] == [
        ("i1", 200)
    ]
    again = await evening.go(10, created("r2"), delta(TONE, "r2", "i2"))
    assert again[-1] == 0.25


async def test_a_reply_cancelled_by_the_server_falls_silent(evening: Evening) -> None:
    await evening.go(20, created(), delta(TONE))
    assert not (await evening.go(10, done("cancelled")))[BLOCK:].any()
    assert len(evening.line.of("conversation.item.truncate")) == 1
    await evening.go(10, created("r2"), delta(TONE[:240], "r2", "i2"), done("completed", "r2"))
    assert len(evening.line.of("conversation.item.truncate")) == 1


async def test_what_is_not_in_the_air_yet_was_not_heard() -> None:
    evening = Evening(latency=0.05)
    await evening.talk.begin()
    await evening.go(20, created(), delta(TONE))
    await evening.go(1, {"type": "input_audio_buffer.speech_started"})
    assert evening.line.of("conversation.item.truncate")[0]["audio_end_ms"] == 150
    short = Evening(latency=0.05)
    await short.talk.begin()
    await short.go(2, created(), delta(TONE))
    await short.go(1, {"type": "input_audio_buffer.speech_started"})
    assert short.line.of("conversation.item.truncate")[0]["audio_end_ms"] == 0


async def test_an_unplugged_device_and_a_dead_line_are_told() -> None:
    evening = Evening()
    with pytest.raises(DeviceError, match="still plugged in"):
        await evening.talk.run()
    assert evening.line.now() == pytest.approx(talk.DEAD, abs=0.05)
    with pytest.raises(RuntimeError):
        evening.room.step()  # the device was closed
    evening.line.closed = True
    with pytest.raises(LineError, match="closed"):
        await evening.talk.run()


def test_ten_milliseconds_are_a_block() -> None:
    assert samples(talk.TICK) == BLOCK == RATE // 100
