"""The few recordings of people that come with a system package: Debian's ``pocketsphinx-testdata``.

None of them is a request to pocket. They say how well the acoustic model hears people's words, and that a stranger's
sentence is not taken for a request, and no more than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from duologue.audio import RATE, Wave
from duologue.audio.files import read_wave

FOLDER = Path("/usr/share/pocketsphinx/test/data")
REMEDY = "the package pocketsphinx-testdata is not installed (sudo apt-get install pocketsphinx-testdata)"

_AUSTEN = "librivox/sense_and_sensibility_01_austen_64kb-{}.wav"
_SAID = {
    "goforward.raw": "go forward ten meters",
    "something.raw": "go somewhere and do something",
    "cards/001.wav": "ten of clubs",
    "cards/002.wav": "four queen of clubs",
    "cards/003.wav": "seven of clubs",
    "cards/004.wav": "five five",
    "cards/005.wav": "eight of spades four of clubs seven of hearts",
    _AUSTEN.format("0870"): "and mister john dashwood had then leisure to consider how much there might be prudently"
    " in his power to do for them",
    _AUSTEN.format("0880"): "he was not an ill disposed young man",
    _AUSTEN.format("0890"): "unless to be rather cold hearted and rather selfish is to be ill disposed",
    _AUSTEN.format("0920"): "had he married a more a amiable woman he might have been made still more respectable"
    " than he was",
    _AUSTEN.format("0930"): "he might even have been made amiable himself",
}


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A recording and what is said in it."""

    name: str
    said: str
    wave: Wave


def clips() -> list[Clip]:
    """All of them; empty where the package is not installed."""
    return [Clip(name, said, _read(FOLDER / name)) for name, said in _SAID.items() if (FOLDER / name).is_file()]


def _read(path: Path) -> Wave:
    if path.suffix != ".raw":
        return read_wave(path)
    sound, rate = soundfile.read(path, samplerate=16_000, channels=1, subtype="PCM_16", format="RAW", dtype="float32")
    wave: Wave = soxr.resample(sound, rate, RATE).astype(np.float32)
    return wave
