"""The house after its guests."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from duologue.server import house as place
from duologue.server.house import House


class Someone:
    """A guest with a web of references around."""

    def __init__(self) -> None:
        self.me = self

    def leave(self) -> None:
        """Nothing to end."""

    def cut(self) -> None:
        """Nothing to end."""


async def test_what_a_guest_leaves_behind_is_tidied_up_without_waiting_for_the_collector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(place, "TIDY_AFTER", 0.02)
    house = House(2)
    gc.disable()
    try:
        guest = Someone()
        left = weakref.ref(guest)
        with house.seat(guest):
            del guest
            await asyncio.sleep(0.05)
            assert left() is not None
        await asyncio.sleep(0.1)
        assert left() is None
    finally:
        gc.enable()
