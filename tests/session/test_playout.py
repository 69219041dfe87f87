"""Pacing: a small lead, silence within it after a pause, and a true account of what was heard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.audio import RATE, samples, seconds
from duologue.session.playout import HOP, Playout

LEAD = samples(0.16)


def tone(duration: float) -> np.ndarray:
    return np.full(samples(duration), 0.1, np.float32)


def play(playout: Playout, until: float, start: float = 0.0, step: float = 0.02) -> list[tuple[float, int, str]]:
    """Poll like a driver; (time, samples, text) of everything that left."""
    left, now = [], start
    while now < until:
        left += [(now, 0 if p.wave is None else len(p.wave), p.text) for p in playout.due(now)]
        now += step
    return left


def test_audio_leaves_at_most_the_lead_ahead_of_real_time() -> None:
    playout = Playout(LEAD)
    playout.push("one two three four", tone(3.0))
    playout.complete = True
    playout.release()
    sent = 0
    for now, count, _ in play(playout, 4.0):
        sent += count
        assert sent <= samples(now) + LEAD + 1
    assert sent == samples(3.0)
    assert playout.drained


def test_nothing_leaves_while_held() -> None:
    playout = Playout(LEAD)
    playout.push("hello", tone(1.0))
    assert not play(playout, 1.0)
    assert playout.next_due() is None


def test_after_a_pause_the_listener_hears_silence_within_the_lead_and_the_rest_comes_without_a_scar() -> None:
    playout = Playout(LEAD)
    wave = np.linspace(-0.5, 0.5, samples(2.0), dtype=np.float32)
    playout.push("a b c d e f", wave)
    playout.complete = True
    playout.release()
    first = [p.wave for now in np.arange(0, 0.5, 0.02) for p in playout.due(float(now))]
    playout.paused = True
    assert playout.played_out(0.5) - 0.5 <= seconds(LEAD)
    assert not playout.due(1.0)
    playout.paused = False
    rest = [p.wave for now in np.arange(2.0, 4.0, 0.02) for p in playout.due(float(now))]
    np.testing.assert_array_equal(np.concatenate(first + rest), wave)


def test_what_was_heard_is_what_was_sent_less_what_is_still_playing() -> None:
    playout = Playout(LEAD)
    playout.push("alpha beta gamma delta", tone(2.0), ((samples(0.5), 5), (samples(1.0), 10), (samples(1.5), 16)))
    playout.release()
    play(playout, 1.1)
    heard, chars = playout.heard(1.1)
    assert heard == pytest.approx(samples(1.1), abs=HOP)
    assert playout.text[:chars] == "alpha beta"
    assert playout.heard(9.0)[0] == playout.sent


def test_text_without_sound_leaves_at_once() -> None:
    playout = Playout(LEAD)
    playout.push("only words", None)
    playout.complete = True
    playout.release()
    assert [p.text for p in playout.due(0.0)] == ["only words"]
    assert playout.drained


def test_unpaced_everything_leaves_at_once() -> None:
    playout = Playout(None)
    playout.push("all of it", tone(5.0))
    playout.release()
    assert sum(len(p.wave) for p in playout.due(0.0) if p.wave is not None) == 5 * RATE
    assert playout.heard(0.0) == (5 * RATE, 9)


deltas = st.lists(st.tuples(st.text("abc ", max_size=12), st.integers(0, 9000)), min_size=1, max_size=6)


@given(deltas, st.lists(st.tuples(st.floats(0.0, 0.3), st.booleans()), max_size=40), st.sampled_from([LEAD, None]))
def test_nothing_is_lost_or_reordered_whatever_the_timing(
    pushed: list[tuple[str, int]], polls: list[tuple[float, bool]], lead: int | None
) -> None:
    playout = Playout(lead)
    rng = np.random.default_rng(0)
    waves = [rng.uniform(-1, 1, n).astype(np.float32) for _, n in pushed]
    for (text, _), wave in zip(pushed, waves, strict=True):
        playout.push(text, wave)
    playout.complete = True
    playout.release()
    now, out, text, last = 0.0, [], "", 0
    for gap, paused in [*polls, (100.0, False), *[(0.02, False)] * 200]:
        now += gap
        playout.paused = paused
        for piece in playout.due(now):
            text += piece.text
            assert piece.said >= last, "what is said only grows"
            assert len(text) >= piece.said, "the transcript never lags behind the sound"
            last = piece.said
            if piece.wave is not None:
                out.append(piece.wave)
        heard, chars = playout.heard(now)
        assert 0 <= heard <= playout.sent
        assert chars <= last
    assert playout.drained
    assert text == "".join(t for t, _ in pushed)
    total = np.concatenate([*waves, np.zeros(0, np.float32)])
    np.testing.assert_array_equal(np.concatenate([*out, np.zeros(0, np.float32)]), total)
