"""A full house of the embedded model: 64 conversations at once, most of them quiet, some of them talking."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from duologue.measure.caller import Caller
from duologue.measure.exchange import Exchange, exchange
from duologue.measure.lines import LineError, dial
from duologue.measure.serving import own_server
from duologue.measure.voices import VOICES, quiet_room, speak

SESSIONS = 64
TALKING = 4
STREAMING = 12
"""Further microphones that are open in a room where nobody speaks; the rest hold the line."""

QUESTION = "what is two plus three"


async def test_sixty_four_at_once() -> None:
    """Who talks is answered and understood, who is quiet hears nothing, and the next one is told: the house is full."""
    async with AsyncExitStack() as house:
        server = await house.enter_async_context(own_server(sessions=SESSIONS))
        lines = [await house.enter_async_context(dial(server.url)) for _ in range(SESSIONS)]
        guests = [Caller(line, room=quiet_room(n)) for n, line in enumerate(lines)]
        await asyncio.gather(*(guest.join() for guest in guests))
        began = time.monotonic()
        with pytest.raises(LineError, match="all 64"):
            async with dial(server.url) as line:
                await Caller(line).join()
        assert time.monotonic() - began < 2
        talking, streaming = guests[:TALKING], guests[TALKING : TALKING + STREAMING]
        listening = [asyncio.create_task(guest.listen(60)) for guest in streaming]
        answers = await asyncio.gather(*(_ask(guest, VOICES[n]) for n, guest in enumerate(talking)))
        for task in listening:
            assert not task.done(), "lost its line"
            task.cancel()
        assert [answer.heard for answer in answers] == [QUESTION] * TALKING
        assert all("five" in answer.said.lower() for answer in answers), [answer.said for answer in answers]
        for guest in guests[TALKING:]:
            assert not (guest.errors or guest.turns or guest.replies)
        await asyncio.gather(*(_still_there(guest) for guest in guests[TALKING + STREAMING :]))


async def _ask(guest: Caller, voice: str) -> Exchange:
    spoken = speak(QUESTION, voice)
    return await exchange(guest, spoken.wave, spoken.end)


async def _still_there(guest: Caller) -> None:
    await guest.write("what is two plus three")
    async with asyncio.timeout(20):
        while not any("five" in reply.said.lower() for reply in guest.replies.values()):
            await guest.tick()
