"""The backend of neural models: an engine process, its card, and sessions in it.

Every session has a seat in the engine; what a seat says becomes replies in :mod:`duologue.backends.frames`, or is taken
as it is (:meth:`EngineBackend.join`) by an endpoint that speaks in frames itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Literal

import structlog

from duologue.backends.contract import Card, Event, NoRoom
from duologue.backends.frames import FrameLink
from duologue.backends.pocket.ear import PocketEar, pocket_ear
from duologue.ears.recognizer import EarError
from duologue.engine.messages import Ready, Spec
from duologue.engine.process import EngineProcess, Heard, Place, Unavailable

log = structlog.get_logger("duologue.engine")


class EngineBackend:
    """See :class:`duologue.backends.contract.Backend`."""

    def __init__(self, spec: Spec, *, ear: Callable[[], PocketEar] | None = pocket_ear) -> None:
        """``ear`` makes what transcribes the person's turns; ``None``: nothing does."""
        self._spec = spec
        self._engine = EngineProcess(spec)
        self._make_ear = ear
        self._ear: PocketEar | None = None
        self._links: set[FrameLink] = set()

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
        return Card(
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

    def _notes(self, ready: Ready) -> str:
        persona = "make it begin a new dialogue" if ready.prompted else "are without effect"
        transcripts = "Transcripts of the person are the runtime's, by PocketSphinx, in English."
        heard = transcripts if self._ear else "There are no transcripts of the person."
        return f"On {ready.device} in {ready.dtype}. Instructions and voice {persona}. {heard}"

    async def start(self) -> None:
        """Start the engine, and the ear. Raises ``EngineError``; without an ear it goes on."""
        await self._engine.start()
        if self._make_ear is None:
            return
        ear = self._make_ear()
        try:
            await ear.start()
        except EarError as error:
            log.warning("the ear does not start; there will be no transcripts", error=str(error))
        else:
            self._ear = ear

    async def stop(self) -> None:
        """End all sessions, the engine and the ear."""
        for link in tuple(self._links):
            link.close()
        await self._engine.stop()
        ear, self._ear = self._ear, None
        if ear is not None:
            await ear.stop()

    def open(self, emit: Callable[[Event], None]) -> FrameLink:
        """A new session. Raises :class:`NoRoom`."""
        ready = self._engine.ready
        if ready is None:
            raise RuntimeError("the engine is not running: start() it before opening sessions")
        link = FrameLink(
            emit,
            join=self.join,
            voices=ready.voices,
            prompted=ready.prompted,
            ear=None if self._ear is None else self._ear.session(),
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
        """A seat in the engine, frames as they are. Raises :class:`NoRoom`."""
        try:
            return self._engine.join(
                on_event, manner=manner, hushed=hushed, voice=voice, instructions=instructions, seed=seed
            )
        except Unavailable as error:
            raise NoRoom(str(error)) from error
