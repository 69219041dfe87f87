"""A long evening: guests who converse, beside them guests who misbehave, and what the server keeps of it all.

A server of its own is started. For the first third of the time the well-behaved are alone, then the others come: each
of these connects, does one thing that no client should, and is replaced by the next. Memory and descriptors of the
server's whole process tree are read every few seconds; flat is a slope that a week would not notice. What the
well-behaved must not notice is the others: their answers come as soon, and all of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from duologue.measure.caller import Caller
from duologue.measure.exchange import exchange
from duologue.measure.figures import Spread
from duologue.measure.latency import QUESTIONS
from duologue.measure.lines import dial
from duologue.measure.serving import own_server
from duologue.measure.tree import Tree
from duologue.measure.trouble import MISBEHAVIOURS, make_trouble
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
    unanswered: tuple[int, int]
    """Of the questions asked while nobody misbehaved, and of those asked beside those who did."""
    alone: Spread | None
    """First-response latency of the well-behaved while nobody misbehaves."""
    beside: Spread | None
    """The same beside those who do."""
    misbehaved: dict[str, int]
    """How often each thing was done."""
    megabytes_an_hour: float
    """Slope of the memory, by least squares; beside those who send minutes at once it is mostly chance."""
    megabytes: tuple[float, float, float]
    """Median of the memory while nobody misbehaves, and in the two halves of the time beside those who do."""
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
    # One who vanished keeps a place for a second or two, while the next of its kind is there already; and one who
    # leaves in good order may be back before the place is free.
    async with own_server(model=model, sessions=2 * sessions + 3 * troublemakers) as server:
        tree = Tree(server.pid)
        before = tree.descriptors()
        evening = _Evening(server.url, 60 * minutes)
        async with asyncio.TaskGroup() as group:
            for index in range(sessions):
                group.create_task(evening.converse(index))
            for index in range(troublemakers):
                group.create_task(evening.misbehave(seed + index))
            group.create_task(evening.watch(tree, told))
        await asyncio.sleep(2.0)  # the last of them are being seen off
        after = tree.descriptors()
    alone = [latency for at, latency in evening.asked if at < ALONE * evening.duration]
    beside = [latency for at, latency in evening.asked if at >= ALONE * evening.duration]
    return Soak(
        model=evening.model,
        minutes=minutes,
        sessions=sessions,
        asked=len(evening.asked),
        unanswered=(alone.count(None), beside.count(None)),
        alone=Spread.of([latency for latency in alone if latency is not None]),
        beside=Spread.of([latency for latency in beside if latency is not None]),
        misbehaved=evening.misbehaved,
        megabytes_an_hour=round(slope(evening.looks, SETTLED * evening.duration), 2),
        megabytes=thirds(evening.looks, evening.duration),
        descriptors=(before, after),
        looks=tuple(evening.looks),
    )


def slope(looks: list[Look], since: float) -> float:
    """Megabytes an hour, of the looks from ``since`` on; 0 where there are fewer than two."""
    counted = [look for look in looks if look.at >= since]
    if len(counted) < 2:
        return 0.0
    return 3600 * float(np.polyfit([look.at for look in counted], [look.megabytes for look in counted], 1)[0])


def thirds(looks: list[Look], duration: float) -> tuple[float, float, float]:
    """Median megabytes before anybody misbehaves (once settled), and in the two halves of the time after; 0 where
    nobody looked."""
    halfway = (ALONE + 1) / 2
    bounds = [bound * duration for bound in (min(SETTLED, ALONE), ALONE, halfway, 1.1)]

    def median(since: float, until: float) -> float:
        counted = [look.megabytes for look in looks if since <= look.at < until]
        return round(float(np.median(counted)), 1) if counted else 0.0

    return median(*bounds[0:2]), median(*bounds[1:3]), median(*bounds[2:4])


class _Evening:
    def __init__(self, url: str, duration: float) -> None:
        self.url, self.duration = url, duration
        self.began = time.monotonic()
        self.model = ""
        self.asked: list[tuple[float, float | None]] = []
        """Of each question: when it was asked, and the seconds until its answer, if there was one."""
        self.misbehaved = dict.fromkeys(MISBEHAVIOURS["realtime"], 0)
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
                    came = await exchange(caller, spoken.wave, spoken.end)
                    self.asked.append((at, came.latency))

    async def misbehave(self, seed: int) -> None:
        """One thing after the other, once the others have been alone for long enough."""
        await asyncio.sleep(ALONE * self.duration)
        for name, many in (await make_trouble(self.url, seed, self.duration - self.now)).items():
            self.misbehaved[name] += many

    async def watch(self, tree: Tree, told: Callable[[float], None]) -> None:
        """A look now and then."""
        while self.now < self.duration:
            await asyncio.sleep(min(EVERY, max(0.0, self.duration - self.now)))
            self.looks.append(Look(round(self.now, 1), round(tree.memory(), 1), tree.descriptors()))
            told(self.now)
