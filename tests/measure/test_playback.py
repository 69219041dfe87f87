"""What a listener hears of audio that arrives in pieces."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from duologue.audio import Wave
from duologue.measure.playback import Playback


def piece(length: int, value: float = 0.5) -> Wave:
    return np.full(length, value, np.float32)


def test_pieces_queue_up_and_gaps_stay_gaps() -> None:
    playback = Playback()
    playback.add(100, piece(50, 0.1), response="r", item="i")
    playback.add(110, piece(50, 0.2), response="r", item="i")  # early: waits for the first
    playback.add(300, piece(50, 0.3), response="r", item="i")  # late: a gap
    expected = np.concatenate([piece(100, 0), piece(50, 0.1), piece(50, 0.2), piece(100, 0), piece(50, 0.3)])
    assert np.array_equal(playback.timeline(350), expected)
    assert np.array_equal(playback.spoken(["r"]), expected[100:])
    assert np.array_equal(playback.timeline(170), expected[:170])
    assert playback.end == 350


def test_a_flush_drops_what_was_not_played() -> None:
    playback = Playback()
    playback.add(0, piece(100), response="r", item="i")
    playback.add(0, piece(100), response="r", item="i")
    assert playback.flush(150) == "i"
    assert playback.heard("i") == 150
    assert playback.end == 150
    playback.add(160, piece(10), response="s", item="j")
    timeline = playback.timeline(170)
    assert timeline[:150].all()
    assert not timeline[150:160].any()
    assert timeline[160:].all()
    assert playback.flush(500) is None


def test_responses_are_told_apart() -> None:
    playback = Playback()
    playback.add(0, piece(10, 0.1), response="r", item="i")
    playback.add(20, piece(10, 0.2), response="s", item="j")
    assert np.array_equal(playback.timeline(30, "s"), np.concatenate([piece(20, 0), piece(10, 0.2)]))
    assert np.array_equal(playback.spoken(["r"]), piece(10, 0.1))
    assert len(playback.spoken([])) == 0


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 300), st.booleans()), max_size=30))
def test_nothing_is_heard_twice_or_after_a_flush(steps: list[tuple[int, int, bool]]) -> None:
    """Every sample played was received once, in order; from a flush on it is quiet until new audio comes."""
    playback, at, number = Playback(), 0, 0
    for wait, length, flush in steps:
        at += wait
        if flush:
            playback.flush(at)
            assert playback.end <= at
            assert not playback.timeline(at + 1000)[at:].any()
        else:
            # Each sample has its own number, as its value.
            wave = np.arange(number + 1, number + 1 + length, dtype=np.float32)
            playback.add(at, wave, response="r", item="i")
            number += length
    heard = playback.timeline(playback.end)
    heard = heard[heard > 0]
    assert (np.diff(heard) > 0).all()
    assert len(heard) == playback.heard("i")
