"""The recogniser with real workers: words as they come, fairness, cuts, and a worker's death."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import numpy as np
import psutil
import pytest

from duologue.audio import Wave, samples
from duologue.backends.pocket.language import vocabulary
from duologue.ears.recognizer import Listening, Recognizer, Words
from duologue.measure.voices import noise, speak

HOP = samples(0.1)


def utterance(text: str, voice: str = "slt") -> Wave:
    wave = np.concatenate((np.zeros(samples(0.3), np.float32), speak(text, voice).wave, np.zeros(HOP, np.float32)))
    return wave + noise(len(wave), -65.0)


class Heard:
    """Everything that is told of one utterance."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.words: list[Words] = []
        self.failures: list[str] = []
        self._news = asyncio.Event()
        self.listening: Listening = recognizer.open(self._on_words, on_failure=self._on_failure)

    def _on_words(self, words: Words) -> None:
        self.words.append(words)
        self._news.set()

    def _on_failure(self, message: str) -> None:
        self.failures.append(message)
        self._news.set()

    async def over(self, seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while not self.failures and not (self.words and self.words[-1].final):
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def recognizer() -> AsyncIterator[Recognizer]:
    recognizer = Recognizer(vocabulary(), workers=1)
    await recognizer.start()
    yield recognizer
    await recognizer.stop()


async def test_words_come_while_the_person_speaks(recognizer: Recognizer) -> None:
    heard = Heard(recognizer)
    wave = utterance("set a timer for five minutes")
    for start in range(0, len(wave), HOP):
        heard.listening.push(wave[start : start + HOP])
        await asyncio.sleep(0.02)
    heard.listening.finish()
    await heard.over()
    assert heard.words[-1].text == "set a timer for five minutes"
    assert heard.words[-1].until == len(wave)
    assert not heard.listening.pending
    partial = [words.text for words in heard.words if not words.final and words.text]
    assert len(set(partial)) > 2, "it grows"
    assert [words.until for words in heard.words] == sorted(words.until for words in heard.words)


async def test_nothing_follows_a_drop(recognizer: Recognizer) -> None:
    heard = Heard(recognizer)
    heard.listening.push(utterance("tell me a joke"))
    heard.listening.drop()
    await asyncio.sleep(0.5)
    assert not heard.words


async def test_an_empty_utterance_has_no_words(recognizer: Recognizer) -> None:
    heard = Heard(recognizer)
    heard.listening.finish()
    await heard.over()
    assert heard.words[-1].text == ""


async def test_a_monologue_delays_nobody(recognizer: Recognizer) -> None:
    """Two minutes in one go: they are cut, and another's words do not wait for them (same worker)."""
    monologue = Heard(recognizer)
    talk = utterance("what is five plus seven and what is nine times three")
    monologue.listening.push(np.tile(talk, 1 + samples(120.0) // len(talk)))
    await asyncio.sleep(0.3)
    begun = time.monotonic()
    quick = Heard(recognizer)
    quick.listening.push(utterance("what time is it"))
    quick.listening.finish()
    await quick.over()
    assert quick.words[-1].text == "what time is it"
    assert time.monotonic() - begun < 5.0, "two minutes take longer than that"
    assert monologue.listening.pending, "the monologue is still being heard"
    monologue.listening.drop()


async def test_a_dead_worker_is_replaced_and_its_utterances_are_told(recognizer: Recognizer) -> None:
    heard = Heard(recognizer)
    heard.listening.push(utterance("hello"))
    workers = [p for p in psutil.Process().children() if "duologue.ears.worker" in p.cmdline()]
    assert workers
    for worker in workers:
        worker.kill()
    await heard.over()
    assert heard.failures
    async with asyncio.timeout(20):
        while True:
            again = Heard(recognizer)
            again.listening.push(utterance("what time is it"))
            again.listening.finish()
            await again.over()
            if not again.failures:
                break
            await asyncio.sleep(0.2)
    assert again.words[-1].text == "what time is it"


async def test_a_session_has_one_worker_prepared_also_after_its_death() -> None:
    recognizer = Recognizer(vocabulary(), workers=2)
    before = set(psutil.Process().children())
    await recognizer.start()
    try:
        first, second = sorted(set(psutil.Process().children()) - before, key=lambda worker: worker.pid)
        unprepared = first.memory_info().rss
        large = unprepared + 60e6
        recognizer.expect()
        await _grown(first, large)
        assert second.memory_info().rss < large
        first.kill()
        async with asyncio.timeout(20):
            while not (new := set(psutil.Process().children()) - before - {first, second}):  # noqa: ASYNC110  the same
                await asyncio.sleep(0.05)
        await _grown(new.pop(), large)
        assert second.memory_info().rss < large
    finally:
        await recognizer.stop()


async def _grown(worker: psutil.Process, large: float) -> None:
    async with asyncio.timeout(20):
        while worker.memory_info().rss < large:  # noqa: ASYNC110  another process's state, not an event
            await asyncio.sleep(0.05)
