"""One attempt at a reply of a model that takes turns.

The engine begins at once, while the ear still accounts for the last words: if they turn out not to be meant for the
model, what was begun is stopped, and nobody has heard of it.

    Answer ─→ engine: reads the prompt, begins, rests after a second until it is confirmed
       ╲
        words ─→ for us? ─┬─ no:  Stop, silence
                          └─ yes: Spoke → Delta; Confirm once the reply is committed

What a model only writes goes through the mouth, clause by clause, as it is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

from duologue.backends.contract import Delta, End, Event, Respond, Usage
from duologue.backends.pocket.mouth import Mouth, MouthError
from duologue.backends.pocket.voicing import SAMPLES_A_TOKEN, Voicing, conclude, dictated_pieces
from duologue.engine.messages import Answer, Confirm, Ended, Refused, Spoke, Stop, Told
from duologue.engine.process import Place

AHEAD = 8.0
"""Seconds of a reply that are made ahead of the moment at which they are heard."""


class CannotAnswer(RuntimeError):
    """The model cannot make this reply; the message says why."""


class TurnReply:
    """A reply being made. Cancelled, it never emits again."""

    def __init__(
        self,
        respond: Respond,
        *,
        place: Place,
        lines: Callable[[], Awaitable[Sequence[Told]]],
        meant: Callable[[], Awaitable[bool]],
        mouth: Mouth | None,
        emit: Callable[[Event], None],
    ) -> None:
        """``lines`` is what the model is told, ``meant`` whether what was said is for it; ``mouth`` reads aloud what it
        writes, where it does not speak itself. ``emit`` is given nothing after :meth:`cancel`."""
        self.respond = respond
        self.committed = False
        self._place = place
        self._lines = lines
        self._meant = meant
        self._emit_event = emit
        self._cancelled = False
        self._asked = self._for_us = False
        self._sound = 0
        """Samples that it said."""
        self._ended: Ended | None = None
        self._told: asyncio.Queue[Spoke | Ended | Refused] = asyncio.Queue()
        self._voicing = None
        if mouth is not None and respond.ask.speech:
            self._voicing = Voicing(respond.epoch, respond.ask, mouth=mouth, emit=self._emit, ahead_seconds=AHEAD)
        self._task = asyncio.create_task(self._run(), name=f"reply {respond.epoch}")

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it."""
        return self._task.done()

    def commit(self) -> None:
        """It is the reply."""
        self.committed = True
        self._confirm()

    def cancel(self) -> None:
        """Stop at once; nothing more is emitted."""
        self._cancelled = True
        self._task.cancel()
        self._stop()

    def told(self, event: Spoke | Ended | Refused) -> None:
        """The engine has more of it."""
        self._told.put_nowait(event)

    def _confirm(self) -> None:
        if self.committed and self._for_us and not self._cancelled:
            self._place.order(Confirm(self._place.seat, self.respond.epoch))
            if self._voicing is not None:
                self._voicing.commit()

    def _stop(self) -> None:
        """The engine need do no more for it, or is told that what it did is not heard."""
        if self._asked and (self._ended is None or not (self.committed and self._for_us)):
            self._asked = False
            self._place.order(Stop(self._place.seat, self.respond.epoch))

    def _emit(self, event: Event) -> None:
        if not self._cancelled:
            self._emit_event(event)

    # -- making it ---------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await conclude(self.respond.epoch, self._reply, self._emit, (CannotAnswer, MouthError))
        finally:
            self._stop()

    async def _reply(self) -> End:
        respond, ask = self.respond, self.respond.ask
        lines = tuple(await self._lines())
        ahead = AHEAD if ask.speech and self._voicing is None else None
        order = Answer(
            self._place.seat, respond.epoch, lines, ask.speech, ask.max_tokens, tentative=True, ahead=ahead
        )
        self._place.order(order)
        self._asked = True
        if not await self._meant():
            return End(respond.epoch, "silent")
        self._for_us = True
        self._confirm()
        whole = True
        async with aclosing(self._spoken()) as spoken:
            if self._voicing is None:
                async for spoke in spoken:
                    self._sound += 0 if spoke.wave is None else len(spoke.wave)
                    self._emit(Delta(respond.epoch, spoke.text, spoke.wave, spoke.marks))
            else:
                async with aclosing(_texts(spoken)) as texts, aclosing(dictated_pieces(texts)) as pieces:
                    whole = await self._voicing.say(pieces)
                self._sound = self._voicing.spent.sound
        cut = not whole or self._ended is None or self._ended.reason == "length"
        return End(respond.epoch, "length" if cut else "completed", self._usage())

    async def _spoken(self) -> AsyncGenerator[Spoke, None]:
        """What the engine says of it, to its end. Raises :class:`CannotAnswer`."""
        while True:
            match await self._told.get():
                case Spoke() as spoke:
                    yield spoke
                case Refused() as refused:
                    self._asked = False
                    raise CannotAnswer(refused.message)
                case Ended() as ended:
                    self._ended = ended
                    return

    def _usage(self) -> Usage:
        sound = -(-self._sound // SAMPLES_A_TOKEN)
        if (ended := self._ended) is None:
            return Usage(output_audio=sound)
        return Usage(
            input_text=ended.read - ended.sounds - ended.pictures,
            input_audio=ended.sounds,
            input_image=ended.pictures,
            output_text=ended.written,
            output_audio=sound,
        )


async def _texts(spoken: AsyncGenerator[Spoke, None]) -> AsyncGenerator[str, None]:
    async for spoke in spoken:
        yield spoke.text
