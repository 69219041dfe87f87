"""Mouths speak: real flite, real espeak-ng, and what happens when they break."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from duologue.audio import RATE, samples
from duologue.audio.level import first_audible, last_audible, loudness
from duologue.backends.pocket.mouth import MOUTHS, Mouth, MouthError, Speech, choose_mouth
from duologue.backends.pocket.mouth.espeak import Espeak
from duologue.backends.pocket.mouth.flite import Flite
from duologue.backends.pocket.mouth.remembering import Remembering
from duologue.backends.pocket.mouth.speech import LONGEST, finished, silent

SENTENCE = "The time is ten past four in the afternoon."


@pytest.fixture(params=["flite", "espeak"])
async def mouth(request: pytest.FixtureRequest) -> AsyncIterator[Mouth]:
    made = MOUTHS[request.param]()
    yield made
    await made.close()


async def test_every_voice_is_trimmed_and_equally_loud(mouth: Mouth) -> None:
    for voice in mouth.voices:
        speech = await mouth.say(SENTENCE, voice=voice, speed=1.0)
        wave = speech.wave
        assert wave.dtype == np.float32
        assert 1.8 < len(wave) / RATE < 4.0, voice
        assert -21.0 < loudness(wave) < -19.0, voice
        assert np.abs(wave).max() <= 0.98, voice
        start, end = first_audible(wave), last_audible(wave)
        assert start is not None
        assert end is not None
        assert start <= samples(0.01), voice
        assert len(wave) - end <= samples(0.025), voice


async def test_marks_ascend_and_cover_the_text(mouth: Mouth) -> None:
    for text in (SENTENCE, "Is it 4:10? I think so: £3.50, “naïve”  words\tand… more!", "Yes", "1234567"):
        speech = await mouth.say(text, voice=mouth.voices[0], speed=1.0)
        at, chars = zip(*speech.marks, strict=True)
        assert list(at) == sorted(set(at)), text
        assert list(chars) == sorted(set(chars)), text
        assert speech.marks[-1] == (len(speech.wave), len(text))
        assert at[0] > 0
        assert all(end == len(text) or text[end].isspace() for end in chars), text


async def test_words_end_when_they_are_said(mouth: Mouth) -> None:
    """The pause of a comma lies where the marks say that the word before it has ended."""
    text = "Seventeen elephants, nine."
    speech = await mouth.say(text, voice=mouth.voices[0], speed=1.0)
    said = {chars: at for at, chars in speech.marks}
    comma = said[len("Seventeen elephants,")]
    quiet = np.abs(np.lib.stride_tricks.sliding_window_view(speech.wave, samples(0.05))[:: samples(0.01)]).max(axis=1)
    inner = quiet[20:-20]
    pause = (int(np.argmin(inner)) + 20) * samples(0.01)
    assert abs(comma - pause) < samples(0.2)


async def test_speed_stretches_the_voice(mouth: Mouth) -> None:
    normal, fast, slow = [
        len((await mouth.say(SENTENCE, voice=mouth.voices[0], speed=speed)).wave) for speed in (1.0, 1.5, 0.5)
    ]
    assert 1.25 < normal / fast < 1.7
    assert 1.7 < slow / normal < 2.2


async def test_every_name_leads_to_a_voice_and_always_to_the_same(mouth: Mouth) -> None:
    for name in (*mouth.voices, "alloy", "marin", "cedar", "ash", "ballad", "verse", "", "nobody", "ALLOY "):
        assert mouth.voice(name) in mouth.voices
        assert mouth.voice(name) == mouth.voice(name.upper())
    assert mouth.voice(mouth.voices[-1]) == mouth.voices[-1]
    assert mouth.voice("marin") != mouth.voice("cedar")
    assert mouth.voice("nobody") == mouth.voices[0]


async def test_hostile_text_is_spoken_not_obeyed(mouth: Mouth, tmp_path: Path) -> None:
    target = tmp_path / "made"
    text = f"-o {target} $(touch {target}); `touch {target}` \x00\x01\x0c <mark name='x'/> [[h@l'oU]] end"
    speech = await mouth.say(text, voice=mouth.voices[0], speed=1.0)
    assert len(speech.wave) > RATE
    assert speech.marks[-1][1] == len(text)
    assert not target.exists()


@pytest.mark.parametrize("text", ["", "…", "?!", "你好", "\x00"])
async def test_what_has_no_sound_is_silent(mouth: Mouth, text: str) -> None:
    speech = await mouth.say(text, voice=mouth.voices[0], speed=1.0)
    assert len(speech.wave) == 0
    assert speech.marks == ((0, len(text)),)


async def test_a_huge_text_is_refused(mouth: Mouth) -> None:
    with pytest.raises(MouthError, match="too long"):
        await mouth.say("word " * LONGEST, voice=mouth.voices[0], speed=1.0)


async def test_many_clauses_at_once(mouth: Mouth) -> None:
    texts = [f"This is number {n}." for n in range(12)]
    made = await asyncio.gather(*(mouth.say(text, voice=mouth.voices[0], speed=1.0) for text in texts))
    again = [await mouth.say(text, voice=mouth.voices[0], speed=1.0) for text in texts]
    for one, other in zip(made, again, strict=True):  # espeak-ng's breath noise goes on from clause to clause
        assert abs(len(one.wave) - len(other.wave)) < samples(0.05)
        assert one.marks[-1][1] == other.marks[-1][1]


# -- what is not there, and what breaks ------------------------------------------------------------------


def test_without_a_synthesizer_the_error_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Mouth:
        raise MouthError("it is not installed")

    monkeypatch.setitem(MOUTHS, "flite", missing)
    monkeypatch.setitem(MOUTHS, "espeak", missing)
    with pytest.raises(MouthError, match=r"apt-get install flite.*duologue\[voice\]"):
        choose_mouth()


async def test_without_flite_espeak_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    mouth = choose_mouth()
    assert mouth.name == "espeak"
    await mouth.close()
    with pytest.raises(MouthError, match="flite is not installed"):
        choose_mouth("flite")


def test_an_unknown_mouth_is_named_with_those_there_are() -> None:
    with pytest.raises(MouthError, match="flite, espeak"):
        choose_mouth("festival")


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


LISTS = 'if [ "$1" = -lv ]; then echo "Voices available: kal slt"; exit 0; fi\n'


@pytest.mark.parametrize(
    ("does", "cause"),
    [("kill -SEGV $$", "status -11"), ("echo no voice today >&2; exit 3", "no voice today"), ("exit 0", "no sound")],
)
async def test_a_flite_that_breaks_is_a_clear_error(tmp_path: Path, does: str, cause: str) -> None:
    flite = Flite(script(tmp_path / "flite", LISTS + does))
    assert flite.voices == ("slt", "kal")
    assert flite.voice("cedar") == "slt"  # rms is not built in here
    with pytest.raises(MouthError, match=cause):
        await flite.say("hello", voice="slt", speed=1.0)
    await flite.close()


async def test_a_flite_that_hangs_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duologue.backends.pocket.mouth.flite._PATIENCE", 0.3)
    flite = Flite(script(tmp_path / "flite", LISTS + "exec sleep 30"))
    with pytest.raises(MouthError, match="did not finish"):
        await flite.say("hello", voice="slt", speed=1.0)
    await flite.close()


def test_a_flite_without_our_voices_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MouthError, match="cmu_xx"):
        Flite(script(tmp_path / "flite", 'echo "Voices available: cmu_xx"'))


async def test_espeaks_process_may_die() -> None:
    espeak = Espeak()
    before = await espeak.say(SENTENCE, voice="en-us", speed=1.0)
    assert espeak.process_id is not None
    os.kill(espeak.process_id, signal.SIGKILL)
    with pytest.raises(MouthError, match="status -9"):
        await espeak.say(SENTENCE, voice="en-us", speed=1.0)
    after = await espeak.say(SENTENCE, voice="en-us", speed=1.0)
    assert np.array_equal(before.wave, after.wave)
    await espeak.close()


async def test_espeak_refuses_a_voice_it_lacks() -> None:
    espeak = Espeak()
    with pytest.raises(MouthError, match="no voice 'xx'"):
        await espeak.say("hello", voice="xx", speed=1.0)
    await espeak.close()


# -- remembering ----------------------------------------------------------------------------------------------


class Counting:
    """A mouth that makes a second of sound of anything, and counts."""

    name = "counting"
    voices = ("one",)

    def __init__(self) -> None:
        self.said: list[str] = []

    def voice(self, asked: str) -> str:
        return "one"

    async def say(self, text: str, *, voice: str, speed: float) -> Speech:
        self.said.append(text)
        await asyncio.sleep(0)
        return Speech(np.ones(RATE, np.float32), ((RATE, len(text)),))

    async def close(self) -> None:
        return None


async def test_what_was_said_lately_is_not_made_again() -> None:
    counting = Counting()
    mouth = Remembering(counting, kept=samples(2.5))
    for text in ("a", "b", "a", "c", "a", "b"):
        await mouth.say(text, voice="one", speed=1.0)
    assert counting.said == ["a", "b", "c", "b"]  # b was the oldest when c came
    await mouth.say("b", voice="one", speed=1.2)
    assert counting.said[-1] == "b"
    assert len(counting.said) == 5


async def test_two_sessions_that_say_the_same_at_once() -> None:
    mouth = Remembering(Counting(), kept=samples(1.5))
    await asyncio.gather(*(mouth.say("same", voice="one", speed=1.0) for _ in range(5)))
    await mouth.say("other", voice="one", speed=1.0)
    assert len((await mouth.say("other", voice="one", speed=1.0)).wave) == RATE


# -- levelling and trimming ---------------------------------------------------------------------------------


def test_marks_outside_the_sound_are_drawn_in() -> None:
    wave = np.zeros(RATE, np.float32)
    wave[6_000:18_000] = 0.1 * np.sin(np.arange(12_000) / 5)
    speech = finished(wave, [(0, 1), (100, 3), (9_000, 5), (20_000, 7), (23_000, 9)], "a b c d e f")
    assert speech.marks[0] == (0, 3)
    assert speech.marks[-1] == (len(speech.wave), 11)
    assert len(speech.marks) == 3


def test_a_click_is_not_amplified_beyond_full_scale() -> None:
    wave = np.zeros(RATE, np.float32)
    wave[1_000] = 1.0
    assert np.abs(finished(wave, [], "x").wave).max() <= 0.98


def test_digital_silence_stays_silent() -> None:
    assert len(finished(np.zeros(RATE, np.float32), [], "x").wave) == 0
    assert silent("xy").marks == ((0, 2),)
