"""A long evening: guests who converse, beside them guests who misbehave, and what the server keeps of it all.

A server of its own is started. For the first third of the time the well-behaved are alone, then the others come: each
of these connects, does one thing that no client should, and is replaced by the next. Memory and descriptors of the
server's whole process tree are read every few seconds; flat is a slope that a week would not notice. What the
well-behaved must not notice is the others: their answers come as soon, and all of them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import websockets.asyncio.client as ws
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from duologue.audio import RATE
from duologue.audio.formats import encode_pcm16
from duologue.measure.caller import Caller
from duologue.measure.exchange import exchange
from duologue.measure.figures import Spread
from duologue.measure.latency import QUESTIONS
from duologue.measure.lines import dial
from duologue.measure.serving import own_server
from duologue.measure.tree import Tree
from duologue.measure.voices import VOICES, quiet_room, speak

EVERY = 5.0
"""Seconds between two looks at the server."""

ALONE = 1 / 3
"""Part of the time in which nobody misbehaves."""

SETTLED = 0.2
"""Part of the time before which memory is not looked at: everything that is loaded once has been."""


@dataclass(frozen=True, slots=True)
class Look:
    """The server at one moment."""

    at: float
    """Seconds since the guests came in."""
    megabytes: float
    descriptors: int


@dataclass(frozen=True, slots=True)
class Soak:
    """A run."""

    model: str
    minutes: float
    sessions: int
    asked: int
    unanswered: int
    alone: Spread | None
    """First-response latency of the well-behaved while nobody misbehaves."""
    beside: Spread | None
    """The same beside those who do."""
    misbehaved: dict[str, int]
    """How often each thing was done."""
    megabytes_an_hour: float
    """Slope of the memory, by least squares."""
    descriptors: tuple[int, int]
    """Before the guests came, and after all had gone."""
    looks: tuple[Look, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


async def soak(
    *,
    model: str = "pocket",
    minutes: float = 30.0,
    sessions: int = 4,
    troublemakers: int = 4,
    seed: int = 0,
    told: Callable[[float], None] = lambda seconds: None,
) -> Soak:
    """Measure. Raises :class:`~duologue.measure.lines.LineError` where the server fails a well-behaved guest,
    :class:`~duologue.measure.voices.VoiceError` where flite is missing."""
    for question in QUESTIONS:
        speak(question, VOICES[0])
    async with own_server(model=model, sessions=sessions + troublemakers) as server:
        tree = Tree(server.pid)
        before = tree.descriptors()
        evening = _Evening(server.url, 60 * minutes, random.Random(seed))
        async with asyncio.TaskGroup() as group:
            for index in range(sessions):
                group.create_task(evening.converse(index))
            for _ in range(troublemakers):
                group.create_task(evening.misbehave())
            group.create_task(evening.watch(tree, told))
        await asyncio.sleep(2.0)  # the last of them are being seen off
        after = tree.descriptors()
    alone = [latency for at, latency in evening.latencies if at < ALONE * evening.duration]
    beside = [latency for at, latency in evening.latencies if at >= ALONE * evening.duration]
    return Soak(
        model=evening.model,
        minutes=minutes,
        sessions=sessions,
        asked=evening.asked,
        unanswered=evening.asked - len(evening.latencies),
        alone=Spread.of(alone),
        beside=Spread.of(beside),
        misbehaved=evening.misbehaved,
        megabytes_an_hour=round(slope(evening.looks, SETTLED * evening.duration), 2),
        descriptors=(before, after),
        looks=tuple(evening.looks),
    )


def slope(looks: list[Look], since: float) -> float:
    """Megabytes an hour, of the looks from ``since`` on; 0 where there are fewer than two."""
    counted = [look for look in looks if look.at >= since]
    if len(counted) < 2:
        return 0.0
    return 3600 * float(np.polyfit([look.at for look in counted], [look.megabytes for look in counted], 1)[0])


class _Evening:
    def __init__(self, url: str, duration: float, chance: random.Random) -> None:
        self.url, self.duration = url, duration
        self.chance = chance
        self.began = time.monotonic()
        self.model = ""
        self.asked = 0
        self.latencies: list[tuple[float, float]] = []
        """(when it was asked, seconds until the answer)."""
        self.misbehaved = dict.fromkeys(MISBEHAVIOURS, 0)
        self.looks: list[Look] = []

    @property
    def now(self) -> float:
        return time.monotonic() - self.began

    async def converse(self, index: int) -> None:
        """Questions, one after the other; a new conversation after every tenth, as people come and go."""
        number = index
        while self.now < self.duration:
            async with dial(self.url) as line:
                caller = Caller(line, room=quiet_room(index))
                await caller.join()
                self.model = caller.model
                for _ in range(10):
                    if self.now >= self.duration:
                        break
                    spoken = speak(QUESTIONS[number % len(QUESTIONS)], VOICES[0])
                    at, number = self.now, number + 1
                    self.asked += 1
                    came = await exchange(caller, spoken.wave, spoken.end)
                    if came.latency is not None:
                        self.latencies.append((at, came.latency))

    async def misbehave(self) -> None:
        """One thing after the other, once the others have been alone for long enough."""
        await asyncio.sleep(ALONE * self.duration)
        address = self.url.replace("http", "ws", 1) + "/v1/realtime?model=duologue"
        while self.now < self.duration:
            name = self.chance.choice(list(MISBEHAVIOURS))
            try:
                async with ws.connect(
                    address, compression=None, max_size=None, proxy=None, close_timeout=0.5
                ) as socket:
                    await MISBEHAVIOURS[name](socket, self.chance)
            except (ConnectionClosed, InvalidHandshake, OSError):
                pass  # it was shown the door, which is what it came for
            self.misbehaved[name] += 1
            await asyncio.sleep(0.2)

    async def watch(self, tree: Tree, told: Callable[[float], None]) -> None:
        """A look now and then."""
        while self.now < self.duration:
            await asyncio.sleep(min(EVERY, max(0.0, self.duration - self.now)))
            self.looks.append(Look(round(self.now, 1), round(tree.memory(), 1), tree.descriptors()))
            told(self.now)


# -- what no client should do ---------------------------------------------------------------------------------

Socket = ws.ClientConnection


def _append(pcm: bytes) -> str:
    return json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode("ascii")})


def _written(text: str) -> list[str]:
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    return [json.dumps({"type": "conversation.item.create", "item": item}), json.dumps({"type": "response.create"})]


async def _never_reads(socket: Socket, chance: random.Random) -> None:
    """Asks for story after story and reads none of it."""
    socket.transport.pause_reading()
    for _ in range(20):
        for message in _written("tell me a story"):
            await socket.send(message)
        await asyncio.sleep(0.25)


async def _dies(socket: Socket, chance: random.Random) -> None:
    """Gone in the middle of a reply, in the middle of a frame."""
    for message in _written("tell me a story"):
        await socket.send(message)
    await asyncio.sleep(chance.uniform(0.1, 1.5))
    socket.transport.write(b"\x81\xfe\x10\x00half")
    socket.transport.abort()


async def _babbles(socket: Socket, chance: random.Random) -> None:
    """Frames that are no events."""
    for _ in range(50):
        await socket.send(
            chance.choice(
                [
                    "",
                    "{",
                    "null",
                    "[" * 2000,
                    '{"type": 5}',
                    '{"type": "no.such.thing"}',
                    '{"type":"session.update"}',
                    "\u2603",
                ]
            )
        )
        await socket.send(chance.randbytes(chance.randrange(1, 2000)))


async def _hisses(socket: Socket, chance: random.Random) -> None:
    """Sound at the rails, odd bytes, no base64, and commits of nothing."""
    noise = encode_pcm16(
        np.sign(np.random.default_rng(chance.randrange(2**31)).normal(size=RATE // 2)).astype(np.float32)
    )
    for _ in range(10):
        await socket.send(_append(noise))
        await socket.send(_append(noise[:-1]))
        await socket.send('{"type": "input_audio_buffer.append", "audio": "@@@"}')
        await socket.send('{"type": "input_audio_buffer.commit"}')
        await asyncio.sleep(0.3)


async def _pours(socket: Socket, chance: random.Random) -> None:
    """Three minutes of speech in one go."""
    spoken = speak("once upon a time there was a king", VOICES[0]).wave
    await socket.send(_append(encode_pcm16(np.resize(spoken, 180 * RATE))))
    await asyncio.sleep(3.0)


async def _knocks(socket: Socket, chance: random.Random) -> None:
    """Comes and goes."""


MISBEHAVIOURS: dict[str, Callable[[Socket, random.Random], Awaitable[None]]] = {
    "never reads": _never_reads,
    "dies in mid-frame": _dies,
    "sends no events": _babbles,
    "sends no sound": _hisses,
    "sends minutes at once": _pours,
    "comes and goes": _knocks,
}
