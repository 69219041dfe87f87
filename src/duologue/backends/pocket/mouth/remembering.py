"""A mouth that remembers what it said lately: greetings, excuses and refrains come again and again."""

from __future__ import annotations

from collections import OrderedDict

from duologue.audio import samples
from duologue.backends.pocket.mouth.speech import Mouth, Speech

KEPT = samples(120.0)
"""Samples remembered, over all voices: two minutes, 11.5 MB."""


class Remembering:
    """``mouth``, with the clauses said last at hand. What is remembered costs no process and no time."""

    def __init__(self, mouth: Mouth, kept: int = KEPT) -> None:
        self._mouth = mouth
        self._kept = kept
        self._held = 0
        self._said: OrderedDict[tuple[str, str, float], Speech] = OrderedDict()
        self.name = mouth.name
        self.voices = mouth.voices

    def voice(self, asked: str) -> str:
        return self._mouth.voice(asked)

    async def say(self, text: str, *, voice: str, speed: float) -> Speech:
        key = (text, voice, speed)
        known = self._said.get(key)
        if known is not None:
            self._said.move_to_end(key)
            return known
        speech = await self._mouth.say(text, voice=voice, speed=speed)
        if key not in self._said:  # another session may have had it made meanwhile
            self._said[key] = speech
            self._held += len(speech.wave)
        while self._held > self._kept:
            _, oldest = self._said.popitem(last=False)
            self._held -= len(oldest.wave)
        return speech

    async def close(self) -> None:
        self._said.clear()
        await self._mouth.close()
