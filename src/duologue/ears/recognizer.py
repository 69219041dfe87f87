"""Words from speech, for many sessions at once: PocketSphinx in worker processes, spoken to from the event loop.

recognizer.open(on_words)  →  listening.push(wave) …  →  Words, Words, …
                              listening.finish()      →  Words(final=True)
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import structlog

from duologue.audio import Wave
from duologue.ears.vocabulary import Vocabulary
from duologue.ears.wire import Kind, Message, Unpacker

_log = structlog.get_logger("duologue.ears")

_START_SECONDS = 60.0
_STOP_SECONDS = 2.0
_LONGEST_DELAY = 30.0


class EarError(RuntimeError):
    """The recogniser cannot start, or lost what it was listening to."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of an utterance as far as it was heard."""

    text: str
    """Lowercase, separated by spaces; of the closed vocabulary."""
    until: int
    """Samples of this utterance (24 kHz, of all that was pushed) that are accounted for."""
    final: bool
    confidence: float | None
    """Probability that these are words for us, and about right; ``None`` where nothing was heard or no
    calibration is at hand."""
    open_text: str | None
    """What the open vocabulary makes of the same audio, where it was asked (free words, doubt)."""
    interjection: str | None = None
    """Which of the vocabulary's interjections it is most like, as long as it is no longer than one."""
    clarity: float | None = None
    """How directly the voice comes, in dB (:mod:`.clarity`); ``None`` where noise hides it."""


class Listening:
    """One utterance being listened to. Its words arrive by callback on the event loop."""

    def __init__(
        self,
        key: int,
        process: _Process | None,
        on_words: Callable[[Words], None],
        on_failure: Callable[[str], None],
        after: Listening | None,
    ) -> None:
        self._key = key
        self._process = process
        self._on_words = on_words
        self._on_failure = on_failure
        self._pushed = 0
        self._until = 0
        self._over = False
        self._finishing = False
        self._channel: str = after._channel if after is not None else ""
        if process is not None:
            process.send(Message(Kind.OPEN, key, self._channel.encode()))

    @property
    def pending(self) -> bool:
        """Whether pushed audio, or the final words after :meth:`finish`, are still to be accounted for."""
        return not self._over and (self._finishing or self._until < self._pushed)

    def push(self, wave: Wave) -> None:
        """Listen to more samples [n] at 24 kHz; nothing happens once the utterance is over."""
        if self._over or self._finishing or self._process is None or len(wave) == 0:
            return
        self._pushed += len(wave)
        samples = np.rint(np.clip(wave, -1.0, 1.0) * 32_767.0).astype("<i2")
        self._process.send(Message(Kind.PUSH, self._key, samples.tobytes()))

    def finish(self) -> None:
        """The utterance is over; final :class:`Words` follow (also where nothing was pushed)."""
        if not self._over and not self._finishing and self._process is not None:
            self._finishing = True
            self._process.send(Message(Kind.FINISH, self._key))

    def drop(self) -> None:
        """Forget the utterance; no callback comes any more."""
        if not self._over and self._process is not None:
            self._over = True
            self._process.forget(self._key)
            if not self._finishing:
                self._process.send(Message(Kind.DROP, self._key))

    def told(self, body: bytes) -> bool:
        """Words came from the worker; whether they were the last."""
        fields = json.loads(body)
        self._channel = fields.pop("channel") or self._channel
        words = Words(**fields)
        self._until = max(self._until, words.until)
        self._over = words.final
        self._on_words(words)
        return words.final

    def fail(self, message: str) -> None:
        """The worker is lost, and the utterance with it."""
        if not self._over:
            self._over = True
            self._on_failure(message)


