"""What a conversation costs: processor time, memory, and the time from start to ready.

A server of its own is started and its whole process tree watched from outside. Guests come in one after the
other; each puts one question, so that all that a session ever needs is loaded, then some of them converse and
later all of them are idle: connected, microphone open in a quiet room, nobody speaking. Processor time is in
per cent of one core and session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from duologue.measure.caller import Caller
from duologue.measure.exchange import exchange
from duologue.measure.latency import QUESTIONS
from duologue.measure.lines import dial
from duologue.measure.serving import own_server
from duologue.measure.tree import Tree
from duologue.measure.voices import quiet_room, speak


@dataclass(frozen=True, slots=True)
class Footprint:
    """A run."""

    model: str
    sessions: int
    talking: int
    ready_s: float
    """From starting the process to the first good answer of ``/healthz``."""
    idle_percent: float
    """Of a core, for each session, while all of them are idle."""
    talking_percent: float
    """Of a core, for each session, while ``talking`` of them converse (and no others are connected)."""
    first_session_mb: float
    """Memory of the whole server after one session has talked."""
    further_session_mb: float
    """What each session beyond the first adds to it."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


async def footprint(
    *,
    model: str = "pocket",
    sessions: int = 16,
    talking: int = 4,
    duration: float = 20.0,
    told: Callable[[str], None] = lambda stage: None,
) -> Footprint:
    """Measures a server with ``sessions`` guests, of whom ``talking`` converse; phases last ``duration``.

    Raises :class:`~duologue.measure.lines.LineError` where the server fails,
    :class:`~duologue.measure.voices.VoiceError` where flite is missing.
    """
    if not 1 <= talking <= sessions or sessions < 2:
        raise ValueError("there must be two sessions or more, and at most all of them may talk")
    speak(QUESTIONS[0])
    told("starting a server")
    async with own_server(model=model, sessions=sessions) as server:
        tree = Tree(server.pid)
        party = _Party(server.url)
        async with asyncio.TaskGroup() as guests:

            async def invite(count: int) -> None:
                for index in range(len(party.callers), count):
                    guests.create_task(party.guest(index))
                    await party.arrived.acquire()

            told("the first guest")
            await invite(1)
            first = tree.memory()
            told(f"{talking} guests converse")
            await invite(talking)
            party.conversing = True
            talking_cpu = await tree.load(duration)
            party.conversing = False
            told(f"{sessions} guests come in")
            await invite(sessions)
            told(f"{sessions} guests are idle")
            await party.everybody_idle()
            idle_cpu = await tree.load(duration)
            last = tree.memory()
            party.over = True
        return Footprint(
            model=party.callers[0].model,
            sessions=sessions,
            talking=talking,
            ready_s=round(server.ready_after, 2),
            idle_percent=round(idle_cpu / sessions, 2),
            talking_percent=round(talking_cpu / talking, 2),
            first_session_mb=round(first, 1),
            further_session_mb=round((last - first) / (sessions - 1), 2),
        )


class _Party:
    """The guests, all on one server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.callers: list[Caller] = []
        self.arrived = asyncio.Semaphore(0)
        self.conversing = False
        self.over = False

    async def guest(self, index: int) -> None:
        async with dial(self.url) as line:
            caller = Caller(line, room=quiet_room(index))
            await caller.join()
            self.callers.append(caller)
            await self._ask(caller, index)
            self.arrived.release()
            question = index
            while not self.over:
                if self.conversing:
                    question += 1
                    await self._ask(caller, question)
                else:
                    await caller.tick()

    async def everybody_idle(self) -> None:
        """Returns once nobody speaks or is spoken to."""
        while not all(caller.calm for caller in self.callers):  # noqa: ASYNC110  states, not events
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.0)

    async def _ask(self, caller: Caller, question: int) -> None:
        spoken = speak(QUESTIONS[question % len(QUESTIONS)], "slt")
        await exchange(caller, spoken.wave, spoken.end)
