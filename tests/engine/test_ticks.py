"""The loop: many seats on one clock, each as if alone, and none at another's mercy."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from duologue.engine.messages import Dropped, Hush, Join, Joined, Leave, Lost, Sound
from duologue.engine.seats import Hopeless
from duologue.engine.ticks import BURST, CATCH_UP
from duologue.models.moshi import Dialogue, Moshi
from duologue.nn.rows import Rows
from duologue.nn.sampling import Sampling
from engine.hall import FRAME, RATE, Hall, Parrot, Prompter
from models.tiny import lm, mimi


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 1, round(seconds * RATE)).astype(np.float32)


def delays(hall: Hall, seat: int, wave: np.ndarray, start: float) -> list[float]:
    """Seconds from when the last sample of a frame was spoken to when it was said."""
    sound = hall.sound(seat)
    at = int(np.argmax(sound > 0))
    out = []
    for n, (when, event) in enumerate(hall.said(seat)):
        spoken = (n + 1) * FRAME - at
        if 0 < spoken <= len(wave) and event.wave.any():
            out.append(when - (start + spoken / RATE))
    return out


def test_it_says_what_it_hears_soon() -> None:
    hall = Hall()
    hall.join(1)
    wave = noise(2.0)
    start = hall.now + 0.0137
    hall.speak(1, wave, start=start)
    hall.run(2.5)
    sound = hall.sound(1)
    first = int(np.argmax(sound > 0))
    assert np.array_equal(sound[first:][: len(wave)], wave)
    assert max(delays(hall, 1, wave, start)) < 0.045, "a piece of 20 ms, a beat of 10 ms, a margin, a step"


@given(st.data())
@settings(max_examples=15)
def test_a_seat_is_as_if_alone_among_any_others(data: st.DataObject) -> None:
    """Moshi with sampling: the same tokens and sound, whoever joins, leaves, stalls or hushes beside it."""
    moshi = Moshi(mimi(), Dialogue(lm(), Sampling(0.9, 8), Sampling(0.9, 6)))
    frames = noise(0.6, seed=5).reshape(25, moshi.frame) - 0.5
    state, row = moshi.state(1), Rows.of([0])
    moshi.reset(state, row, [7])
    expected = []
    for n, frame in enumerate(frames):
        said = moshi.step(state, row, torch.from_numpy(frame)[None])
        if n == 0:
            moshi.restart_codec(state, row)  # as for Kyutai's clients
        if said.ready[0]:
            expected.append(said.wave[0].numpy())

    hall = Hall(Parrot(), measure=False)
    hall.engine = type(hall.engine)(moshi, 3, hall._emit, clock=lambda: hall.now)
    others = iter(range(100, 1000))
    present: list[int] = []
    for seat in range(data.draw(st.integers(0, 2))):
        present.append(next(others))
        hall.join(present[-1], manner="kyutai", hushed=bool(seat))
    hall.join(7, manner="kyutai")
    for frame in frames:
        for seat in list(present):
            match data.draw(st.sampled_from(["speak", "stall", "leave", "hush"])):
                case "speak":
                    hall.tell(Sound(seat, noise(0.024, seat)))
                case "hush":
                    hall.tell(Hush(seat, data.draw(st.booleans())))
                case "leave":
                    hall.tell(Leave(seat))
                    present.remove(seat)
                    present.append(next(others))
                    hall.join(present[-1], manner="kyutai")
        hall.tell(Sound(7, frame))
        hall.engine.tick()
        hall.now += 0.04
    got = [event.wave for _, event in hall.said(7)]
    assert len(got) == len(expected) > 20
    for mine, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


def test_late_seats_are_left_out_and_hold_nobody_up() -> None:
    hall = Hall()
    wave, start = noise(2.0), hall.now
    hall.join(1)
    hall.join(2, manner="kyutai")
    hall.speak(1, wave, start=start)
    hall.later(start + 1.0, Sound(2, noise(0.16)))
    hall.run(2.5)
    assert max(delays(hall, 1, wave, start)) < 0.045
    assert len(hall.said(2)) == 1, "two frames heard, of which the first is not ready"


def test_a_silent_live_client_is_heard_as_silence() -> None:
    hall = Hall()
    hall.join(1)
    hall.run(2.0)
    assert len(hall.said(1)) == pytest.approx(2.0 / 0.08, abs=2)
    assert not hall.sound(1).any()


def test_a_burst_is_caught_up_two_steps_a_tick_and_what_is_too_much_is_dropped() -> None:
    hall = Hall()
    hall.join(1)
    hall.speak(1, noise(0.5))
    hall.run(0.6)
    before = len(hall.said(1))
    hall.tell(Sound(1, noise(1.0)))
    hall.engine.tick()
    assert len(hall.said(1)) - before == 2
    hall.run(0.1)
    assert len(hall.said(1)) - before <= 6
    [dropped] = hall.of(Dropped)
    assert dropped.samples >= 1.0 * RATE - 4 * FRAME
    assert not hall.of(Lost)


@pytest.mark.parametrize("manner", ["live", "kyutai"])
def test_who_sends_faster_than_anybody_speaks_is_given_no_more_than_twice_as_much(
    manner: Literal["live", "kyutai"],
) -> None:
    hall = Hall()
    hall.join(1, manner=manner)
    sent = 0
    for _ in range(100):  # ten seconds, in each tenth of which a whole second is sent
        for _ in range(10):
            hall.tell(Sound(1, noise(0.1)))
            sent += RATE // 10
        hall.run(0.1)
    assert 10 / 0.08 < len(hall.said(1)) < BURST + CATCH_UP * 10 / 0.08 + 2
    told = hall.of(Dropped)
    assert 9 <= len(told) <= 11, "not at every piece"
    heard = sum(len(event.wave) for _, event in hall.said(1))
    assert sum(event.samples for event in told) == pytest.approx(sent - heard, abs=2 * RATE + RATE * 10)


def test_there_is_no_second_step_where_it_would_make_the_next_tick_late() -> None:
    hall = Hall(Parrot(cost=lambda rows: 0.05))
    hall.join(1, manner="kyutai")
    hall.tell(Sound(1, noise(0.4)))
    hall.run(0.079)
    assert len(hall.model.batches) == 1


def test_who_cannot_be_kept_in_real_time_is_not_let_in() -> None:
    hall = Hall(Parrot(cost=lambda rows: 0.02 * rows), rows=8)
    assert hall.engine.pulse().room == 3
    for seat in range(1, 5):
        hall.join(seat)
    hall.run(0.1)
    [lost] = hall.of(Lost)
    assert (lost.seat, len(hall.of(Joined))) == (4, 3)
    assert "real time" in lost.message
    hall.tell(Leave(2))
    hall.join(5)
    hall.run(0.1)
    assert [event.seat for event in hall.of(Joined)] == [1, 2, 3, 5]


def test_rows_are_cleared_before_they_are_leased_again() -> None:
    hall = Hall(rows=1)
    hall.join(1)
    hall.speak(1, noise(1.0))
    hall.run(1.0)
    assert int(hall.said(1)[-1][1].text) > 5
    hall.tell(Leave(1))
    hall.join(2)
    hall.run(0.5)
    assert hall.said(2)[0][1].text == " 2"


def test_a_step_that_fails_ends_its_seats_and_the_others_go_on() -> None:
    bad = [False]
    hall = Hall(Parrot(fault=lambda wave: RuntimeError("boom") if bad[0] and len(wave) == 1 else None))
    wave, start = noise(3.0), hall.now
    for seat in (1, 2):
        hall.join(seat, manner="kyutai")
    hall.tell(Sound(1, noise(0.08)))
    hall.run(0.02)
    bad[0] = True
    hall.tell(Sound(2, noise(0.08)))
    hall.run(0.02)
    bad[0] = False
    [lost] = hall.of(Lost)
    assert lost.seat == 2
    assert "boom" in lost.message
    hall.speak(1, wave, start=start + 0.1)
    hall.join(3, manner="kyutai")
    hall.tell(Sound(3, noise(0.24)))
    hall.run(3.5)
    assert len(hall.said(1)) == 37, "its first frame was not ready"
    assert [event.text for _, event in hall.said(3)] == [" 2", " 3"]


def test_steps_that_fail_again_and_again_end_the_process() -> None:
    hall = Hall(Parrot(fault=lambda wave: RuntimeError("boom")), measure=False)
    for seat in (1, 2):
        hall.join(seat)
        hall.run(0.1)
    hall.join(3)
    with pytest.raises(Hopeless):
        hall.run(0.1)
    assert [event.seat for event in hall.of(Lost)] == [1, 2, 3]


def test_numbers_that_break_end_that_conversation_only() -> None:
    class Breaks(Parrot):
        def step(self, state, rows, wave):  # type: ignore[no-untyped-def]
            frames = super().step(state, rows, wave)
            frames.wave[wave[:, 0] > 5] = float("nan")
            return frames

    hall = Hall(Breaks())
    hall.join(1)
    hall.join(2)
    hall.speak(1, noise(1.0))
    hall.speak(2, np.full(RATE, 9, np.float32))
    hall.run(1.2)
    assert [event.seat for event in hall.of(Lost)] == [2]
    assert len(hall.said(1)) > 10


def test_hushed_seats_hear_on() -> None:
    hall = Hall()
    hall.join(1, hushed=True)
    hall.speak(1, noise(1.0))
    hall.run(0.5)
    assert not hall.sound(1).any()
    hall.tell(Hush(1, False))
    hall.run(0.6)
    counts = [int(event.text) for _, event in hall.said(1)]
    assert counts == list(range(2, 2 + len(counts))), "it heard every frame"
    assert hall.sound(1).any()


def test_the_quirk_of_kyutais_server_is_for_its_clients_only() -> None:
    hall = Hall()
    hall.join(1)
    hall.join(2, manner="kyutai")
    for seat in (1, 2):
        hall.speak(seat, noise(0.5))
    hall.run(0.6)
    assert hall.model.restarted == [1]  # the row of seat 2


def test_a_persona_delays_nobody() -> None:
    hall = Hall(Prompter(cost=lambda rows: 0.03))
    hall.join(1)
    hall.run(2.0)  # it is primed itself first
    wave, start = noise(3.0), hall.now
    hall.speak(1, wave, start=start)
    hall.later(start + 1.0, Join(2, seed=1, voice="low", instructions="You are a pirate."))
    hall.run(3.5)
    assert {event.seat for event in hall.of(Joined)} == {1, 2}
    late = delays(hall, 1, wave, start)
    assert max(late) < 0.08 + 0.03 + 0.01, "a frame's beat, a step"
    hall.join(3, voice="shrill")
    hall.run(0.2)
    assert [event.seat for event in hall.of(Lost)] == [3]