class _Process:
    """One worker process, and what it is listening to."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._input = process.stdin
        self._output = process.stdout
        self._unpacker = Unpacker()
        self.listenings: dict[int, Listening] = {}

    @staticmethod
    async def start(vocabulary: Vocabulary) -> _Process:
        started = _Process(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "duologue.ears.worker",
                vocabulary.to_json(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        )
        try:
            async with asyncio.timeout(_START_SECONDS):
                ready = await started._output.read(1 << 16)
        except TimeoutError:
            await started.stop()
            message = f"an ear did not get ready within {_START_SECONDS:.0f} s; is the machine overloaded?"
            raise EarError(message) from None
        if not ready:
            code = await started._process.wait()
            raise EarError(f"an ear ended with code {code} while starting; its own words are above, on stderr")
        for _ in started._unpacker.push(ready):
            pass  # that it is ready is all it says
        return started

    @property
    def number(self) -> int:
        return self._process.pid

    def send(self, message: Message) -> None:
        """Queue a message; never blocks. A dead worker swallows it: its listenings have failed or will."""
        if not self._input.is_closing():
            self._input.write(message.packed())

    def forget(self, key: int) -> None:
        self.listenings.pop(key, None)

    async def serve(self) -> int:
        """Pass on what the worker says until it ends; its exit code."""
        while data := await self._output.read(1 << 16):
            for message in self._unpacker.push(data):
                listening = self.listenings.get(message.utterance)
                if message.kind is Kind.WORDS and listening is not None and listening.told(message.body):
                    self.forget(message.utterance)
        return await self._process.wait()

    def fail(self, message: str) -> None:
        for listening in list(self.listenings.values()):
            listening.fail(message)
        self.listenings.clear()

    async def stop(self) -> None:
        self._input.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


class Recognizer:
    """A pool of ears. :meth:`open` gives each new utterance to the worker that has the fewest."""

    def __init__(self, vocabulary: Vocabulary, *, workers: int = 2) -> None:
        if workers < 1:
            raise ValueError(f"a recogniser needs at least one worker, not {workers}")
        self._vocabulary = vocabulary
        self._slots: list[_Process | None] = [None] * workers
        self._keepers: list[asyncio.Task[None]] = []
        self._next = 1
        self._prepared = 0
        """Workers, the first ones, that have been told to prepare."""

    async def start(self) -> None:
        """Start the workers and wait until they are ready; raises :class:`EarError` where they cannot."""
        self._slots = list(await asyncio.gather(*(_Process.start(self._vocabulary) for _ in self._slots)))
        self._keepers = [asyncio.create_task(self._keep(slot)) for slot in range(len(self._slots))]

    async def stop(self) -> None:
        """End the workers. Utterances that are open get no more words."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers = []
        processes = [process for process in self._slots if process is not None]
        self._slots = [None] * len(self._slots)
        await asyncio.gather(*(process.stop() for process in processes))

    def expect(self) -> None:
        """Another session came. The first makes the first worker load its second ear, the second the next one's: who
        talks alone needs one, and one is loaded before anything is said to it."""
        if self._prepared < len(self._slots):
            process = self._slots[self._prepared]
            self._prepared += 1
            if process is not None:
                process.send(Message(Kind.PREPARE, 0))

    def open(
        self,
        on_words: Callable[[Words], None],
        *,
        on_failure: Callable[[str], None],
        after: Listening | None = None,
    ) -> Listening:
        """Listen to a new utterance. Callbacks come on the event loop, never from within this call.

        ``on_words`` gets the words so far after every stretch of audio, also unchanged. ``on_failure`` gets a
        sentence for a person when the utterance is lost; nothing follows it. ``after`` is the session's previous
        utterance: what it taught about the voice and the microphone helps the next.
        """
        key = self._next
        self._next += 1
        alive = [process for process in self._slots if process is not None]
        process = min(alive, key=lambda candidate: len(candidate.listenings), default=None)
        listening = Listening(key, process, on_words, on_failure, after)
        if process is None:
            message = "the ear is restarting and cannot listen at the moment; say it again in a second"
            asyncio.get_running_loop().call_soon(listening.fail, message)
        else:
            process.listenings[key] = listening
        return listening

    async def _keep(self, slot: int) -> None:
        """Keep one worker alive: whoever dies is replaced, patiently if the next ones die at once too."""
        loop, delay = asyncio.get_running_loop(), 0.0
        while True:
            process = self._slots[slot]
            if process is not None:
                began = loop.time()
                code = await process.serve()
                if loop.time() - began > _LONGEST_DELAY:
                    delay = 0.0
                self._slots[slot] = None
                _log.error("an ear died", pid=process.number, code=code, lost=len(process.listenings))
                process.fail("the ear lost this utterance: its process ended; say it again")
            await asyncio.sleep(delay)
            delay = min(max(2 * delay, 0.5), _LONGEST_DELAY)
            try:
                self._slots[slot] = process = await _Process.start(self._vocabulary)
                if slot < self._prepared:
                    process.send(Message(Kind.PREPARE, 0))
            except (EarError, OSError) as error:
                _log.error("an ear cannot be restarted", error=str(error), again_in=delay)
