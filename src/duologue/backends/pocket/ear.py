"""pocket's ear: the recogniser of :mod:`duologue.ears`, listening for pocket's own language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from duologue.backends.pocket.brain.interjections import INTERJECTIONS
from duologue.backends.pocket.language import vocabulary
from duologue.backends.pocket.parts import Words
from duologue.ears.recognizer import Listening, Recognizer
from duologue.ears.vocabulary import english

WORKERS = 2
"""Processes that listen; each serves many sessions in slices of 100 ms."""


class PocketEar:
    """A pool of recognisers that all sessions share."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer

    async def start(self) -> None:
        """Start the workers; raises ``EarError`` where they cannot."""
        await self._recognizer.start()

    async def stop(self) -> None:
        """End the workers; utterances still open get no more words."""
        await self._recognizer.stop()

    def session(self) -> PocketSessionEar:
        """A new session's ear."""
        self._recognizer.expect()
        return PocketSessionEar(self._recognizer)


class PocketSessionEar:
    """One session's: what an utterance taught about voice and microphone helps the next."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._last: Listening | None = None

    def open(self, on_words: Callable[[Words], None], on_lost: Callable[[str], None]) -> Listening:
        """A new utterance."""
        self._last = self._recognizer.open(on_words, on_failure=on_lost, after=self._last)
        return self._last


def pocket_ear(workers: int = WORKERS) -> PocketEar:
    """The ear with pocket's vocabulary, not yet started."""
    return PocketEar(Recognizer(vocabulary(), workers=workers))


def floor_ear(workers: int = WORKERS) -> PocketEar:
    """The ear beside a model that hears for itself, not yet started: quick words of pocket's vocabulary for the floor,
    and those of all English, as soon as there is time, to be read."""
    return PocketEar(Recognizer(replace(vocabulary(), open_beside=True), workers=workers))


def open_ear(workers: int = WORKERS) -> PocketEar:
    """The ear with the vocabulary of all English, for a brain to which anything may be said; not yet started."""
    return PocketEar(Recognizer(english(INTERJECTIONS), workers=workers))
