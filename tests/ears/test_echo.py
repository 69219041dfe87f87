"""The canceller takes out what was played and leaves what was not."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duologue.audio import RATE, Wave, samples
from duologue.audio.level import loudness
from duologue.ears.echo import FRAME, EchoCanceller, NoCanceller
from duologue.ears.echo_path import EchoPath
from duologue.ears.voice import Onset, VoiceActivity
from duologue.measure.voices import noise, speak

REPLY = (
    "Once upon a time there was a fox who lived at the edge of a forest, and went to the river every morning, "
    "and came home over the old stone bridge every night."
)

WALLS = np.random.default_rng(0).standard_normal(samples(0.1)) * 0.5 ** (np.arange(samples(0.1)) / samples(0.01))
WALLS /= np.linalg.norm(WALLS)


@pytest.fixture(scope="module")
def played() -> Wave:
    wave = speak(REPLY, "slt").wave
    return wave * np.float32(10 ** ((-15 - loudness(wave)) / 20))


def echo_of(played: Wave, delay: float = 0.05) -> Wave:
    """The loudspeaker as the microphone hears it, in a quiet room."""
    reaching = np.convolve(np.tanh(played), WALLS)[: len(played)]
    late = np.concatenate((np.zeros(samples(delay)), reaching))[: len(played)]
    return (late + noise(len(played), -65)).astype(np.float32)


def voices(wave: Wave) -> list[float]:
    """When voices begin, in seconds."""
    activity = VoiceActivity()
    activity.hear(wave)
    return [event.at / RATE for event in activity.events(until=len(wave)) if isinstance(event, Onset)]


def power(wave: Wave) -> float:
    return float(np.square(wave).mean())


def cancelled(played: Wave, heard: Wave) -> Wave:
    canceller = EchoCanceller()
    canceller.far(played)
    return canceller.near(heard)


@pytest.mark.parametrize("delay", [0.01, 0.05, 0.2, 0.35])
def test_a_voice_from_the_loudspeaker_is_none(played: Wave, delay: float) -> None:
    """Also where the delay is longer than the linear filter reaches."""
    heard = echo_of(played, delay)
    assert voices(heard)
    clean = cancelled(played, heard)
    assert not voices(clean)
    assert power(clean[RATE:]) < 0.01 * power(heard[RATE:])


def test_a_person_passes_when_nothing_is_played() -> None:
    person = speak("What time is it?", "rms").wave
    clean = cancelled(np.zeros_like(person), person)
    assert len(voices(clean)) == len(voices(person)) == 1
    assert loudness(clean) == pytest.approx(loudness(person), abs=3)


@pytest.mark.parametrize("voice", ["rms", "awb", "kal16"])
def test_a_word_spoken_over_a_reply_just_as_loud_is_noticed_and_whole(played: Wave, voice: str) -> None:
    spoken = speak("Stop.", voice)
    word = spoken.wave[spoken.start : spoken.end]
    word = word * np.float32(10 ** ((loudness(played) - loudness(word)) / 20))
    heard = echo_of(played)
    at = samples(6.0)
    heard[at : at + len(word)] += word
    clean = cancelled(played, heard)
    assert len(voices(clean)) == 1
    assert 5.9 < voices(clean)[0] < 6.3
    # What is left of the word is the word: it correlates with what was said, which the echo does not.
    said, left = word, clean[at : at + len(word)]
    assert np.dot(said, left) / np.linalg.norm(said) / np.linalg.norm(left) > 0.8


def test_a_knock_on_the_table_opens_no_door_for_the_echo(played: Wave) -> None:
    heard = echo_of(played)
    at = samples(6.0)
    heard[at : at + 500] += 0.1 * np.random.default_rng(1).standard_normal(500) * 0.99 ** np.arange(500)
    clean = cancelled(played, heard)
    assert not voices(clean)
    after = at + samples(0.3)
    assert power(clean[after:]) < 0.01 * power(heard[after:])


def test_the_path_learns_an_echo_and_is_not_spoilt_by_a_person() -> None:
    sound = noise(20 * FRAME * 10, -20, colour="white")
    walls = np.zeros(3 * FRAME)
    walls[100], walls[500] = 0.5, -0.3
    echo = np.convolve(sound, walls)[: len(sound)].astype(np.float32)
    person = np.zeros_like(sound)
    person[-50 * FRAME :] = speak("Hello.", "rms").wave[samples(0.3) :][: 50 * FRAME]
    path = EchoPath(FRAME, 4)
    rest = [
        path.step(sound[at : at + FRAME], echo[at : at + FRAME] + person[at : at + FRAME])[1]
        for at in range(0, len(sound), FRAME)
    ]
    alone = np.concatenate(rest[50:150])
    assert power(alone) < 0.001 * power(echo)
    spoken_over = np.concatenate(rest[150:]) - person[-50 * FRAME :]
    assert power(spoken_over) < 0.1 * power(person[-50 * FRAME :])


@settings(max_examples=15)
@given(
    far=st.lists(st.integers(0, 3 * FRAME), min_size=1, max_size=30),
    near=st.lists(st.integers(0, 3 * FRAME), min_size=1, max_size=30),
    interleaved=st.booleans(),
)
def test_any_chunking_is_the_same(far: list[int], near: list[int], interleaved: bool) -> None:
    """Also where one side comes long before the other: a step is taken when both are there."""
    length = min(sum(far), sum(near)) // FRAME * FRAME
    played = noise(sum(far), -25, seed=1)
    heard = noise(sum(near), -30, seed=2)
    canceller = EchoCanceller()
    parts: list[Wave] = []
    chunks = [("far", at, size) for at, size in enumerate(far)] + [("near", at, size) for at, size in enumerate(near)]
    if interleaved:
        chunks.sort(key=lambda chunk: chunk[1])
    done = {"far": 0, "near": 0}
    for side, _, size in chunks:
        start = done[side]
        done[side] += size
        if side == "far":
            canceller.far(played[start : start + size])
        else:
            parts.append(canceller.near(heard[start : start + size]))
    parts.append(canceller.near(np.zeros(0, np.float32)))
    np.testing.assert_array_equal(np.concatenate(parts), cancelled(played[:length], heard[:length]))


def test_without_the_wheel_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "livekit", None)
    with pytest.raises(NoCanceller, match=r'pip install "duologue\[terminal\]"'):
        EchoCanceller()
