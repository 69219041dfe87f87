"""People to talk to duologue: command-line synthesizers, with the time at which their last word ends.

Benchmarks and tests need spoken questions whose end is known to the millisecond. Flite prints the end time
of each phone it speaks, so its last word ends with its last phone; espeak-ng and pico print no times, there
the first and last audible samples count. These voices are for evaluation: the programs are run where they are
installed, nothing of them is shipped (pico is in Debian's non-free section and never required).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from duologue.audio import RATE, Wave, samples
from duologue.audio.files import read_wave
from duologue.audio.level import first_audible, last_audible, loudness

FLITE = ("slt", "rms", "awb", "kal16", "kal")
"""Flite's English voices that speak any text."""

VOICES = ("slt", "rms", "awb", "kal16")
"""Those that benchmarks speak with (``kal`` is ``kal16`` at half the rate)."""

ESPEAK = ("espeak:en-us", "espeak:en-gb", "espeak:en-us+f3", "espeak:en-gb-scotland")
"""Some of espeak-ng's; any ``espeak:VOICE`` works. Further from people than flite's, so reported apart."""

PICO = ("pico:en-US", "pico:en-GB")
"""SVOX pico's."""

_HUMMED = {"mm hmm": "m m hh m m", "mhm": "m hh ah m", "hmm": "hh m m", "mm": "m m"}
"""What flite would spell ("em em, aitch em em"), in its phones."""

_PROGRAMS = {
    "flite": ("flite", "sudo apt-get install flite"),
    "espeak": ("espeak-ng", "sudo apt-get install espeak-ng"),
    "pico": ("pico2wave", "sudo apt-get install libttspico-utils, from Debian's non-free section"),
}


class VoiceError(RuntimeError):
    """A synthesizer is missing or refuses; the message says which, and how to get it."""


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """A spoken text: mono float32 at 24 kHz, and where in it the voice is."""

    text: str
    voice: str
    wave: Wave
    start: int
    """Position at which the first word begins."""
    end: int
    """Position at which the last word ends."""
    phones: tuple[tuple[str, int], ...]
    """(phone, position of its end) as flite prints them, pauses (``pau``) included; empty elsewhere."""


@lru_cache(maxsize=512)
def speak(text: str, voice: str = "slt") -> Spoken:
    """``text`` as ``voice`` says it: a flite voice by its name, ``espeak:VOICE``, or ``pico:LANGUAGE``.

    Raises :class:`VoiceError` where the program is missing or does not know the voice.
    """
    engine, _, name = voice.rpartition(":")
    engine = engine or "flite"
    if engine not in _PROGRAMS:
        raise VoiceError(f"voice {voice!r}: no synthesizer {engine!r}; there are {', '.join(_PROGRAMS)}")
    with tempfile.TemporaryDirectory(prefix="duologue-voice-") as folder:
        path = Path(folder, "spoken.wav")
        match engine:
            case "flite":
                if name not in FLITE:  # flite itself would silently take another
                    raise VoiceError(f"flite has no voice {name!r}; there are {', '.join(FLITE)}")
                said = ("-p", f"pau {_HUMMED[text]} pau") if text in _HUMMED else ("-t", text)
                phones = _phones(_run(engine, "-voice", name, "-psdur", *said, "-o", str(path)))
            case "espeak":
                _run(engine, "-v", name, "-w", str(path), "--stdin", stdin=text)
                phones = ()
            case _:
                _run(engine, "-l", name, "-w", str(path), "--", text)
                phones = ()
        wave = read_wave(path)
    start, end = first_audible(wave), last_audible(wave)
    if start is None or end is None:
        raise VoiceError(f"voice {voice!r} says nothing for {text!r}")
    if phones:
        voiced = [index for index, (phone, _) in enumerate(phones) if phone != "pau"]
        start = phones[voiced[0] - 1][1] if voiced[0] else 0
        end = phones[voiced[-1]][1]
    wave.setflags(write=False)  # the cache hands out the same one again
    return Spoken(text, voice, wave, start, end, phones)


def missing(voice: str) -> str | None:
    """Why ``voice`` cannot be had on this machine (its program is not installed), or ``None``."""
    program, remedy = _PROGRAMS[voice.rpartition(":")[0] or "flite"]
    return None if shutil.which(program) else f"{program} is not installed ({remedy})"


def with_noise(wave: Wave, snr: float, *, seed: int = 0, colour: Literal["white", "pink"] = "pink") -> Wave:
    """``wave`` in noise, ``snr`` dB below the level of its audible steps; clipped to [-1, 1]."""
    noisy: Wave = np.clip(wave + noise(len(wave), loudness(wave) - snr, seed=seed, colour=colour), -1, 1)
    return noisy


def noise(count: int, dbfs: float, *, seed: int = 0, colour: Literal["white", "pink"] = "pink") -> Wave:
    """``count`` samples of noise at ``dbfs``; pink falls by 3 dB an octave from 20 Hz up, as rooms do."""
    if count == 0:
        return np.zeros(0, np.float32)
    sound = np.random.default_rng(seed).standard_normal(count)
    if colour == "pink":
        frequency = np.fft.rfftfreq(count, 1 / RATE)
        sound = np.fft.irfft(np.fft.rfft(sound) / np.sqrt(np.maximum(frequency, 20.0)), count)
    sound *= 10 ** (dbfs / 20) / np.sqrt(np.mean(np.square(sound)))
    return sound.astype(np.float32)


QUIET = -65.0
"""dBFS of a quiet room (pink noise), so that nobody profits from digital silence, which detectors may skip."""


def quiet_room(seed: int) -> Wave:
    """Five seconds of it, to be heard over and over."""
    return noise(5 * RATE, QUIET, seed=seed)


def _phones(printed: str) -> tuple[tuple[str, int], ...]:
    """``pau:0.224 w:0.296 …``, ends in seconds, to positions."""
    pairs = (item.rpartition(":") for item in printed.split())
    return tuple((phone, samples(float(at))) for phone, _, at in pairs)


def _run(engine: str, *arguments: str, stdin: str = "") -> str:
    program, remedy = _PROGRAMS[engine]
    if shutil.which(program) is None:
        raise VoiceError(f"the synthesizer {program} is not installed: {remedy}")
    done = subprocess.run([program, *arguments], input=stdin, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise VoiceError(f"{program} failed (status {done.returncode}): {done.stderr.strip()}")
    return done.stdout
