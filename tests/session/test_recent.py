"""The last second of sound, whatever pieces it came in."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from duologue.session.hearing import Recent

SOUND = np.arange(200, dtype=np.float32)


@given(st.lists(st.integers(0, 200), max_size=20), st.integers(0, 210))
def test_what_is_asked_for_or_the_oldest_kept(cuts: list[int], position: int) -> None:
    recent, kept = Recent(keep=40 / 24_000), np.zeros(0, np.float32)
    for piece in np.split(SOUND, sorted(cuts)):
        recent.push(piece)
        kept = np.concatenate((kept, piece))[-max(40, len(piece)) :]
        start, wave = recent.since(position)
        assert start == max(position, recent.end - len(kept))
        assert np.array_equal(wave, SOUND[start : recent.end])
        assert sum(map(len, recent._pieces)) <= 2 * 200, "what is older is let go"
