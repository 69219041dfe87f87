"""The floor's table: complete, unambiguous, and never stuck."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.floor import IGNORED, TABLE, Action, Policy, Signal, State, step
from duologue.floor.__main__ import page
from duologue.floor.machine import CONDITIONS

POLICIES = [
    Policy(creates, interrupts, word)
    for creates, interrupts, word in product((True, False), (True, False), ("runtime", "model"))
]
signals = st.lists(st.sampled_from(list(Signal)), max_size=60)
policies = st.sampled_from(POLICIES)


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize(("state", "signal"), list(product(State, Signal)), ids=lambda v: v.value)
def test_every_pair_has_exactly_one_answer(state: State, signal: Signal, policy: Policy) -> None:
    rows = [r for r in TABLE if r.state is state and r.signal is signal and CONDITIONS[r.when](policy)]
    ignored = signal in IGNORED[state]
    assert len(rows) + ignored == 1, "either one row applies, or the pair is ignored on purpose"


def run(policy: Policy, sequence: list[Signal]) -> tuple[State, list[Action]]:
    state, done = State.IDLE, []
    for signal in sequence:
        result = step(state, signal, policy)
        state, done = result.then, [*done, *result.actions]
    return state, done


@given(policies, signals)
def test_turns_and_replies_open_and_close_in_pairs(policy: Policy, sequence: list[Signal]) -> None:
    """No turn is opened twice, none ends unopened (except push-to-talk), no reply begins over another."""
    state = State.IDLE
    turn = reply = held = paused = False
    for signal in sequence:
        result = step(state, signal, policy)
        state = result.then
        for action in result.actions:
            match action:
                case Action.OPEN_TURN:
                    assert not turn
                    turn = True
                case Action.COMMIT_TURN | Action.DROP_TURN:
                    turn = False
                case Action.SPECULATE:
                    assert turn and not reply and not held
                    held = True
                case Action.RETRACT:
                    held = False
                case Action.TAKE_FLOOR:
                    assert held
                    held, reply = False, True
                case Action.BEGIN_REPLY | Action.GRANT | Action.NUDGE:
                    assert not reply and not held
                    reply = True
                case Action.PAUSE_OUTPUT:
                    assert reply and not paused
                    paused = True
                case Action.RESUME_OUTPUT:
                    assert paused
                    paused = False
                case Action.INTERRUPT | Action.STOP_REPLY | Action.FINISH | Action.LEAVE_ALONE | Action.FAIL:
                    assert reply
                    reply = paused = False
                case _:
                    pass
        assert reply == (state in {State.REPLYING, State.CONTESTED, State.OVERLAPPED})
        assert turn == (state in {State.HEARING, State.SPECULATING, State.CONTESTED, State.OVERLAPPED})
        assert paused == (state is State.CONTESTED)


@given(policies, signals)
def test_idle_is_always_two_signals_away(policy: Policy, sequence: list[Signal]) -> None:
    state, _ = run(policy, sequence)
    state = step(state, Signal.CLEAR, policy).then
    state = step(state, Signal.CANCEL, policy).then
    assert state is State.IDLE


@given(policies, signals)
def test_nothing_speaks_unasked_when_the_client_forbids_it(policy: Policy, sequence: list[Signal]) -> None:
    _, actions = run(Policy(creates=False, interrupts=policy.interrupts), sequence)
    assert not {Action.SPECULATE, Action.TAKE_FLOOR, Action.QUEUE_REPLY} & set(actions)


@given(signals)
def test_no_interruption_where_the_client_forbids_it(sequence: list[Signal]) -> None:
    _, actions = run(Policy(interrupts=False), sequence)
    assert not {Action.PAUSE_OUTPUT, Action.INTERRUPT} & set(actions)


@given(signals)
def test_no_reply_is_prepared_paused_or_cut_where_the_models_word_counts(sequence: list[Signal]) -> None:
    _, actions = run(Policy(word="model"), sequence)
    forbidden = {Action.SPECULATE, Action.TAKE_FLOOR, Action.QUEUE_REPLY, Action.PAUSE_OUTPUT, Action.INTERRUPT}
    assert not forbidden & set(actions)


def test_the_documented_picture_is_the_table() -> None:
    assert (Path(__file__).parents[2] / "docs" / "floor.md").read_text() == page()
