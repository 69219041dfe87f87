"""Flite (CMU's small synthesizer, free licence): a process a clause, about 10 ms per second of speech.

It is told the text by a file, never through a shell or an argument, writes a wave file, and prints the end
time of each phone. Words are laid over these phones by their letters: on eight sentences a word's end was off
by 0.04 s on average and 0.15 s at the 95th percentile (0.11 s and 0.37 s for letters laid over time).
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from duologue.audio import samples
from duologue.audio.files import AudioFileError, read_wave
from duologue.backends.pocket.mouth.signals import hold_back
from duologue.backends.pocket.mouth.speech import MouthError, Speech, finished, silent
from duologue.backends.pocket.mouth.text import Word, line, words

AT_ONCE = 2
"""Clauses made at the same time, in the order in which they were asked for."""

_PATIENCE = 20.0
"""Seconds after which a synthesizer is taken to hang."""

_VOICES = ("slt", "rms", "awb", "kal16", "kal")
"""English voices that speak any text, the most pleasant first."""

_STANDS_FOR = {
    "slt": ("alloy", "coral", "marin", "nova", "sage", "shimmer"),
    "rms": ("ash", "cedar", "echo", "onyx"),
    "awb": ("ballad", "fable"),
    "kal16": ("verse",),
}
"""OpenAI's names, by what they sound like."""


class Flite:
    """The ``flite`` program. Raises :class:`MouthError` where it is missing or has no voice of ours."""

    name = "flite"

    def __init__(self, program: str = "flite") -> None:
        path = shutil.which(program)
        if path is None:
            raise MouthError(f"the synthesizer {program} is not installed")
        self._program = path
        listed = self._run("-lv").partition(":")[2].split()
        self.voices = tuple(voice for voice in _VOICES if voice in listed)
        if not self.voices:
            has = " ".join(listed) or "none"
            raise MouthError(f"{path} has none of the voices {', '.join(_VOICES)}; it has: {has}")
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="flite", initializer=hold_back)

    def voice(self, asked: str) -> str:
        asked = asked.strip().lower()
        if asked in self.voices:
            return asked
        found = next((own for own, names in _STANDS_FOR.items() if asked in names), "")
        return found if found in self.voices else self.voices[0]

    async def say(self, text: str, *, voice: str, speed: float) -> Speech:
        spoken = words(text)
        if not spoken:
            return silent(text)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._say, text, spoken, voice, speed)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _say(self, text: str, spoken: tuple[Word, ...], voice: str, speed: float) -> Speech:
        with tempfile.TemporaryDirectory(prefix="duologue-flite-") as folder:
            written, sound = Path(folder, "text"), Path(folder, "sound.wav")
            written.write_text(line(spoken) + "\n", encoding="ascii")
            stretch = f"duration_stretch={1 / speed:.4f}"
            printed = self._run("-voice", voice, "--setf", stretch, "-psdur", "-f", str(written), "-o", str(sound))
            try:
                wave = read_wave(sound)
            except AudioFileError as error:
                raise MouthError(f"flite wrote no sound for {text[:60]!r}: {error}") from error
        return finished(wave, _laid_over(_phone_ends(printed), spoken), text)

    def _run(self, *arguments: str) -> str:
        command = [self._program, *arguments]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise MouthError(f"flite did not finish within {_PATIENCE:.0f} s and was stopped") from error
        except OSError as error:
            raise MouthError(f"flite could not be started: {error}; is it still installed?") from error
        if done.returncode:
            reason = done.stderr.strip()[-300:] or "it printed no reason"
            raise MouthError(f"flite broke off (status {done.returncode}): {reason}")
        return done.stdout


def _phone_ends(printed: str) -> list[int]:
    """End positions (24 kHz) of the phones in ``pau:0.195 p:0.273 …``, pauses left out."""
    phones = (item.rpartition(":") for item in printed.split())
    return [samples(float(end)) for phone, _, end in phones if phone != "pau"]


def _laid_over(ends: list[int], spoken: tuple[Word, ...]) -> list[tuple[int, int]]:
    """Where each word ends: words take their share of the phones by their weight."""
    if not ends:
        return []
    whole = sum(word.weight for word in spoken)
    marks: list[tuple[int, int]] = []
    done = 0.0
    for word in spoken:
        done += word.weight
        last = min(max(round(done / whole * len(ends)), 1), len(ends)) - 1
        marks.append((ends[last], word.end))
    return marks
