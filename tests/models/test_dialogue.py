"""Moshi's loop: sessions alone and in company, what is given, and the columns."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from duologue.models.columns import UNGENERATED
from duologue.models.moshi import Dialogue, Moshi, MoshiLM, Step
from duologue.models.moshi_config import PAD, MoshiConfig
from duologue.models.personaplex import personaplex
from duologue.nn.linear import pack
from duologue.nn.rows import Rows
from duologue.nn.sampling import Sampling

from .tiny import LM, MIMI, lm, mimi

STEPS = 18  # more than twice the ring
HEARD = torch.randint(0, LM.card, (4, STEPS, LM.heard), generator=torch.Generator().manual_seed(3))


def dialogue(model: MoshiLM) -> Dialogue:
    return Dialogue(model, Sampling(0.9, 8), Sampling(0.9, 6))


PLAIN = dialogue(lm())


def session(which: Dialogue, heard: Tensor, seed: int) -> list[Step]:
    """One session by itself."""
    state, row = which.state(1), Rows.of([0])
    state.seeds[0] = seed
    return [which.step(state, row, codes[None]) for codes in heard]


ALONE = [session(PLAIN, heard, seed) for seed, heard in enumerate(HEARD)]


@given(data=st.data(), packed=st.booleans())
@settings(max_examples=30)
def test_sessions_join_leave_and_begin_anew_as_if_alone(data: st.DataObject, packed: bool) -> None:
    """Sampled tokens are those of the session alone, logits within float noise, whoever else is there."""
    which = PACKED if packed else PLAIN
    state = which.state(3)
    plays, at = [0, 1, 2], [0, 0, 0]
    state.seeds[:3] = torch.tensor(plays)
    for _ in range(data.draw(st.integers(1, 40))):
        for n in data.draw(st.sets(st.integers(0, 2), max_size=1)):
            if at[n] < STEPS and data.draw(st.integers(0, 3)):
                continue  # rarely in the middle
            state.reset(Rows.of([n]))
            plays[n], at[n] = data.draw(st.integers(0, 3)), 0
            state.seeds[n] = plays[n]
        running = sorted(n for n in data.draw(st.sets(st.integers(0, 2), min_size=1)) if at[n] < STEPS)
        if not running:
            continue
        order = data.draw(st.permutations(running))
        step = which.step(state, Rows.of(order), torch.stack([HEARD[plays[n], at[n]] for n in order]))
        for place, n in enumerate(order):
            want = ALONE[plays[n]][at[n]]
            assert torch.equal(step.frame[place], want.frame[0])
            assert torch.equal(step.column[place], want.column[0])
            assert step.ready[place] == want.ready[0]
            torch.testing.assert_close(step.text_logits[place], want.text_logits[0], atol=1e-5, rtol=1e-5)
            for ours, theirs in zip(step.audio_logits, want.audio_logits, strict=True):
                torch.testing.assert_close(ours[place], theirs[0], atol=1e-5, rtol=1e-5)
            at[n] += 1


def packed_copy() -> Dialogue:
    model = lm()
    pack(model)
    return dialogue(model)


PACKED = packed_copy()


def test_a_seed_is_a_session() -> None:
    again, other = session(PLAIN, HEARD[0], 0), session(PLAIN, HEARD[0], 99)
    assert all(torch.equal(a.frame, b.frame) for a, b in zip(again, ALONE[0], strict=True))
    assert any(not torch.equal(a.frame, b.frame) for a, b in zip(other, ALONE[0], strict=True))


def test_a_frame_comes_back_with_its_delays_undone() -> None:
    steps = ALONE[1]
    assert [step.ready[0] for step in steps] == [False] + [True] * (STEPS - 1)
    assert (steps[0].frame == UNGENERATED).all()
    for before, now in pairwise(steps):
        spoken = torch.cat([before.text, before.codes[0, :1], now.codes[0, 1:]])
        assert torch.equal(now.frame[0], spoken)


def test_the_first_frame_heard_is_never_seen() -> None:
    other = HEARD[0].clone()
    other[0] += 1
    assert all(
        torch.equal(a.column, b.column)
        for a, b in zip(session(PLAIN, other % LM.card, 0), ALONE[0], strict=True)
    )


def test_what_is_given_stands_and_only_the_rest_is_chosen() -> None:
    """The agent is made to be silent for some steps; the columns hold what it was given."""
    state, row = PLAIN.state(1), Rows.of([0])
    said = (torch.tensor([PAD]), torch.tensor([[5, 6, 7]]))
    steps = [
        PLAIN.step(state, row, codes[None], said if 4 <= t < 9 else None) for t, codes in enumerate(HEARD[0])
    ]
    # Delayed codes of a given frame stand one column later.
    for t in range(6, 9):
        assert steps[t].frame[0].tolist() == [PAD, 5, 6, 7]
        assert not steps[t].audio_logits, "nothing was left to choose"
    assert steps[4].text.tolist() == [PAD]
    assert steps[4].codes[0, 0] == 5
    assert len(steps[4].audio_logits) == LM.dep_q
    assert [len(step.audio_logits) for step in steps[10:]] == [LM.dep_q] * (STEPS - 10)


def test_what_was_given_dies_with_the_session() -> None:
    """Its delayed codes still lie ahead when the row begins anew."""
    state, row = PLAIN.state(1), Rows.of([0])
    for codes in HEARD[0, :2]:
        PLAIN.step(state, row, codes[None], (torch.tensor([PAD]), torch.tensor([[5, 6, 7]])))
    state.reset(row)
    for codes, want in zip(HEARD[0], ALONE[0], strict=True):
        assert torch.equal(PLAIN.step(state, row, codes[None]).codes, want.codes)


def test_depth_steps_that_no_longer_matter_are_not_taken() -> None:
    """PersonaPlex predicts the person's codes too, and they are always given."""
    config = personaplex(replace(LM, dep_q=LM.n_q))
    which = dialogue(lm(config))
    state, row = which.state(1), Rows.of([0])
    steps = [which.step(state, row, codes[None]) for codes in HEARD[0]]
    assert {len(step.audio_logits) for step in steps[1:]} == {LM.spoken}
    for t in range(2, STEPS):  # heard a step later, delays undone
        assert torch.equal(steps[t].frame[0, 1 + LM.spoken :], HEARD[0, t - 1])


