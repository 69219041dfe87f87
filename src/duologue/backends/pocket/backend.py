"""pocket: the embedded default. It talks with no download, no GPU and no PyTorch, in English, about what it knows.

An ear (PocketSphinx in worker processes), a brain of skills for each session, and a mouth (flite or espeak-ng), put
together behind the backend contract. ``docs/embedded.md`` says what it understands, and how well. The skills can be
replaced by a chat model elsewhere (:mod:`.brain_url`, ``docs/brains.md``).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from datetime import datetime

from duologue.backends.contract import Card, Event
from duologue.backends.pocket.brain import Brain
from duologue.backends.pocket.ear import pocket_ear
from duologue.backends.pocket.link import PocketLink
from duologue.backends.pocket.mouth import Mouth, choose_mouth
from duologue.backends.pocket.parts import Ear, Mind, Minds

AHEAD = 8.0
"""Seconds of a reply that are made ahead of the moment at which they are heard."""


def _new_mind(now: Callable[[], datetime]) -> Mind:
    return Brain(now=now, seed=secrets.randbits(32))


class PocketBackend:
    """See :class:`duologue.backends.contract.Backend`."""

    def __init__(
        self,
        *,
        ear: Callable[[], Ear] = pocket_ear,
        mind: Callable[[Callable[[], datetime]], Mind] = _new_mind,
        mouth: Callable[[], Mouth] = choose_mouth,
        minds: Minds | None = None,
        now: Callable[[], datetime] = datetime.now,
        ahead_seconds: float | None = AHEAD,
    ) -> None:
        """``ear`` and ``mouth`` make the parts that all sessions share, ``mind`` makes one session's.

        ``minds``, where given, is what makes the sessions' minds instead, and is started and stopped with the rest.

        ``now`` is the local wall clock: what the brain says when asked for the time, and when timers are due.
        ``ahead_seconds`` of a reply are made before they can have been heard; ``None``: all of it at once, for
        drivers that run faster than real time.
        """
        self._make_ear = ear
        self._minds = minds
        self._make_mind = mind if minds is None else minds.mind
        self._make_mouth = mouth
        self._now = now
        self._ahead = ahead_seconds
        self._ear: Ear | None = None
        self._mouth: Mouth | None = None
        self._links: set[PocketLink] = set()

    @property
    def card(self) -> Card:
        """What it can do; the voices are known once it is started."""
        return Card(
            name="pocket",
            title=f"pocket's ear and mouth, {self._minds.title}" if self._minds else "pocket, the embedded default",
            languages=("en",),
            input_modalities=("audio", "text", "image"),
            output_modalities=("audio", "text"),
            voices=self._mouth.voices if self._mouth is not None else (),
            tools=True,
            licence="Apache-2.0",
            notes=("Skills with slots in English; " if self._minds is None else "")
            + "Silero VAD (MIT), PocketSphinx (BSD-2-Clause), "
            + (f"voice: {self._mouth.name}." if self._mouth is not None else "voice: flite or espeak-ng."),
        )

    async def start(self) -> None:
        """Start the ear's workers and find a synthesizer. Raises ``MouthError`` where there is none."""
        if self._minds is not None:
            await self._minds.start()
        try:
            await self._start_body()
        except BaseException:
            if self._minds is not None:
                await self._minds.stop()
            raise

    async def _start_body(self) -> None:
        mouth = await asyncio.to_thread(self._make_mouth)
        ear = self._make_ear()
        try:
            # The first clause also brings the synthesizer's files into memory.
            await asyncio.gather(ear.start(), mouth.say("Hello.", voice=mouth.voices[0], speed=1.0))
        except BaseException:
            await ear.stop()
            await mouth.close()
            raise
        self._ear, self._mouth = ear, mouth

    async def stop(self) -> None:
        """End all sessions, the ear's workers and the synthesizer."""
        for link in tuple(self._links):
            link.close()
        ear, mouth, self._ear, self._mouth = self._ear, self._mouth, None, None
        if ear is not None:
            await ear.stop()
        if mouth is not None:
            await mouth.close()
        if self._minds is not None:
            await self._minds.stop()

    def open(self, emit: Callable[[Event], None]) -> PocketLink:
        """A new session; the backend must have been started."""
        if self._ear is None or self._mouth is None:
            raise RuntimeError("pocket is not running: start() it before opening sessions")
        link = PocketLink(
            emit,
            ear=self._ear.session(),
            mind=self._make_mind(self._now),
            mouth=self._mouth,
            now=self._now,
            ahead_seconds=self._ahead,
            closed=self._links.discard,
        )
        self._links.add(link)
        return link
