"""A reply's way to the listener: clauses become deltas, as early as they are wanted and as far as they are allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import structlog

from duologue.audio import RATE, Wave, samples, seconds
from duologue.backends.contract import Ask, Delta, End, Epoch, Event, Failed
from duologue.backends.pocket.mouth import Marks, Mouth
from duologue.backends.pocket.mouth.clauses import clauses, pause
from duologue.backends.pocket.mouth.growing import Growing

log = structlog.get_logger("duologue.reply")

SAMPLES_A_TOKEN = RATE // 20
"""Sound that is said is counted as one token per 50 ms; a word of text is one token."""

LONGEST = 12_000
"""Tokens after which any reply ends, asked for or not: nine minutes of speech."""

Piece: TypeAlias = tuple[str, float]
"""A clause of the reply, with the space in front of it, and the seconds of silence that go before it."""

HELD = samples(1.0)
"""Of a tentative reply so much is made ready; the rest can be made while this is heard."""


@dataclass(slots=True)
class Spent:
    """What a reply has cost so far, of what it may."""

    limit: int
    words: int = 0
    sound: int = 0
    """Samples."""

    def fits(self, text: str, sound: int) -> bool:
        """Whether a further piece with so much text and sound stays within the limit."""
        tokens = -(-(self.sound + sound) // SAMPLES_A_TOKEN)
        return self.words + len(text.split()) + tokens <= self.limit

    def add(self, text: str, sound: int) -> None:
        """That piece was said."""
        self.words += len(text.split())
        self.sound += sound

    @property
    def sound_tokens(self) -> int:
        return -(-self.sound // SAMPLES_A_TOKEN)


class Voicing:
    """One reply's."""

    def __init__(
        self,
        epoch: Epoch,
        ask: Ask,
        *,
        mouth: Mouth,
        emit: Callable[[Delta], None],
        ahead_seconds: float | None,
        limit: int | None = None,
    ) -> None:
        """``ahead_seconds`` of it are made before they can have been heard; ``None``: all of it at once. ``limit``: the
        most tokens that it may take."""
        self.spent = Spent(min(limit or LONGEST, LONGEST))
        self.waiting = False
        """Whether it rests until the reply is committed."""
        self._epoch = epoch
        self._ask = ask
        self._mouth = mouth
        self._emit = emit
        self._ahead = ahead_seconds
        self._go_on = asyncio.Event()
        self._begun = 0.0

    @property
    def committed(self) -> bool:
        """Whether it is the reply."""
        return self._go_on.is_set()

    def commit(self) -> None:
        """It is the reply, and being heard from now on."""
        self._go_on.set()
        self.waiting = False
        self._begun = asyncio.get_running_loop().time()

    async def commitment(self) -> None:
        """Wait until it is the reply."""
        if not self._go_on.is_set():
            self.waiting = True
            await self._go_on.wait()

    async def say(self, pieces: AsyncIterable[Piece]) -> bool:
        """The reply in the form that is wanted; whether it was allowed all of it."""
        return await (self._speak(pieces) if self._ask.speech else self._write(pieces))

    async def _write(self, pieces: AsyncIterable[Piece]) -> bool:
        async for text, _ in pieces:
            fitting = text if self.spent.fits(text, 0) else _cut(text, (), self.spent)[0]
            if fitting:
                self.spent.add(fitting, 0)
                self._emit(Delta(self._epoch, fitting))
            if fitting != text:
                return False
            await asyncio.sleep(0)  # a count to a million must not keep others waiting
        return True

    async def _speak(self, pieces: AsyncIterable[Piece]) -> bool:
        ask, voice = self._ask, self._mouth.voice(self._ask.voice)
        async for text, gap in pieces:
            await self._room()
            # The space in front of a clause belongs to its text, the pause in front of it to its sound.
            spaces = len(text) - len(text.lstrip())
            speech = await self._mouth.say(text[spaces:], voice=voice, speed=ask.speed)
            silence = samples(gap / ask.speed)
            wave: Wave = np.concatenate((np.zeros(silence, np.float32), speech.wave))
            marks: Marks = tuple((at + silence, chars + spaces) for at, chars in speech.marks)
            if not len(speech.wave):
                wave, marks = speech.wave, ()
            fitting = text
            if not self.spent.fits(text, len(wave)):
                fitting, sound = _cut(text, marks, self.spent)
                wave, marks = wave[:sound], tuple(mark for mark in marks if mark[0] <= sound)
            if fitting:
                self.spent.add(fitting, len(wave))
                self._emit(Delta(self._epoch, fitting, wave if len(wave) else None, marks))
            if fitting != text:
                return False
        return True

    async def _room(self) -> None:
        """Wait while enough is made: a story that is broken off need not have been made."""
        if self._ahead is None:
            return
        if self.spent.sound >= HELD:
            await self.commitment()
        if self._go_on.is_set():
            said = asyncio.get_running_loop().time() - self._begun
            await asyncio.sleep(max(0.0, seconds(self.spent.sound) - said - self._ahead))


async def conclude(
    epoch: Epoch,
    making: Callable[[], Awaitable[End]],
    emit: Callable[[Event], None],
    foreseen: tuple[type[Exception], ...],
) -> None:
    """Tell how a reply ends: as ``making`` says, or that it failed; of what is ``foreseen`` the words say why."""
    try:
        end = await making()
    except foreseen as error:
        log.warning("reply failed", epoch=epoch, cause=str(error))
        emit(Failed(str(error), epoch=epoch))
    except Exception as error:
        # A fault of ours must not leave the session waiting for a reply that never ends.
        log.exception("reply failed", epoch=epoch)
        emit(Failed(f"this reply could not be made: {type(error).__name__}: {error}", epoch=epoch))
    else:
        emit(end)


class _Joints:
    """What lies between clauses: the space in front of each as text, the pause in front of each as sound."""

    def __init__(self) -> None:
        self.first = True
        """Whether nothing was said so far."""
        self._gap = 0.0
        self._spaces = ""

    def piece(self, clause: str) -> Piece | None:
        """The clause (the white space behind it included) with what lies in front of it; ``None``: only space."""
        bare = clause.rstrip()
        if not bare:
            self._spaces += clause
            return None
        piece = (self._spaces + bare, self._gap)
        self._gap, self._spaces, self.first = pause(clause), clause[len(bare) :], False
        return piece

    def space(self) -> None:
        """A space follows."""
        self._spaces += " "


async def planned_pieces(planned: Iterable[str]) -> AsyncGenerator[Piece, None]:
    """The clauses of a plan; with single spaces between them they are the reply."""
    joints = _Joints()
    for long in planned:
        for clause in clauses(long, first=joints.first):
            if (piece := joints.piece(clause)) is not None:
                yield piece
        joints.space()


async def dictated_pieces(text: AsyncIterable[str]) -> AsyncGenerator[Piece, None]:
    """The clauses of a text, each as soon as it is there."""
    joints, growing = _Joints(), Growing()
    async for more in text:
        for clause in growing.push(more):
            if (piece := joints.piece(clause)) is not None:
                yield piece
    for clause in growing.finish():
        if (piece := joints.piece(clause)) is not None:
            yield piece


def _cut(text: str, marks: Marks, spent: Spent) -> tuple[str, int]:
    """The longest beginning of ``text`` (and its sound, by ``marks``) that may still be said."""
    ends = marks or tuple((0, at) for at in range(1, len(text) + 1) if at == len(text) or text[at].isspace())
    for sound, chars in reversed(ends):
        if spent.fits(text[:chars], sound):
            return text[:chars], sound
    return "", 0
