"""The backend of neural models: an engine process, its card, and sessions in it.

Every session has a seat in the engine; what a seat says becomes replies in :mod:`duologue.backends.frames` or
:mod:`duologue.backends.turns`, by the model's gait, or is taken as it is (:meth:`EngineBackend.join`) by an endpoint
that speaks in frames itself.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePath
from typing import Literal

import structlog

from duologue.backends.contract import Card, Event, NoRoom
from duologue.backends.frames import FrameLink
from duologue.backends.pocket.ear import open_ear, pocket_ear
from duologue.backends.pocket.mouth import Mouth, MouthError, choose_mouth
from duologue.backends.pocket.parts import Ear
from duologue.backends.turns.link import TurnLink
from duologue.ears.recognizer import EarError
from duologue.engine.messages import Ready, Spec
from duologue.engine.process import EngineProcess, Heard, Place, Unavailable

log = structlog.get_logger("duologue.engine")


def fitting_ear(ready: Ready) -> Ear:
    """pocket's own, of a model on a clock, which turns to nobody's words; of one that takes turns, for all English, and
    with as many workers as there are pairs of cores: a voice that is heard keeps a third of one busy."""
    return pocket_ear() if ready.facts is None else open_ear(min(max(2, (os.cpu_count() or 2) // 2), 8))


class EngineBackend:
    """See :class:`duologue.backends.contract.Backend`."""

    def __init__(
        self,
        spec: Spec,
        *,
        ear: Callable[[Ready], Ear] | None = fitting_ear,
        mouth: Callable[[], Mouth] = choose_mouth,
    ) -> None:
        """``ear`` makes what gives the person's words; ``None``: nothing does. ``mouth`` makes what reads aloud for a
        model that only writes."""
        self._spec = spec
        self._engine = EngineProcess(spec)
        self._make_ear = ear
        self._make_mouth = mouth
        self._ear: Ear | None = None
        self._mouth: Mouth | None = None
        self._links: set[FrameLink | TurnLink] = set()

    @property
    def engine(self) -> EngineProcess:
        """The process."""
        return self._engine

    @property
    def card(self) -> Card:
        """What it can do; most of it is known once it is started."""
        name = PurePath(self._spec.model.partition("@")[0]).name
        ready = self._engine.ready
        if ready is None:
            return Card(name, name, (), ("audio",), ("audio", "text"), (), False, "", gait="frame")
        common = Card(
            name=name,
            title=ready.title,
            languages=ready.languages,
            input_modalities=("audio",),
            output_modalities=("audio", "text"),
            voices=ready.voices or ("own",),
            tools=False,
            licence=ready.licence,
            notes=self._notes(ready),
            gait="frame",
        )
        if ready.facts is None:
            return common
        mute = ready.facts.says is None
        return replace(
            common,
            input_modalities=("audio", "text", "image"),
            output_modalities=("text",) if mute and self._mouth is None else ("audio", "text"),
            voices=self._mouth.voices if self._mouth is not None else common.voices,
            gait="turn",
            hears=True,
        )

    def _notes(self, ready: Ready) -> str:
        heard = (
            "Transcripts of the person are the runtime's, by PocketSphinx, in English."
            if self._ear
            else "There are no transcripts of the person."
        )
        where = f"On {ready.device} in {ready.dtype}."
        if ready.facts is None:
            persona = "make it begin a new dialogue" if ready.prompted else "are without effect"
            return f"{where} Instructions and voice {persona}. {heard}"
        notes = [where, f"A dialogue has {ready.facts.context} positions."]
        if not ready.facts.instructions:
            notes.append("Instructions are without effect.")
        if ready.facts.history == "untrained":
            notes.append("It was trained on single turns; session.duologue.history tells it of earlier ones.")
        if not ready.facts.pictures:
            notes.append("It does not see: the runtime tells it the colours and simple shapes of a picture.")
        if self._mouth is not None:
            notes.append(f"What it writes is read aloud by {self._mouth.name}.")
        return " ".join([*notes, heard])

    async def start(self) -> None:
        """Start the engine, the ear, and the mouth where one is needed. Raises ``EngineError``; without an ear or a
        mouth it goes on."""
        await self._engine.start()
        ready = self._engine.ready
        assert ready is not None
        if ready.facts is not None and ready.facts.says is None:
            try:
                self._mouth = await asyncio.to_thread(self._make_mouth)
            except MouthError as error:
                log.warning("there is nothing to speak with; the model will only write", error=str(error))
        if self._make_ear is None:
            return
        ear = self._make_ear(ready)
        try:
            await ear.start()
        except EarError as error:
            log.warning("the ear does not start; there will be no transcripts", error=str(error))
        else:
            self._ear = ear

    async def stop(self) -> None:
        """End all sessions, the engine, the ear and the mouth."""
        for link in tuple(self._links):
            link.close()
        await self._engine.stop()
        ear, mouth, self._ear, self._mouth = self._ear, self._mouth, None, None
        if ear is not None:
            await ear.stop()
        if mouth is not None:
            await mouth.close()

    def open(self, emit: Callable[[Event], None]) -> FrameLink | TurnLink:
        """A new session. Raises :class:`NoRoom`."""
        ready = self._engine.ready
        if ready is None:
            raise RuntimeError("the engine is not running: start() it before opening sessions")
        ear = None if self._ear is None else self._ear.session()
        link: FrameLink | TurnLink
        if ready.facts is not None:
            link = TurnLink(
                emit, join=self.join, facts=ready.facts, ear=ear, mouth=self._mouth, closed=self._links.discard
            )
        else:
            link = FrameLink(
                emit,
                join=self.join,
                voices=ready.voices,
                prompted=ready.prompted,
                ear=ear,
                closed=self._links.discard,
            )
        self._links.add(link)
        return link

    def join(
        self,
        on_event: Callable[[Heard], None],
        *,
        manner: Literal["live", "kyutai"] = "live",
        hushed: bool = False,
        voice: str = "",
        instructions: str = "",
        seed: int | None = None,
    ) -> Place:
        """A seat in the engine, as it is. Raises :class:`NoRoom`."""
        try:
            return self._engine.join(
                on_event, manner=manner, hushed=hushed, voice=voice, instructions=instructions, seed=seed
            )
        except Unavailable as error:
            raise NoRoom(str(error)) from error
