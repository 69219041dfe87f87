"""The loudspeaker's queue: what is played of what, whatever the block size."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from duologue.audio import Wave
from duologue.terminal.loudspeaker import FADE, Cut, Loudspeaker

ONE = np.full(1000, 0.5, np.float32)


def test_in_order_and_then_silence() -> None:
    loudspeaker = Loudspeaker()
    loudspeaker.push("a", 0, ONE)
    loudspeaker.push("b", 0, -ONE)
    assert loudspeaker.queued == 2000
    wave = loudspeaker.take(2500)
    np.testing.assert_array_equal(wave, np.concatenate((ONE, -ONE, np.zeros(500))))
    assert loudspeaker.flush() == []
    assert not loudspeaker.take(500).any()


def test_a_pause_stands_still_and_loses_nothing() -> None:
    loudspeaker = Loudspeaker()
    ramp = np.arange(1, 2001, dtype=np.float32) / 2000
    loudspeaker.push("a", 0, ramp)
    loudspeaker.take(500)
    loudspeaker.pause(True)
    fading = loudspeaker.take(500)
    assert np.all(np.diff(fading[:FADE]) < 0)
    assert not fading[FADE - 1 :].any()
    assert not loudspeaker.take(500).any()
    loudspeaker.pause(False)
    wave = loudspeaker.take(1500)
    assert np.all(np.diff(wave[:FADE]) > 0)
    # The fade consumed what it faded; from there the ramp goes on.
    np.testing.assert_array_equal(wave[FADE:1000], ramp[500 + 2 * FADE - 1 : 1500 + FADE - 1])


def test_a_cut_tells_how_much_was_played() -> None:
    loudspeaker = Loudspeaker()
    loudspeaker.push("a", 0, ONE)
    loudspeaker.push("b", 0, ONE)
    loudspeaker.push("b", 1, ONE)
    loudspeaker.push("c", 0, ONE)
    loudspeaker.take(1300)
    assert loudspeaker.flush() == [Cut("b", 0, 300), Cut("c", 0, 0)]
    tail = loudspeaker.take(500)
    assert 0 < tail[FADE - 1] < tail[0] == 0.5
    assert not tail[FADE:].any()
    assert loudspeaker.flush() == []


def test_a_cut_in_a_pause_leaves_no_click() -> None:
    loudspeaker = Loudspeaker()
    loudspeaker.push("a", 0, ONE)
    loudspeaker.take(100)
    loudspeaker.pause(True)
    loudspeaker.take(500)
    assert loudspeaker.flush() == [Cut("a", 0, 100 + FADE - 1)]
    assert not loudspeaker.take(500).any()
    loudspeaker.push("b", 0, ONE)  # the pause is over with what was paused
    assert loudspeaker.take(500)[-1] == 0.5


def played(operations: list[tuple[str, int]], blocks: list[int]) -> Wave:
    """What is heard when ``operations`` happen at their moments and the device takes ``blocks``."""
    loudspeaker = Loudspeaker()
    parts: list[Wave] = []
    for index, (kind, amount) in enumerate(operations):
        match kind:
            case "push":
                loudspeaker.push(f"item {index}", 0, np.full(amount, 0.25 + index / 100, np.float32))
            case "pause":
                loudspeaker.pause(amount % 2 == 0)
            case "flush":
                loudspeaker.flush()
        left, turn = 700, 0
        while left:
            size = min(left, blocks[turn % len(blocks)])
            parts.append(loudspeaker.take(size))
            left, turn = left - size, turn + 1
    return np.concatenate(parts)


@given(
    st.lists(
        st.tuples(st.sampled_from(["push", "pause", "flush"]), st.integers(0, 1500)), min_size=1, max_size=12
    ),
    st.lists(st.integers(1, 700), min_size=1, max_size=6),
)
def test_any_block_size_sounds_the_same(operations: list[tuple[str, int]], blocks: list[int]) -> None:
    np.testing.assert_allclose(played(operations, blocks), played(operations, [700]), atol=1e-6)
