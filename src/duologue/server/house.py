"""How many may talk at once, and how everybody is seen out."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from duologue import memory


class Guest(Protocol):
    """One who has a place: told to leave when the house closes."""

    def leave(self) -> None:
        """End when the running reply ended."""

    def cut(self) -> None:
        """End now."""


class Full(Exception):
    """No place; the message says why, ``code`` says it to programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


TIDY_AFTER = 1.0
"""Seconds after somebody left; who leaves meanwhile is tidied up after as well."""


class House:
    """The places of one server."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.draining = False
        self._guests: set[Guest] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._tidying: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._guests)

    @contextmanager
    def seat(self, guest: Guest) -> Iterator[None]:
        """A place for ``guest`` while the block runs; raises :class:`Full` at once if there is none."""
        if self.draining:
            raise Full("server_shutting_down", "the server is shutting down; connect again in a moment")
        if len(self._guests) >= self.places:
            raise Full(
                "session_limit_reached",
                f"all {self.places} sessions of this server are taken; try again later",
            )
        self._guests.add(guest)
        self._empty.clear()
        try:
            yield
        finally:
            self._guests.discard(guest)
            self._tidy_soon()
            if not self._guests:
                self._empty.set()

    def settle(self) -> None:
        """What is loaded by now stays: tidying up need not look at it again."""
        gc.collect()
        gc.freeze()

    def _tidy_soon(self) -> None:
        """A session is a web of callbacks, which only the cycle collector frees. That counts objects and not bytes, and
        a few objects may hold minutes of sound: left alone, it would let hundreds of megabytes pile up."""
        if self._tidying is None:
            self._tidying = asyncio.get_running_loop().call_later(TIDY_AFTER, self._tidy)

    def _tidy(self) -> None:
        self._tidying = None
        gc.collect()
        memory.return_holes()

    async def drain(self, seconds: float) -> None:
        """Let nobody in, let running replies end, for ``seconds`` at most; returns when all are gone."""
        self.draining = True
        for guest in tuple(self._guests):
            guest.leave()
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            for guest in tuple(self._guests):
                guest.cut()
            await self._empty.wait()
