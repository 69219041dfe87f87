"""The engine as a process: started, spoken to, killed, and there again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.engine import process
from duologue.engine.messages import Joined, Lost, Message, Said, Sound, Spec, Unpacker, packed
from duologue.engine.process import EngineError, EngineProcess, Heard, Unavailable

Start = Callable[..., Awaitable[EngineProcess]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def started(**spec: object) -> EngineProcess:
            engine = EngineProcess(Spec(**{"model": "echo", "rows": 4, "threads": 1, **spec}))  # type: ignore[arg-type]
            await engine.start()
            stack.push_async_callback(engine.stop)
            return engine

        yield started


async def until(holds: Callable[[], object], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  (watched from outside)
            await asyncio.sleep(0.02)


class Guest:
    """Speaks in real time and notes what it hears back, and when."""

    def __init__(self, engine: EngineProcess, level: float = 0.0) -> None:
        self.events: list[tuple[float, Heard]] = []
        self.place = engine.join(lambda event: self.events.append((time.monotonic(), event)))
        self.sent: list[float] = []
        self.level = level

    def of(self, kind: type) -> list[Heard]:
        return [event for _, event in self.events if isinstance(event, kind)]

    async def speak(self, seconds: float) -> None:
        began = time.monotonic()
        for n in range(round(seconds / 0.02)):
            await asyncio.sleep(max(0.0, began + 0.02 * (n + 1) - time.monotonic()))
            self.place.hear(np.full(480, (len(self.sent) + 1) / 4096, np.float32))
            self.sent.append(time.monotonic())

    def delays(self) -> list[float]:
        """Seconds from a piece's sending to its return, for pieces that end a frame."""
        ends = [(at, round(float(e.wave[-1]) * 4096)) for at, e in self.events if isinstance(e, Said)]
        return [at - self.sent[piece - 1] for at, piece in ends if piece]


async def test_an_echo(start: Start) -> None:
    engine = await start()
    assert engine.ready is not None
    assert (engine.ready.frame, engine.ready.facts, engine.ready.prompted) == (1920, None, False)
    guest = Guest(engine)
    await guest.speak(1.0)
    await asyncio.sleep(0.1)
    assert len(guest.of(Joined)) == 1
    assert len(guest.delays()) >= 11
    assert sorted(guest.delays())[len(guest.delays()) // 2] < 0.03
    guest.place.leave()
    count = len(guest.events)
    guest.place.hear(np.ones(1920, np.float32))
    await asyncio.sleep(0.2)
    assert len(guest.events) == count


async def test_no_more_than_there_is_room_for(start: Start) -> None:
    engine = await start(rows=2)
    guests = [Guest(engine), Guest(engine)]
    with pytest.raises(Unavailable, match="all 2 conversations"):
        Guest(engine)
    guests[0].place.leave()
    Guest(engine)


async def test_a_dead_engine_loses_its_seats_and_comes_back(start: Start) -> None:
    engine = await start()
    guest = Guest(engine)
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    await until(lambda: guest.of(Lost), 5)
    [lost] = guest.of(Lost)
    assert isinstance(lost, Lost) and "broke down" in lost.message
    with pytest.raises(Unavailable, match="restarted"):
        Guest(engine)
    await until(lambda: engine.pulse, 20)
    again = Guest(engine)
    await again.speak(0.5)
    await asyncio.sleep(0.1)
    assert again.delays()


async def test_a_stuck_engine_is_killed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SILENT_SECONDS", 2.0)
    engine = await start()
    guest, pid = Guest(engine), engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    await until(lambda: guest.of(Lost), 10)
    [lost] = guest.of(Lost)
    assert isinstance(lost, Lost) and "no sign of life" in lost.message


async def test_what_cannot_be_loaded_is_said(start: Start, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="does not exist"):
        await start(model=str(tmp_path))


async def test_a_neighbour_does_not_notice_who_misbehaves(start: Start) -> None:
    """One floods, one joins and leaves all the time, one sends what is no number; the fourth is served as before."""
    engine = await start()
    good = Guest(engine)
    await good.speak(1.0)
    quiet = len(good.delays())

    async def misbehave() -> None:
        flood, poison = Guest(engine), Guest(engine)
        while True:
            flood.place.hear(np.ones(24_000, np.float32))
            poison.place.hear(np.full(1920, np.nan, np.float32))
            restless = Guest(engine)
            await asyncio.sleep(0.005)
            restless.place.leave()

    worst = asyncio.create_task(misbehave())
    await good.speak(2.0)
    worst.cancel()
    delays = good.delays()
    before, after = sorted(delays[:quiet]), sorted(delays[quiet:])
    assert len(after) >= 23
    assert after[len(after) // 2] < before[len(before) // 2] + 0.015
    assert not good.of(Lost)


@given(st.lists(st.integers(1, 40), max_size=30), st.data())
def test_messages_survive_any_cutting(counts: list[int], data: st.DataObject) -> None:
    bundles: list[list[Message]] = [[Sound(n, np.full(n, n, np.float32)) for n in range(1, count)] for count in counts]
    stream = b"".join(packed(bundle) for bundle in bundles)
    unpacker, got = Unpacker(), []
    at = 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream)))
        got += list(unpacker.push(stream[at : at + size]))
        at += size
    assert [message.seat for message in got] == [n for count in counts for n in range(1, count)]
