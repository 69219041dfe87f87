"""The footprint's command refuses what it cannot measure."""

from __future__ import annotations

import pytest

from duologue.measure.footprint import footprint


async def test_numbers_of_guests_that_make_no_sense() -> None:
    for sessions, talking in ((1, 1), (4, 5), (4, 0)):
        with pytest.raises(ValueError, match="two sessions or more"):
            await footprint(sessions=sessions, talking=talking)
