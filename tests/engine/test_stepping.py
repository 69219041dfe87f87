"""Steps that are captured and replayed say what steps by rows say; and nothing in them hinders a capture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import structlog
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from duologue.checkpoints.keys import unfilled
from duologue.codecs.mimi import Mimi, MimiConfig
from duologue.engine.fit import state_bytes, tensors
from duologue.engine.messages import Hush, Leave, Lost, Said, Sound
from duologue.engine.pace import Pace, powers
from duologue.engine.stepping import ByRows, Launched, Recorded, Stepper, recorder, stepper
from duologue.models.contract import Frames
from duologue.models.moshi import Dialogue, Moshi, MoshiLM
from duologue.models.moshi_config import MoshiConfig
from duologue.models.personaplex import PersonaPlex, Voice, personaplex
from duologue.nn.rows import Rows
from duologue.nn.sampling import Sampling
from engine.hall import Hall, Parrot
from engine.tape import Tape, Watched
from models.tiny import LM, MIMI, lm, mimi

SAMPLINGS = Sampling(0.9, 8), Sampling(0.9, 6)


def moshi() -> Moshi:
    return Moshi(mimi(), Dialogue(lm(), *SAMPLINGS))


def persona() -> PersonaPlex:
    config = personaplex(replace(LM, dep_q=LM.n_q))
    made = torch.Generator().manual_seed(4)
    columns = torch.randint(0, LM.card, (1 + LM.n_q, config.columns.max_delay + 3), generator=made)
    voice = Voice(torch.randn(20, LM.dim, generator=made), columns)
    return PersonaPlex(mimi(), Dialogue(lm(config), *SAMPLINGS), "<{}>".format, lambda text: [5, 6, 7], {"one": voice})


def hall(model: Moshi, rows: int, tape: Tape | None) -> Hall:
    made = Hall(Parrot(), measure=False)
    made.engine = type(made.engine)(model, rows, made._emit, recorder=tape, clock=lambda: made.now)
    return made


def sound(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.4, 0.4, MIMI.frame).astype(np.float32)


@pytest.mark.parametrize("make", [moshi, persona])
@given(data=st.data())
@settings(max_examples=2)
def test_a_captured_step_says_what_a_step_by_rows_says(make: Callable[[], Moshi], data: st.DataObject) -> None:
    """Whoever joins, leaves, stalls, hushes or is primed, and longer than the rings are."""
    tape = Tape()
    halls = [hall(make(), 3, None), hall(make(), 3, tape)]
    places = [tensor.data_ptr() for tensor in tensors(halls[1].engine._state)]
    seats: list[int] = []
    for n in range(24):
        if len(seats) < 3 and (not seats or data.draw(st.integers(0, 3)) == 0):
            seats.append(100 + n)
            for each in halls:
                each.join(seats[-1], manner="kyutai")
        for seat in list(seats):
            match data.draw(st.sampled_from(["speak"] * 8 + ["stall", "hush", "leave"])):
                case "speak":
                    command: Any = Sound(seat, sound(1000 * n + seat))
                case "hush":
                    command = Hush(seat, data.draw(st.booleans()))
                case "leave":
                    command = Leave(seat)
                    seats.remove(seat)
                case _:
                    continue
            for each in halls:
                each.tell(command)
        for each in halls:
            each.engine.tick()
            each.now += 0.04
    by_rows, captured = ([event for _, event in each.events] for each in halls)
    assert [type(event) for event in by_rows] == [type(event) for event in captured]
    for ours, theirs in zip(by_rows, captured, strict=True):
        assert ours.seat == theirs.seat
        if isinstance(ours, Said):
            assert (ours.text, ours.inclined) == (theirs.text, theirs.inclined)
            np.testing.assert_allclose(ours.wave, theirs.wave, atol=1e-4)
    assert tape.recorded == len(powers(3)) == 3
    assert tape.replayed > 0
    assert places == [tensor.data_ptr() for tensor in tensors(halls[1].engine._state)], "nothing moved in memory"


GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


def told(steps: Stepper[Any], model: Moshi, device: torch.device) -> list[Frames]:
    """Three sessions, each late now and then; the second begins anew."""
    frames = []
    for n in range(20):
        for row in {0: (0, 1, 2), 9: (1,)}.get(n, ()):
            model.reset(steps.state, Rows.of([row], device), [row + n])
        rows = [row for row in range(3) if (n + row) % 4]
        frames.append(steps.step(rows, torch.from_numpy(np.stack([sound(10 * n + row) for row in rows]))))
    return frames


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_a_replay_says_what_launches_say_on_the_same_device(device: str) -> None:
    """On a GPU, where there is one, with its own graphs."""
    place = torch.device(device)
    model = Moshi(mimi().to(place), Dialogue(lm().to(place), *SAMPLINGS))
    graphs = recorder(place, True) or Tape()
    replayed, launched = (stepper(model, 3, place, how) for how in (graphs, Launched()))
    assert replayed.recorder is graphs, "nothing kept it from being captured"
    assert graphs.bytes > 0
    for ours, theirs in zip(told(replayed, model, place), told(launched, model, place), strict=True):
        assert (ours.text, ours.ready, ours.inclined) == (theirs.text, theirs.ready, theirs.inclined)
        torch.testing.assert_close(ours.wave, theirs.wave, atol=1e-4, rtol=1e-3)


def test_recording_changes_nothing() -> None:
    """Nobody takes part in it. (Keys and values stand where the next step will write, and nobody sees them before.)"""
    state, fresh = stepper(moshi(), 3, torch.device("cpu"), Tape()).state, moshi().state(3, whole=True)
    caches = state.dialogue.cache, state.mimi.encoder.transformer, state.mimi.decoder.transformer
    rings = {id(ring) for cache in caches for ring in (cache.k, cache.v)}
    for ours, new in zip(tensors(state), tensors(fresh), strict=True):
        assert id(ours) in rings or torch.equal(ours, new)


def test_the_smallest_size_that_reaches_the_highest_row_is_run() -> None:
    model = moshi()
    steps = stepper(model, 11, torch.device("cpu"), Tape())
    assert isinstance(steps, Recorded)
    assert steps.sizes == powers(11) == [1, 2, 4, 8, 11]
    assert [steps.width(rows) for rows in ([0], [1], [0, 2], [7], [3, 8])] == [1, 2, 4, 8, 11]
    ran: list[int] = []
    steps._runs = {size: lambda size=size: ran.append(size) for size in steps.sizes}  # type: ignore[misc]
    for rows in ([0], [5], [10, 0]):
        assert len(steps.step(rows, torch.zeros(len(rows), model.frame)).ready) == len(rows)
    assert ran == [1, 8, 11]


def test_a_late_row_keeps_what_it_had_to_the_bit() -> None:
    model = moshi()
    steps = stepper(model, 2, torch.device("cpu"), Tape())
    for row, seed in ((0, 1), (1, 2)):
        model.reset(steps.state, Rows.of([row]), [seed])
    for _ in range(4):
        steps.step([0, 1], 0.1 * torch.ones(2, model.frame))
    at = steps.state.mimi.decoder.transformer.position[0], steps.state.dialogue.columns.offset[0]
    before = [tensor[:1].clone() for tensor in tensors(steps.state.mimi.encoder.seanet)]
    steps.step([1], torch.ones(1, model.frame))
    assert all(torch.equal(a, b[:1]) for a, b in zip(before, tensors(steps.state.mimi.encoder.seanet), strict=True))
    assert (int(at[0]), int(at[1])) == (3 * MIMI.steps, 4), "the codec's voice begins a frame later"
    assert int(steps.state.dialogue.columns.offset[1]) == 5


def test_rows_of_rows_take_part_as_they_did() -> None:
    rows, state = Rows.of([3, 1, 0]), torch.zeros(4, 2)
    assert rows.where(torch.ones(3, dtype=torch.bool)) is rows, "nothing to be masked"
    some = rows.where(torch.tensor([True, False, True]))
    assert not some.known
    for each in (some.pick([0, 1]), some.where(torch.tensor([True, True, False]))):
        state.zero_()
        each.put(state, torch.ones(len(each), 2))
        each.fill(state[:, :1], 5)
        assert state.tolist() == [[0, 0], [0, 0], [0, 0], [5, 1]]


def test_a_row_whose_numbers_broke_is_whole_again_for_the_next_seat() -> None:
    """Also where whole rings are attended to: a mask does not hide what is no number."""
    place = hall(moshi(), 2, Tape())
    place.join(1, manner="kyutai")
    place.join(2, manner="kyutai")
    for n in range(12):
        for seat in (1, 2):
            place.tell(Sound(seat, sound(n)))
        if n == 4:
            for cache in (place.engine._state.dialogue.cache, place.engine._state.mimi.decoder.transformer):
                for ring in (*cache.k, *cache.v):
                    ring[0] = float("nan")
        if n == 6:
            place.join(3, manner="kyutai")
        if n >= 6:
            place.tell(Sound(3, sound(n)))
        place.engine.tick()
        place.now += 0.04
    assert [event.seat for event in place.of(Lost)] == [1]
    assert len(place.said(2)) > 9
    assert len(place.said(3)) > 3
    assert place.engine._seats.guests[3].row == 0


# -- what costs what --------------------------------------------------------------------------------------------


def test_steps_together_cost_what_the_next_measured_size_costs() -> None:
    pace = Pace(0.08, together=True)
    for rows, seconds in ((1, 0.005), (8, 0.01), (32, 0.03)):
        pace.measured(rows, seconds)
    assert [pace.cost(rows) for rows in (1, 2, 8, 9, 32)] == [0.005, 0.01, 0.01, 0.03, 0.03]
    assert [pace.beats(seats) for seats in (1, 8, 9, 32)] == [8, 4, 1, 1], "a beat's step costs what one of all costs"
    alone = Pace(0.08)
    for rows, seconds in ((1, 0.005), (8, 0.01), (32, 0.03)):
        alone.measured(rows, seconds)
    assert alone.beats(32) == 4


def test_a_seat_in_a_high_row_is_no_load() -> None:
    """Its step costs what its row asks for, and is expected to."""
    ticks = [0.0]
    place = hall(moshi(), 4, Tape())
    place.engine.pace.measure(4, lambda size: 0.001 * size)
    place.engine._now = lambda: place.now
    run = place.engine._stepper.step

    def step(rows: Any, wave: Tensor) -> Any:
        place.now += 0.001 * place.engine._stepper.width(rows)
        ticks.append(place.engine._stepper.width(rows))
        return run(rows, wave)

    place.engine._stepper.step = step  # type: ignore[method-assign]
    for seat in (1, 2, 3, 4):
        place.join(seat, manner="kyutai")
    for seat in (1, 2, 3):
        place.tell(Leave(seat))
    for n in range(70):
        place.tell(Sound(4, sound(n)))
        place.engine.tick()
        place.now += 0.04
    assert set(ticks[1:]) == {4}
    assert place.engine.pace.load == pytest.approx(1.0)


# -- where it cannot be done ------------------------------------------------------------------------------------


class OutOfMemory:
    graphs = True
    bytes = 0

    def __init__(self) -> None:
        self.asked: list[int] = []

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        self.asked.append(1)
        if len(self.asked) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB\nand much more")
        return work


def test_what_cannot_be_captured_is_launched_and_it_is_said_once() -> None:
    model = moshi()
    with structlog.testing.capture_logs() as said:
        steps = stepper(model, 4, torch.device("cpu"), OutOfMemory())
    [line] = said
    assert line["log_level"] == "warning"
    assert "kernel by kernel" in line["event"]
    assert line["error"].endswith("20.00 GiB"), "one line"
    assert not steps.recorder.graphs
    other = stepper(model, 4, torch.device("cpu"), Tape())
    for _ in range(9):
        wave = 0.3 * torch.randn(2, model.frame)
        a, b = steps.step([0, 3], wave), other.step([0, 3], wave)
        assert (a.text, a.ready, a.inclined) == (b.text, b.ready, b.inclined)
        torch.testing.assert_close(a.wave, b.wave, atol=1e-5, rtol=1e-4)


def test_a_cpu_steps_by_rows_and_a_gpu_is_told_whether_to_capture() -> None:
    assert recorder(torch.device("cpu"), True) is None
    assert isinstance(recorder(torch.device("cuda"), False), Launched)
    assert isinstance(stepper(moshi(), 2, torch.device("cpu")), ByRows)
    assert isinstance(stepper(Parrot(), 2, torch.device("cpu"), Tape()), ByRows), "not every model can be captured"


# -- what would hinder a capture --------------------------------------------------------------------------------


def nowhere(config: MoshiConfig, codec_config: MimiConfig) -> Moshi:
    """A model of no memory, in the types that are served."""
    language = unfilled(lambda: MoshiLM(config), "meta", torch.bfloat16)
    codec = unfilled(lambda: Mimi(codec_config), "meta", torch.float32)
    codec.quantizer.settle()
    return Moshi(codec, Dialogue(language))


@pytest.mark.parametrize(
    ("config", "codec"),
    [(MoshiConfig(), MimiConfig()), (personaplex(replace(LM, dep_q=LM.n_q)), MIMI)],
    ids=["published Moshi", "small PersonaPlex"],
)
def test_nothing_in_a_step_looks_at_the_device_or_brings_anything_to_it(config: MoshiConfig, codec: MimiConfig) -> None:
    """With 64 rows; on torch's "meta" device, which holds no numbers."""
    model, watched = nowhere(config, codec), Watched()
    steps = Recorded(model, model.frame, 64, [64], torch.device("meta"), watched)
    assert steps.recorder is watched, "no exception was turned into a fallback"
    assert watched.operations > 500


