"""espeak-ng through its PyPI loader (the extra ``[voice]``; GPL-3): robotic, everywhere, 1 ms a second of speech.

The library runs in a process of its own (``espeak_process.py``), one for the server. One clause is made at a
time, in the order in which they were asked for. If the process dies, that clause fails and the next one
starts a new process.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from bisect import bisect_right
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import soxr

from duologue.audio import RATE, Wave
from duologue.backends.pocket.mouth.signals import hold_back
from duologue.backends.pocket.mouth.speech import MouthError, Speech, finished, silent
from duologue.backends.pocket.mouth.text import Word, line, words

Answer = TypeVar("Answer")

_PROGRAM = Path(__file__).with_name("espeak_process.py")
_PATIENCE = 20.0
"""Seconds after which the process is taken to hang."""

_NORMAL, _SLOWEST, _FASTEST = 165, 80, 450
"""Words a minute; espeak-ng takes none slower than 80, so speeds below 0.48 sound alike."""

_STANDS_FOR = {
    "en-us": ("alloy", "ash", "cedar", "echo", "onyx"),
    "en-us+f3": ("coral", "marin", "nova", "sage", "shimmer"),
    "en-gb-x-rp": ("ballad", "verse"),
    "en-gb-x-rp+f3": (),
    "en-gb-scotland": ("fable",),
}
"""Its voices, the default first, and OpenAI's names by what they sound like."""


class Espeak:
    """espeak-ng. Raises :class:`MouthError` where the loader is missing or the library does not start."""

    name = "espeak"
    voices = tuple(_STANDS_FOR)

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise MouthError("the package espeakng-loader is not installed") from error
        self._command = [
            *(sys.executable, "-P", str(_PROGRAM)),  # -P: its folder is not searched for modules
            str(espeakng_loader.get_library_path()),
            str(espeakng_loader.get_data_path()),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._rate = 0
        self._start()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="espeak", initializer=hold_back)

    @property
    def process_id(self) -> int | None:
        """Of the process that runs; ``None`` between the death of one and the next clause."""
        return self._process.pid if self._process else None

    def voice(self, asked: str) -> str:
        asked = asked.strip().lower()
        if asked in self.voices:
            return asked
        return next((own for own, names in _STANDS_FOR.items() if asked in names), self.voices[0])

    async def say(self, text: str, *, voice: str, speed: float) -> Speech:
        spoken = words(text)
        if not spoken:
            return silent(text)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._say, text, spoken, voice, speed)

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.communicate)

    def _say(self, text: str, spoken: tuple[Word, ...], voice: str, speed: float) -> Speech:
        if self._process is None:
            self._start()
        rate = min(max(round(_NORMAL * speed), _SLOWEST), _FASTEST)
        request = {"text": line(spoken), "voice": voice, "rate": rate}
        answer, sound = self._watched(lambda process: self._exchange(process, request))
        if "error" in answer:
            raise MouthError(f"espeak-ng could not say {text[:60]!r}: {answer['error']}")
        made = np.frombuffer(sound, np.int16).astype(np.float32) / np.float32(32_768)
        wave: Wave = np.asarray(soxr.resample(made, self._rate, RATE), np.float32)
        begins = [(at, sample * RATE // self._rate) for at, sample in answer["words"]]
        return finished(wave, _ends(begins, spoken), text)

    def _start(self) -> None:
        try:
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            raise MouthError(f"espeak-ng's process could not be started: {error}") from error
        self._rate = int(self._watched(_header)["rate"])

    def _watched(self, talk: Callable[[subprocess.Popen[bytes]], Answer]) -> Answer:
        """What ``talk`` returns. A process that hangs is killed; one that died is forgotten."""
        process = self._process
        assert process is not None
        watch = threading.Timer(_PATIENCE, process.kill)
        watch.start()
        try:
            return talk(process)
        except (OSError, EOFError, ValueError) as error:
            self._process = None
            process.kill()
            process.communicate()
            raise MouthError(
                f"espeak-ng's process broke off (status {process.returncode}); the next clause starts anew"
            ) from error
        finally:
            watch.cancel()

    @staticmethod
    def _exchange(process: subprocess.Popen[bytes], request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        answer = _header(process)
        expected = 2 * int(answer.get("samples", 0))
        sound = process.stdout.read(expected)
        if len(sound) < expected:
            raise EOFError("the sound is cut off")
        return answer, sound


def _header(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The next line that the process writes."""
    assert process.stdout is not None
    written = process.stdout.readline()
    if not written:
        raise EOFError("no answer")
    answer: dict[str, Any] = json.loads(written)
    return answer


def _ends(begins: list[tuple[int, int]], spoken: tuple[Word, ...]) -> list[tuple[int, int]]:
    """Marks from the samples at which words begin: a word ends where the next one begins.

    ``begins`` are (position in the line, sample); one word of ours ("4:10") may be several of espeak-ng's.
    """
    starts: list[int] = []
    at = 0
    for word in spoken:
        starts.append(at)
        at += len(word.said) + 1
    marks: dict[int, int] = {}
    for position, sample in begins:
        index = bisect_right(starts, position) - 1
        if index > 0:
            marks.setdefault(spoken[index - 1].end, sample)
    return [(sample, chars) for chars, sample in sorted(marks.items())]
