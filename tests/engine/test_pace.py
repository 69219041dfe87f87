"""What a step costs decides how often the engine ticks and how many people it takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.engine.pace import HEADROOM, Pace

PERIOD = 0.08


def pace(*costs: tuple[int, float]) -> Pace:
    made = Pace(PERIOD)
    for rows, seconds in costs:
        made.measured(rows, seconds)
    return made


def test_between_and_beyond_what_was_measured() -> None:
    made = pace((1, 0.03), (8, 0.065))
    assert made.cost(1) == 0.03
    assert made.cost(4) == pytest.approx(0.045)
    assert made.cost(16) == pytest.approx(0.13)


def test_room_is_what_is_kept_in_real_time() -> None:
    made = pace((1, 0.03), (8, 0.065), (16, 0.11))
    room = made.room(16)
    assert made.cost(room) <= HEADROOM * PERIOD < made.cost(room + 1)
    assert pace((1, 0.09)).room(4) == 0
    assert Pace(PERIOD).room(4) == 4, "nothing is known against it"


def test_what_each_session_takes_beside_its_steps_is_not_there_for_steps() -> None:
    made = pace((1, 0.01), (8, 0.01))
    assert made.room(8) == 8
    made.beside = 0.01
    assert made.room(8) == 5, "0.85 of 80 ms are for the step, and for five of these"
    for _ in range(64):
        made.observe(4, 0.02)
    assert made.room(8) == 2, "on a machine that is twice as slow"


def test_quick_models_tick_often() -> None:
    assert pace((1, 0.0005)).beats(8) == 16
    assert pace((1, 0.012)).beats(1) == 2
    assert pace((1, 0.03), (8, 0.065)).beats(8) == 1


def test_a_busy_machine_takes_fewer_and_a_hiccup_changes_nothing() -> None:
    made = pace((1, 0.01), (4, 0.04))
    before = made.room(4)
    for _ in range(10):
        made.observe(4, 0.04)
    made.observe(4, 1.0)
    assert made.room(4) == before == 4
    for _ in range(64):
        made.observe(4, 0.08)
    assert made.load == pytest.approx(2.0)
    assert made.room(4) == 3
    made.rest()
    assert made.room(4) == 4


@given(st.lists(st.tuples(st.integers(1, 64), st.floats(1e-4, 0.2)), min_size=1, max_size=6), st.integers(1, 64))
def test_what_is_let_in_fits(costs: list[tuple[int, float]], rows: int) -> None:
    made = pace(*costs)
    room = made.room(rows)
    assert 0 <= room <= rows
    assert room == 0 or made.cost(room) <= HEADROOM * PERIOD
