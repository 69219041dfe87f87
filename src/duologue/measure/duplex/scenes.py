"""Scenes: what a person says, and when.

A scene is a list of *cues*, said at fixed times. Where a story is told meanwhile, their times count from where it began
to be heard; it is asked for in writing, so that no mishearing spoils the scene.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from duologue.audio import RATE, Wave, samples
from duologue.audio.level import loudness
from duologue.measure.phrases import Part, marked, other_talk
from duologue.measure.voices import VOICES, noise, quiet_room, speak

Kind = Literal["pause", "turn", "interruption", "stop", "backchannel", "others", "background", "noise"]

KINDS: tuple[Kind, ...] = ("pause", "turn", "interruption", "stop", "backchannel", "others", "background", "noise")

PAUSES = (0.4, 0.6, 0.8, 1.0, 1.25, 1.5)
"""Seconds of a pause in the middle of a sentence."""

BACKGROUND = -15.0
"""dB of the far voice, relative to one that speaks to the model."""

STRETCHED: tuple[Kind, ...] = ("background", "noise")
"""What goes on for minutes, in scenes of :data:`STRETCH`."""

STRETCH = 60.0
"""Seconds of such a scene."""

LEAD_IN = 0.6
"""Seconds before the first word."""

_DISTANT = 0.45
"""Seconds in which the far voice's reverberation falls by 60 dB."""


@dataclass(frozen=True, slots=True, eq=False)
class Cue:
    """Something said, or a sound."""

    at: float
    """Seconds after the scene begins or, in a scene with a story, after the story began to be heard."""
    wave: Wave
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One scene."""

    kind: Kind
    number: int
    voice: str
    text: str
    cues: tuple[Cue, ...]
    story: bool
    """Whether a story is told meanwhile."""
    after: float
    """Seconds the scene goes on after the last cue's end."""
    room: Wave


def scenes(
    kinds: Sequence[Kind] = KINDS, *, part: Part = "report", many: int = 50, minutes: float = 10.0, seed: int = 0
) -> list[Scene]:
    """``many`` scenes of each kind, of background and noise so many minutes each. The same seed gives the same ones.

    Raises :class:`~duologue.measure.voices.VoiceError` where a voice is missing.
    """
    return [scene for kind in kinds for scene in _of_kind(kind, part, many, minutes, random.Random(f"{seed} {kind}"))]


def _of_kind(kind: Kind, part: Part, many: int, minutes: float, chance: random.Random) -> Iterator[Scene]:
    if kind in STRETCHED:
        for number in range(max(1, round(60 * minutes / STRETCH))):
            yield (_background if kind == "background" else _noise)(number, part, chance)
        return
    phrases = _phrases(part, kind)
    for number in range(many):
        voice = VOICES[(number + number // len(VOICES)) % len(VOICES)]
        yield _spoken(kind, number, voice, phrases[number % len(phrases)], chance)


def _phrases(part: Part, kind: Kind) -> list[str]:
    return other_talk(part) if kind == "others" else marked("duologue.measure.duplex", "phrases.txt", part, kind)


def _spoken(kind: Kind, number: int, voice: str, text: str, chance: random.Random) -> Scene:
    room = quiet_room(number)
    story = kind in ("interruption", "stop", "backchannel")
    at = chance.uniform(1.5, 4.0) if story else LEAD_IN + chance.uniform(0, 0.3)
    cues = []
    for part in text.split(" / "):
        spoken = speak(part, voice)
        cues.append(Cue(at, spoken.wave[spoken.start : spoken.end], part))
        at += (spoken.end - spoken.start) / RATE + PAUSES[number % len(PAUSES)]
    after = {"pause": 4.0, "turn": 4.0, "interruption": 5.0, "stop": 3.0, "backchannel": 3.5}.get(kind, 4.0)
    return Scene(kind, number, voice, text, tuple(cues), story, after, room)


def _background(number: int, part: Part, chance: random.Random) -> Scene:
    """A minute of somebody who talks elsewhere: quieter, and with the sound of a room around."""
    voice = VOICES[number % len(VOICES)]
    talk, cues, at = other_talk(part), [], LEAD_IN
    while at < STRETCH:
        text = chance.choice(talk)
        spoken = speak(text, voice)
        cues.append(Cue(at, far(spoken.wave[spoken.start : spoken.end], seed=number), text))
        at += (spoken.end - spoken.start) / RATE + chance.uniform(0.3, 2.5)
    return Scene("background", number, voice, "far talk", tuple(cues), False, 3.0, quiet_room(number))


def _noise(number: int, part: Part, chance: random.Random) -> Scene:
    """A minute of coughs, doors, keys and a louder room."""
    first = 1000 * (part == "report") + 100 * number
    makers = (cough, door, keys)
    cues, at, many = [], LEAD_IN, 0
    while at < STRETCH:
        maker = chance.choice(makers)
        cues.append(Cue(at, maker(first + many), maker.__name__))
        many += 1
        at += chance.uniform(1.0, 4.0)
    room = noise(5 * RATE, (-60.0, -50.0, -45.0)[number % 3], seed=first)
    return Scene("noise", number, "", "noise", tuple(cues), False, 3.0, room)


# -- sounds ---------------------------------------------------------------------------------------------------


def far(wave: Wave, *, seed: int) -> Wave:
    """A voice from across a room: :data:`BACKGROUND` dB down, with an exponential reverberation."""
    length = samples(_DISTANT)
    tail = np.random.default_rng(seed).standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail[0] = 3.0  # the direct sound
    size = len(wave) + length - 1
    distant = np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(tail, size), size).astype(np.float32)
    gain = 10 ** ((loudness(wave) + BACKGROUND - loudness(distant)) / 20)
    return (distant * np.float32(gain)).astype(np.float32)


def cough(seed: int) -> Wave:
    """Two short bursts of noise through a throat: a resonance near 700 Hz and one near 1.8 kHz."""
    bursts = [_burst(seed + n, seconds, 700.0, 1800.0, -16.0) for n, seconds in enumerate((0.18, 0.14))]
    return np.concatenate((bursts[0], np.zeros(samples(0.12), np.float32), bursts[1]))


def door(seed: int) -> Wave:
    """A thud: low noise that dies away in a fifth of a second."""
    return _burst(seed, 0.35, 90.0, 180.0, -12.0)


def keys(seed: int) -> Wave:
    """Twelve keystrokes in a second or so."""
    chance = random.Random(seed)
    pieces: list[Wave] = []
    for n in range(12):
        pieces += [
            _burst(seed + n, 0.02, 3000.0, 5000.0, -24.0),
            np.zeros(samples(chance.uniform(0.05, 0.15)), np.float32),
        ]
    return np.concatenate(pieces)


def _burst(seed: int, length: float, low: float, high: float, dbfs: float) -> Wave:
    """Noise with two resonances, at once there and then dying away."""
    count = samples(length)
    frequency = np.fft.rfftfreq(count, 1 / RATE)
    shape = sum(1 / (1 + ((frequency - centre) / (0.4 * centre)) ** 2) for centre in (low, high))
    sound = np.fft.irfft(np.fft.rfft(np.random.default_rng(seed).standard_normal(count)) * shape, count)
    sound *= np.exp(-5 * np.arange(count) / count)
    sound *= 10 ** (dbfs / 20) / np.sqrt(np.mean(np.square(sound)))
    return np.clip(sound, -1, 1).astype(np.float32)
