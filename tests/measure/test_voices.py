"""Evaluation voices: real synthesizers, and word ends that agree with what can be heard."""

from __future__ import annotations

import numpy as np
import pytest

from duologue.audio import RATE
from duologue.audio.level import last_audible, levels, loudness
from duologue.measure.voices import ESPEAK, FLITE, VoiceError, missing, noise, speak, with_noise


@pytest.mark.parametrize("voice", [*FLITE, ESPEAK[0]])
def test_words_end_where_the_sound_ends(voice: str) -> None:
    """The synthesizer's own end of the last word and the last audible sample: within a stop's release."""
    spoken = speak("How many feet are in a mile?", voice)
    audible = last_audible(spoken.wave)
    assert audible is not None
    assert abs(audible - spoken.end) < 0.05 * RATE
    assert 0 <= spoken.start < spoken.end <= len(spoken.wave)
    assert loudness(spoken.wave[spoken.start : spoken.end]) > -32


def test_flite_gives_phones_in_order() -> None:
    phones = speak("Stop it.", "slt").phones
    assert [name for name, _ in phones] == ["pau", "s", "t", "aa", "p", "ih", "t", "pau"]
    ends = [at for _, at in phones]
    assert ends == sorted(ends)


def test_text_is_no_option_and_no_command() -> None:
    """A text that looks like a flag or a shell command is spoken, nothing else."""
    for voice in ("slt", ESPEAK[0]):
        spoken = speak("-o /dev/null; touch $(x)", voice)
        assert spoken.end - spoken.start > RATE // 2


def test_voices_that_do_not_exist() -> None:
    with pytest.raises(VoiceError, match="flite has no voice 'nobody'"):
        speak("hello", "nobody")
    with pytest.raises(VoiceError, match="no synthesizer 'festival'"):
        speak("hello", "festival:kal")
    with pytest.raises(VoiceError, match="espeak-ng failed"):
        speak("hello", "espeak:nobody")
    with pytest.raises(VoiceError, match="says nothing"):
        speak("", "slt")


def test_a_missing_program_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "apt-get install flite" in (missing("slt") or "")
    with pytest.raises(VoiceError, match="apt-get install espeak-ng"):
        speak("never spoken before", ESPEAK[0])


@pytest.mark.parametrize("colour", ["white", "pink"])
def test_noise_has_its_level_and_its_colour(colour: str) -> None:
    sound = noise(4 * RATE, -40.0, colour=colour)  # type: ignore[arg-type]
    assert 10 * np.log10(np.mean(np.square(sound))) == pytest.approx(-40.0, abs=0.05)
    power = np.square(np.abs(np.fft.rfft(sound)))
    octave = len(power) // 12000  # bins per hertz
    low, high = power[500 * octave : 1000 * octave].mean(), power[4000 * octave : 8000 * octave].mean()
    assert 10 * np.log10(low / high) == pytest.approx(9.0 if colour == "pink" else 0.0, abs=1.0)
    assert noise(0, -40.0).shape == (0,)


def test_noise_is_added_below_the_voice() -> None:
    clean = speak("What time is it?", "slt").wave
    noisy = with_noise(clean, 10.0)
    added = noisy - clean
    assert loudness(clean) - levels(added).mean() == pytest.approx(10.0, abs=0.5)
