"""One attempt at a reply: from the words it answers to the last clause, unless it is cancelled on the way.

ear accounts for the turn → brain plans → clause → mouth → Delta → clause → mouth → Delta … → End
                                │            └─ a tentative reply stops here until it is committed
                                └─ what the plan does is done when it is committed, and only then

Where the brain is elsewhere, its plan is a *dictation*: the clauses are cut out of text that is still being written,
and if the writing costs something it is not asked for before the reply is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import structlog

from duologue.audio import RATE, Wave, samples, seconds
from duologue.backends.contract import (
    Answers,
    Call,
    CallResult,
    Delta,
    End,
    Event,
    Failed,
    Message,
    Respond,
    Usage,
)
from duologue.backends.pocket.brain import Plan
from duologue.backends.pocket.hearing import EarLost, TurnHeard
from duologue.backends.pocket.mouth import Marks, Mouth, MouthError
from duologue.backends.pocket.mouth.clauses import clauses, pause
from duologue.backends.pocket.mouth.growing import Growing
from duologue.backends.pocket.parts import Dictation, Mind

log = structlog.get_logger("duologue.pocket")

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


class Attempt:
    """A reply being made. Cancelled, it never emits again."""

    def __init__(
        self,
        respond: Respond,
        turn: TurnHeard | None,
        *,
        mind: Mind,
        mouth: Mouth,
        emit: Callable[[Event], None],
        changed: Callable[[Attempt], None],
        ahead_seconds: float | None,
    ) -> None:
        """``changed`` is called once the plan is committed, and so the brain's state may be another."""
        self.respond = respond
        self.plan: Plan | Dictation | None = None
        self.committed = False
        """Whether the plan's effects are true."""
        self._turn = turn
        self._mind = mind
        self._mouth = mouth
        self._emit_event = emit
        self._changed = changed
        self._ahead = ahead_seconds
        self._cancelled = False
        self._go_on = asyncio.Event()
        self._held = False
        self._begun = 0.0
        self._spent = Spent(min(respond.ask.max_tokens or LONGEST, LONGEST))
        self._task = asyncio.create_task(self._run(), name=f"pocket reply {respond.epoch}")
        if not respond.tentative:
            self.commit()

    @property
    def busy(self) -> bool:
        """Whether it is being made; one that waits for its commit is not."""
        return not self._task.done() and not self._held

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it."""
        return self._task.done()

    def commit(self) -> None:
        """It is the reply: what it does becomes true as soon as it is planned."""
        if not self._cancelled:
            self._go_on.set()
            self._held = False
            self._begun = asyncio.get_running_loop().time()
            self._make_true()

    def heard(self, chars: int) -> None:
        """Only so many characters of it were heard, though it is committed."""
        if isinstance(self.plan, Plan):  # who dictates learns it from the history
            self._mind.heard(self.plan, chars)

    def cancel(self) -> None:
        """Stop at once; nothing more is emitted."""
        self._cancelled = True
        self._task.cancel()

    def _make_true(self) -> None:
        if self.plan is not None and self._go_on.is_set() and not self.committed and not self._cancelled:
            self.committed = True
            if isinstance(self.plan, Plan):
                self._mind.commit(self.plan)
            else:
                self.plan.commit()
            self._changed(self)

    def _emit(self, event: Event) -> None:
        if not self._cancelled:
            self._emit_event(event)

    # -- making it ---------------------------------------------------------------------------------------

    async def _run(self) -> None:
        epoch = self.respond.epoch
        try:
            end = await self._reply()
        except (MouthError, EarLost) as error:
            log.warning("reply failed", epoch=epoch, cause=str(error))
            self._emit(Failed(str(error), epoch=epoch))
        except Exception as error:
            # A fault in a skill must not leave the session waiting for a reply that never ends.
            log.exception("reply failed", epoch=epoch)
            self._emit(Failed(f"pocket could not make this reply: {type(error).__name__}: {error}", epoch=epoch))
        else:
            self._emit(end)

    async def _reply(self) -> End:
        respond = self.respond
        plan = await self._planned()
        self.plan = plan
        self._make_true()
        if isinstance(plan, Plan):
            if plan.silent:
                return End(respond.epoch, "silent", self._usage())
            async with aclosing(_planned_pieces(plan.clauses)) as pieces:
                whole = await self._say(pieces)
            calls = [plan.call] if plan.call is not None else []
        else:
            if plan.costly:
                await self._commitment()
            async with aclosing(plan.text()) as text, aclosing(_dictated_pieces(text)) as pieces:
                whole = await self._say(pieces)
            calls = list(plan.calls)
            whole = whole and plan.whole
        for name, arguments in calls:
            self._emit(Call(respond.epoch, name, arguments))
        return End(respond.epoch, "completed" if whole else "length", self._usage())

    async def _planned(self) -> Plan | Dictation:
        respond, mind = self.respond, self._mind
        if respond.token is not None:
            return mind.initiative(respond.token, ask=respond.ask, history=respond.history)
        if respond.idle:
            return mind.idle(ask=respond.ask, history=respond.history)
        utterance = None
        if self._turn is not None:
            utterance = await self._turn.utterance()
            self._emit(Answers(respond.epoch, utterance.text))
        await mind.look(respond.history)
        return mind.plan(
            utterance,
            ask=respond.ask,
            history=respond.history,
            since_exchange=respond.since_exchange,
            obliged=respond.obliged,
        )

    async def _commitment(self) -> None:
        """Wait until it is the reply."""
        if not self._go_on.is_set():
            self._held = True
            await self._go_on.wait()

    async def _say(self, pieces: AsyncIterable[Piece]) -> bool:
        """The reply in the form that is wanted; whether it was allowed all of it."""
        return await (self._speak(pieces) if self.respond.ask.speech else self._write(pieces))

    async def _write(self, pieces: AsyncIterable[Piece]) -> bool:
        async for text, _ in pieces:
            fitting = text if self._spent.fits(text, 0) else _cut(text, (), self._spent)[0]
            if fitting:
                self._spent.add(fitting, 0)
                self._emit(Delta(self.respond.epoch, fitting))
            if fitting != text:
                return False
            await asyncio.sleep(0)  # a count to a million must not keep others waiting
        return True

    async def _speak(self, pieces: AsyncIterable[Piece]) -> bool:
        ask = self.respond.ask
        voice = self._mouth.voice(ask.voice)
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
            if not self._spent.fits(text, len(wave)):
                fitting, sound = _cut(text, marks, self._spent)
                wave, marks = wave[:sound], tuple(mark for mark in marks if mark[0] <= sound)
            if fitting:
                self._spent.add(fitting, len(wave))
                self._emit(Delta(self.respond.epoch, fitting, wave if len(wave) else None, marks))
            if fitting != text:
                return False
        return True

    async def _room(self) -> None:
        """Wait while enough is made: a story that is broken off need not have been made."""
        if self._ahead is None:
            return
        if self._spent.sound >= HELD:
            await self._commitment()
        if self._go_on.is_set():
            said = asyncio.get_running_loop().time() - self._begun
            await asyncio.sleep(max(0.0, seconds(self._spent.sound) - said - self._ahead))

    def _usage(self) -> Usage:
        texts = [self.respond.ask.instructions]
        for item in self.respond.history:
            match item:
                case Message():
                    texts.append(item.text)
                case CallResult():
                    texts.append(item.output)
        return Usage(
            input_text=sum(len(text.split()) for text in texts),
            input_audio=self._turn.tokens if self._turn is not None else 0,
            output_text=self._spent.words,
            output_audio=self._spent.sound_tokens,
        )


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


async def _planned_pieces(planned: Iterable[str]) -> AsyncGenerator[Piece, None]:
    """The clauses of a plan; with single spaces between them they are the reply."""
    joints = _Joints()
    for long in planned:
        for clause in clauses(long, first=joints.first):
            if (piece := joints.piece(clause)) is not None:
                yield piece
        joints.space()


async def _dictated_pieces(text: AsyncIterable[str]) -> AsyncGenerator[Piece, None]:
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