@pytest.mark.parametrize(
    "offence",
    [
        lambda said: said.text[0].item(),
        lambda said: said.ready.tolist(),
        lambda said: said.wave[said.ready],
        lambda said: said.ready.nonzero(),
        lambda said: bool(said.ready.any()),
        lambda said: torch.tensor([1, 2], device=said.wave.device),
        lambda said: said.wave.cpu(),
        lambda said: said.text + torch.zeros(1, dtype=torch.int64).to(said.text.device),
    ],
)
def test_what_would_hinder_it_is_found(offence: Callable[[Any], Any]) -> None:
    class Offending(Moshi):
        def advance(self, state, rows, wave, said=None):  # type: ignore[no-untyped-def]
            out = super().advance(state, rows, wave, said)
            offence(out)
            return out

    model = nowhere(LM, MIMI)
    small = Offending(model.mimi, model.dialogue)
    with structlog.testing.capture_logs() as said:
        steps = Recorded(small, small.frame, 2, [2], torch.device("meta"), Watched())
    assert [line["log_level"] for line in said] == ["warning"]
    assert not steps.recorder.graphs


def test_a_recorded_state_is_as_large_as_one_by_rows() -> None:
    assert state_bytes(moshi().state(3, whole=True)) == state_bytes(moshi().state(3))
