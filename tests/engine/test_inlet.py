"""Sound on its way to frames: nothing lost or moved that arrives in time, whatever the pieces."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duologue.engine.inlet import MARGIN, SILENT_AFTER, Beat, Inlet

RATE, FRAME = 24_000, 1920
BEAT = Beat(zero=7.0, every=0.01)


def inlet(live: bool = True, backlog: int = 4, now: float = 7.0) -> Inlet:
    return Inlet(rate=RATE, frame=FRAME, backlog=backlog, live=live, now=now)


def ramp(size: int) -> np.ndarray:
    """Samples that tell their position, none of them 0."""
    return np.arange(1, size + 1, dtype=np.float32)


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=40), st.booleans(), st.floats(0, 1))
def test_what_is_heard_is_what_came_in_any_pieces(sizes: list[int], live: bool, offset: float) -> None:
    line, now, taken = inlet(live), 7.0 + offset * 0.09, []
    wave, at = ramp(sum(sizes)), 0
    for size in sizes:
        now += size / RATE
        dropped = line.push(wave[at : at + size], now, BEAT)
        assert not dropped
        at += size
        while line.ready:
            taken.append(line.take())
    heard = np.concatenate([*taken, np.zeros(0, np.float32)])
    assert not len(heard) % FRAME
    assert line.held < FRAME
    first = int(np.argmax(heard > 0)) if heard.any() else len(heard)
    assert first <= (3 * FRAME if live else 0), "no more silence in front than a frame, and the phase"
    assert np.array_equal(heard[first:], wave[: len(heard) - first])


@given(st.sampled_from([240, 480, 960]), st.floats(0, 0.02), st.sampled_from([0.01, 0.02, 0.04, 0.08]))
def test_frames_are_complete_just_before_a_tick(piece: int, offset: float, every: float) -> None:
    """The wait is as short as the pieces allow."""
    beat, line = Beat(7.0, every), inlet()
    line.take()  # the frame that Moshi never sees
    waits, now = [], 7.0 + offset
    for _ in range(4 * FRAME // piece):
        line.push(np.ones(piece, np.float32), now, beat)
        if line.ready:
            line.take()
            waits.append(beat.wait(now + MARGIN))
        now += piece / RATE
    assert waits
    assert max(waits) <= min(every, piece / RATE) + 1e-6


def test_silence_stands_in_for_a_live_client_only() -> None:
    live, still = inlet(), inlet(live=False)
    spoken = FRAME / 2 / RATE
    live.take()
    for line in (live, still):
        line.push(np.ones(FRAME // 2, np.float32), 7.0, BEAT)
    held = live.held
    for line in (live, still):
        line.fill(7.0 + spoken + SILENT_AFTER)
    assert live.held == held
    for line in (live, still):
        line.fill(7.0 + spoken + SILENT_AFTER + 0.001)
    assert live.held == held + round((spoken + SILENT_AFTER + 0.001) * RATE)
    assert still.held == FRAME // 2


def test_filled_silence_keeps_real_time() -> None:
    line = inlet()
    frames = -1  # the one in front
    for step in range(1, 401):
        line.fill(7.0 + step * 0.01)
        while line.ready:
            line.take()
            frames += 1
    assert frames * FRAME == pytest.approx(4.0 * RATE, abs=FRAME)


@given(st.integers(130, 1500), st.sampled_from([240, 480, 960, 1920]))
def test_a_stalled_network_puts_nothing_off(stall_ms: int, piece: int) -> None:
    """Sound that was only late does not make what follows later: in the end as much was heard as time has passed."""
    line, now, taken = inlet(), 7.0, 0
    held: list[np.ndarray] = []
    for n in range(4 * RATE // piece):
        now += piece / RATE
        wave = np.full(piece, 1 + n, np.float32)
        if 1.0 <= now - 7.0 < 1.0 + stall_ms / 1000:
            held.append(wave)
        else:
            for late in held:
                line.push(late, now, BEAT)
            held.clear()
            line.push(wave, now, BEAT)
        line.fill(now)
        while line.ready:
            line.take()
            taken += 1
    assert -FRAME < taken * FRAME - (now - 7.0) * RATE < 2.5 * FRAME, "one of them is the frame in front"


@settings(max_examples=20)
@given(st.integers(5, 400), st.integers(0, 90), st.integers(0, 2**16))
def test_pieces_of_any_size_are_heard_whole(piece_ms: int, late_ms: int, seed: int) -> None:
    """A client that sends all that is spoken, in pieces of its own size and with a network's jitter, is heard from the
    second piece on without a sample lost or a silence put in between."""
    line, piece, chance = inlet(), piece_ms * RATE // 1000, random.Random(seed)
    sent = [7.0 + (n + 1) * piece / RATE + chance.uniform(0, late_ms / 1000) for n in range(3000 // piece_ms)]
    line.take()
    heard, coming, now = [], sorted(sent), 7.0
    while now < sent[-1] + 0.1:
        while coming and coming[0] <= now:
            n = len(sent) - len(coming)
            line.push(np.arange(1 + n * piece, 1 + (n + 1) * piece, dtype=np.float32), coming.pop(0), BEAT)
        line.fill(now)
        while line.ready:
            heard.append(line.take())
        now += 0.005
    whole = np.concatenate(heard)
    second = int(np.argmax(whole > piece))
    last = int(whole.argmax())
    assert (np.diff(whole[second : last + 1]) == 1).all()


def test_after_a_meant_silence_nothing_is_dropped() -> None:
    line, now = inlet(), 7.0
    for n in range(200):
        now += 0.02
        if n < 20 or n > 80:
            assert not line.push(np.ones(480, np.float32), now, BEAT)
        line.fill(now)
        while line.ready:
            line.take()


def test_a_burst_beyond_the_bound_drops_the_oldest() -> None:
    line = inlet(live=False)
    assert line.push(ramp(4 * FRAME + 100), 7.0, BEAT) == FRAME
    assert line.take()[0] == FRAME + 1


def test_what_is_no_number_is_silence() -> None:
    line = inlet(live=False)
    wave = np.full(FRAME, 3.0, np.float32)  # too loud is not our affair
    wave[5], wave[6] = np.nan, np.inf
    line.push(wave, 7.0, BEAT)
    heard = line.take()
    assert line.mended == 2
    assert heard[5] == heard[6] == 0
    assert heard[4] == 3.0


@given(st.floats(0.995, 1.005))
@settings(max_examples=10)
def test_a_drifting_clock_neither_piles_up_nor_starves(speed: float) -> None:
    """Seven minutes of a client whose clock is off by up to half a percent."""
    line, now, taken = inlet(), 7.0, 0
    for _ in range(5_000):
        now += 0.08 / speed
        assert not line.push(np.ones(FRAME, np.float32), now, BEAT)
        line.fill(now)
        while line.ready:
            line.take()
            taken += 1
        assert line.held < FRAME
    assert taken == pytest.approx(5_000, abs=3)
