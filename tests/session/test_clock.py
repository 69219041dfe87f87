"""Heard samples against the wall clock: jitter, bursts, stalls, drift."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.audio import samples
from duologue.session.clock import JITTER, STALL, HeardClock

PACKET = samples(0.02)


def test_steady_packets_map_exactly() -> None:
    clock = HeardClock(0.0)
    for i in range(100):
        clock.hear(PACKET, (i + 1) * 0.02)
    assert clock.wall(samples(1.0)) == pytest.approx(1.0)


@given(st.lists(st.floats(0.0, 0.25), min_size=50, max_size=200))
def test_jitter_only_delays(delays: list[float]) -> None:
    clock = HeardClock(0.0)
    clock.hear(PACKET, 0.02)
    for i, delay in enumerate(delays):
        clock.hear(PACKET, (i + 2) * 0.02 + delay)
        assert clock.wall(clock.position) == pytest.approx((i + 2) * 0.02, abs=0.02)


def test_a_file_sent_at_once_was_spoken_just_now() -> None:
    clock = HeardClock(5.0)
    clock.hear(samples(3.0), 5.0)
    assert clock.wall(clock.position) == pytest.approx(5.0)


def test_after_a_long_silence_of_the_client_the_mapping_starts_afresh() -> None:
    clock = HeardClock(0.0)
    clock.hear(samples(1.0), 1.0)
    clock.hear(PACKET, 30.0)
    assert clock.wall(clock.position) == pytest.approx(30.0)


def test_quiet_counts_heard_silence_and_what_a_stalled_client_owes() -> None:
    clock = HeardClock(0.0)
    clock.hear(samples(1.0), 1.0)
    voice = samples(0.8)
    assert clock.quiet(voice, 1.0) == pytest.approx(0.2)
    assert clock.quiet(voice, 1.0 + STALL) == pytest.approx(0.2), "jitter is no silence"
    assert clock.quiet(voice, 2.0) == pytest.approx(0.2 + 1.0 - STALL)
    assert clock.quiet(voice, clock.quiet_at(voice, 0.5)) == pytest.approx(0.5)


def test_between_two_large_pieces_nobody_has_stopped_sending() -> None:
    clock = HeardClock(0.0)
    for n in range(1, 4):
        clock.come(samples(1.0), float(n))
        assert clock.stall == pytest.approx(STALL if n == 1 else 1.0 + JITTER)
    clock.come(PACKET, 3.02)
    assert clock.stall == STALL, "pieces as small as others' again"
    for wait in (1.0, 20.0):
        clock = HeardClock(0.0)
        clock.come(samples(3.0), wait)
        clock.come(samples(3.0), wait)
        assert clock.stall == STALL, "recordings, sent at once"


@given(st.floats(-0.002, 0.002))
def test_drift_is_followed(drift: float) -> None:
    """A client clock that is 0.2 % off is never mapped further than a stall away from the truth."""
    clock = HeardClock(0.0)
    for i in range(5000):
        now = (i + 1) * 0.02 * (1 + drift)
        clock.hear(PACKET, now)
        assert abs(clock.wall(clock.position) - now) <= STALL + 1e-6