def test_the_model_on_waves() -> None:
    """The whole of it as the contract has it: rows, readiness, seeds, shapes."""
    config = MoshiConfig(**{f: getattr(LM, f) for f in LM.__slots__} | {"card": MIMI.entries})
    moshi = Moshi(mimi(), dialogue(lm(config)), "▁p{}".format)
    wave = torch.randn(6, 3, moshi.frame, generator=torch.Generator().manual_seed(2)) * 0.2
    state = moshi.state(3)
    moshi.reset(state, Rows.of([0, 2]), [8, 9])
    both = [moshi.step(state, Rows.of([2, 0]), frames[[2, 0]]) for frames in wave[:3]]
    late = moshi.step(state, Rows.of([0, 1]), wave[3, [0, 1]])  # one in the middle, one at its start
    assert late.ready == (True, False)
    assert late.wave.shape == (2, moshi.frame)
    assert late.text[1] is None
    assert not late.wave[1].any()

    again = moshi.state(1)
    moshi.reset(again, Rows.of([0]), [8])
    for t in range(3):
        frames = moshi.step(again, Rows.of([0]), wave[t, :1])
        torch.testing.assert_close(frames.wave[0], both[t].wave[1], atol=1e-5, rtol=1e-4)
        assert frames.text[0] == both[t].text[1]
    assert moshi.text(5) == " p5"
    with pytest.raises(ValueError, match=f"2 × {moshi.frame} samples"):
        moshi.step(state, Rows.of([0, 1]), wave[0])


def test_codes_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="1 rows × 3 codebooks"):
        PLAIN.step(PLAIN.state(1), Rows.of([0]), HEARD[0, :1, :2])
