"""A line to a session in this very process: no server, no socket, and time that may be virtual."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from duologue.backends.contract import Backend
from duologue.measure.lines import Arrival, Line, LineError
from duologue.session.options import SessionOptions
from duologue.session.session import Session

_HUNG = 60.0
"""Seconds of real time after which a backend that never finishes its work counts as broken."""

_SOON = 0.001
"""A deadline that is not ahead any more is looked at again after so many seconds, not at once."""


@asynccontextmanager
async def in_process(
    backend: Backend, *, options: SessionOptions | None = None, fast: bool = False
) -> AsyncIterator[Line]:
    """A line to a new session on ``backend``, which must have been started.

    ``fast``: time is virtual. It passes only between one event and the next and stands still while the
    backend works, so every answer seems to be made in no time: what is said is true then, latency is not.
    """
    line = _SessionLine(backend, options, fast)
    try:
        yield line
    finally:
        line.session.close()


class _SessionLine:
    def __init__(self, backend: Backend, options: SessionOptions | None, fast: bool) -> None:
        self._fast = fast
        self._virtual = 0.0
        self._arrived: list[Arrival] = []
        self._stir = asyncio.Event()
        self.session = Session(backend, clock=self.now, options=options, wake=self._stir.set)

    def now(self) -> float:
        return self._virtual if self._fast else time.monotonic()

    async def send(self, event: Mapping[str, Any]) -> None:
        self.session.receive(json.dumps(event))
        self._collect()

    async def wait(self, until: float) -> list[Arrival]:
        while True:
            if self._fast:
                await self._settle()
            due = self.session.poll()
            self._collect()
            if self._fast and not self.session.settled:
                continue  # polling gave the backend more to do, and time stands still until it is done
            now = self.now()
            if now >= until:
                arrived, self._arrived = self._arrived, []
                return arrived
            await self._pass(now, until if due is None else min(until, max(due, now + _SOON)))

    async def _settle(self) -> None:
        try:
            async with asyncio.timeout(_HUNG):
                while not self.session.settled:
                    await self._news(within=_SOON)  # work may end without an event
        except TimeoutError as error:
            raise LineError(f"the backend did not finish its work within {_HUNG:g} s") from error

    async def _pass(self, now: float, until: float) -> None:
        if self._fast:
            self._virtual = until
            return
        await self._news(within=until - now)

    async def _news(self, within: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._stir.wait()
        self._stir.clear()

    def _collect(self) -> None:
        now = self.now()
        self._arrived += [Arrival(now, event) for event in self.session.outgoing()]
