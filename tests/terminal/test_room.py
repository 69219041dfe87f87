"""The simulated room does what it says: delay, level, person, noise."""

from __future__ import annotations

import numpy as np
import pytest

from duologue.audio import Wave, samples
from duologue.terminal.device import BLOCK
from duologue.terminal.room import DELAY, REVERBERATION, Room, walls

SILENCE = np.zeros(1, np.float32)


def live(room: Room, said: Wave) -> Wave:
    """Plays ``said`` in the room; returns what the microphone heard meanwhile."""
    heard: list[Wave] = []

    def exchange(block: Wave) -> Wave:
        heard.append(block)
        return said[room.position : room.position + BLOCK]

    room.start(exchange)
    for _ in range(len(said) // BLOCK):
        room.step()
    room.stop()
    np.testing.assert_array_equal(room.said, said)
    return np.concatenate(heard)


def test_the_echo_is_the_convolution_with_the_walls() -> None:
    said = (0.1 * np.random.default_rng(1).standard_normal(50 * BLOCK)).astype(np.float32)
    heard = live(Room(echo=0.0, noise=SILENCE, seed=3), said)
    # What is played in a step is in the air in the next.
    expected = np.concatenate((np.zeros(BLOCK), np.convolve(np.tanh(said), walls(3))))[: len(said)]
    np.testing.assert_allclose(heard, expected, atol=1e-6)


def test_its_level_and_delay() -> None:
    said = np.zeros(60 * BLOCK, np.float32)
    said[0] = 0.01
    loud, soft = (live(Room(echo=echo, noise=SILENCE), said) for echo in (0.0, -6.0))
    assert np.flatnonzero(np.abs(loud) > 1e-9)[0] >= DELAY
    assert not np.abs(loud[BLOCK + DELAY + REVERBERATION :]).max() > 1e-6
    assert np.sum(np.square(loud)) == pytest.approx(0.01**2, rel=0.01)
    np.testing.assert_allclose(soft, loud * 10 ** (-6 / 20), atol=1e-8)


def test_headphones_leave_only_the_person_and_the_noise() -> None:
    room = Room(echo=None, noise=np.full(7, 0.01, np.float32))
    person = np.full(samples(0.1), 0.5, np.float32)
    starts: list[int] = []

    def exchange(block: Wave) -> Wave:
        blocks.append(block)
        return np.full(BLOCK, 0.9, np.float32)

    blocks: list[Wave] = []
    room.start(exchange)
    for step in range(30):
        if step == 5:
            starts.append(room.say(person))
        room.step()
    heard = np.concatenate(blocks)
    expected = np.full(len(heard), 0.01)
    expected[starts[0] : starts[0] + len(person)] += 0.5
    np.testing.assert_allclose(heard, expected, atol=1e-6)


def test_an_empty_room_says_so() -> None:
    with pytest.raises(RuntimeError, match="start"):
        Room(echo=None, noise=SILENCE).step()
