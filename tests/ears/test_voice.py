"""Voice activity on real speech: where it begins and pauses, in any chunking."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duologue.audio import RATE, Wave, samples
from duologue.ears.silero import FRAME, Silero
from duologue.ears.voice import Onset, Pause, VoiceActivity, VoiceEvent
from duologue.measure.voices import noise, speak


def scene(text: str, voice: str, lead: float = 1.0, tail: float = 1.0) -> tuple[Wave, int, int]:
    """(speech in a quiet room, start of the voice, end of the voice)."""
    spoken = speak(text, voice)
    lead_, tail_ = samples(lead), samples(tail)
    wave = np.concatenate((np.zeros(lead_, np.float32), spoken.wave, np.zeros(tail_, np.float32)))
    return wave + noise(len(wave), -65.0), lead_ + spoken.start, lead_ + spoken.end


def push(activity: VoiceActivity, wave: Wave) -> list[VoiceEvent]:
    activity.hear(wave)
    return activity.events(until=10**9)


def follow(wave: Wave, cuts: list[int]) -> list[VoiceEvent]:
    activity = VoiceActivity()
    found: list[VoiceEvent] = []
    for piece in np.split(wave, sorted(cuts)):
        found += push(activity, piece)
    return found


@pytest.mark.parametrize("voice", ["slt", "rms", "awb", "kal16"])
def test_onset_and_pause_are_where_the_voice_is(voice: str) -> None:
    wave, start, end = scene("what time is it in london now", voice)
    activity = VoiceActivity()
    reported: dict[type, tuple[int, int]] = {}
    for at in range(0, len(wave), 480):
        for event in push(activity, wave[at : at + 480]):
            if not (isinstance(event, Onset) and Onset in reported):
                reported[type(event)] = (event.at, at + 480)
    onset, heard = reported[Onset]
    assert abs(onset - start) < samples(0.06)
    assert heard - start < samples(0.20), "a voice is noticed soon"
    pause, noticed = reported[Pause]
    assert abs(pause - end) < samples(0.08)
    assert noticed - end < samples(0.22), "its end is, too"


def test_noise_is_no_voice() -> None:
    for colour in ("white", "pink"):
        activity = VoiceActivity()
        assert not push(activity, noise(10 * RATE, -30.0, colour=colour)), colour


def test_events_alternate_and_positions_ascend() -> None:
    wave = np.concatenate([scene(text, "slt", 0.3, 0.5)[0] for text in ("hello there", "go on please", "stop")])
    found = follow(wave, [])
    assert [type(event) for event in found] == [Onset, Pause] * 3
    assert [event.at for event in found] == sorted(event.at for event in found)


SHORT = scene("tell me a joke", "kal16", 0.3, 0.4)[0]


@settings(max_examples=25)
@given(st.lists(st.integers(0, len(SHORT)), max_size=40))
def test_any_chunking_gives_the_same_events(cuts: list[int]) -> None:
    assert follow(SHORT, cuts) == follow(SHORT, [])


@settings(max_examples=10)
@given(st.lists(st.lists(st.integers(0, len(SHORT)), max_size=8), min_size=2, max_size=5))
def test_streams_that_are_judged_together_are_judged_as_if_alone(cuts: list[list[int]]) -> None:
    """Each hears the same in its own pieces; only one of them asks in between."""
    activities = [VoiceActivity() for _ in cuts]
    pieces = [np.split(SHORT, sorted(each)) for each in cuts]
    found: list[list[VoiceEvent]] = [[] for _ in cuts]
    for turn in range(max(len(each) for each in pieces)):
        for n, activity in enumerate(activities):
            if turn < len(pieces[n]):
                activity.hear(pieces[n][turn])
        found[turn % len(cuts)] += activities[turn % len(cuts)].events(until=10**9)
    for n, activity in enumerate(activities):
        found[n] += activity.events(until=10**9)
    assert found == [follow(SHORT, [])] * len(cuts)


def told(wave: Wave, slack: int = 0) -> list[tuple[int, VoiceEvent]]:
    """Every event, and how much was heard when it was told."""
    activity, found = VoiceActivity(slack=slack), []
    for at in range(0, len(wave), 480):
        activity.hear(wave[at : at + 480])
        found += [(at + 480, event) for event in activity.events(at + 480)]
    return found


@pytest.mark.parametrize("gain", [1.0, 0.1, 0.02])
@pytest.mark.parametrize("room", [-65.0, -45.0])
def test_that_the_quiet_waits_changes_no_event_nor_when_it_is_told(
    gain: float, room: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    waves = []
    for voice in ("slt", "kal16"):
        spoken = scene("sh stop it", voice, 0.8, 0.4)[0] * np.float32(gain)
        waves.append(spoken + noise(len(spoken), room))
    patient = [told(wave) for wave in waves]
    monkeypatch.setattr(VoiceActivity, "_may_wait", False)
    assert patient == [told(wave) for wave in waves]
    assert all(patient) or gain < 0.1


@pytest.mark.parametrize("slack", [1, 3])
def test_slack_changes_no_event_and_how_late_it_is_told_by_no_more_than_that(slack: int) -> None:
    wave = np.concatenate((SHORT, noise(RATE // 2, -65.0)))
    before, after = told(wave), told(wave, slack)
    assert [event for _, event in after] == [event for _, event in before]
    assert before
    for (soon, _), (late, _) in zip(before, after, strict=True):
        assert 0 <= late - soon <= (slack + 1) * FRAME


def test_idle_lines_share_their_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 lines, out of step, for three seconds in a quiet room."""
    network, runs = Silero(), []
    run = network._run
    monkeypatch.setattr(network, "_run", lambda streams: (runs.append(len(streams)), run(streams)))
    lines = [VoiceActivity(network) for _ in range(16)]
    room = noise(3 * RATE, -65.0)
    for at in range(0, len(room), 480):
        for n, line in enumerate(lines):
            step = slice(max(at - 30 * n, 0), at - 30 * n + 480)
            line.hear(room[step])
            assert not line.events(step.stop)
    frames = len(room) // 768
    assert len(runs) < 1.3 * frames, "about as many runs as one line would need"
    assert sum(runs) > 15 * frames, "and nobody lags behind"


def test_decisions_wait_for_their_time() -> None:
    activity, asked = VoiceActivity(), []
    activity.hear(SHORT)
    for until in range(0, len(SHORT), 100):
        asked += activity.events(until)
        assert activity.until <= until
    asked += activity.events(len(SHORT))
    assert asked == follow(SHORT[: activity.until], [])


def test_thresholds_are_probabilities() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        VoiceActivity(threshold=1.5)
