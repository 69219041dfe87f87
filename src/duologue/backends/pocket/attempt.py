"""One attempt at a reply: from the words it answers to the last clause, unless it is cancelled on the way.

ear accounts for the turn → brain plans → clause → mouth → Delta → clause → mouth → Delta … → End
                                │            └─ a tentative reply stops here until it is committed
                                └─ what the plan does is done when it is committed, and only then

Where the brain is elsewhere, its plan is a *dictation*: the clauses are cut out of text that is still being written,
and if the writing costs something it is not asked for before the reply is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from duologue.backends.contract import (
    Answers,
    Call,
    CallResult,
    End,
    Event,
    Message,
    Respond,
    Usage,
)
from duologue.backends.pocket.brain import Plan
from duologue.backends.pocket.hearing import EarLost, TurnHeard
from duologue.backends.pocket.mouth import Mouth, MouthError
from duologue.backends.pocket.parts import Dictation, Mind
from duologue.backends.pocket.voicing import Voicing, conclude, dictated_pieces, planned_pieces


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
        self._emit_event = emit
        self._changed = changed
        self._cancelled = False
        self._voicing = Voicing(
            respond.epoch,
            respond.ask,
            mouth=mouth,
            emit=self._emit,
            ahead_seconds=ahead_seconds,
            limit=respond.ask.max_tokens,
        )
        self._task = asyncio.create_task(
            conclude(respond.epoch, self._reply, self._emit, (MouthError, EarLost)), name=f"reply {respond.epoch}"
        )
        if not respond.tentative:
            self.commit()

    @property
    def busy(self) -> bool:
        """Whether it is being made; one that waits for its commit is not."""
        return not self._task.done() and not self._voicing.waiting

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it."""
        return self._task.done()

    def commit(self) -> None:
        """It is the reply: what it does becomes true as soon as it is planned."""
        if not self._cancelled:
            self._voicing.commit()
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
        if self.plan is not None and self._voicing.committed and not self.committed and not self._cancelled:
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

    async def _reply(self) -> End:
        respond = self.respond
        plan = await self._planned()
        self.plan = plan
        self._make_true()
        if isinstance(plan, Plan):
            if plan.silent:
                return End(respond.epoch, "silent", self._usage())
            async with aclosing(planned_pieces(plan.clauses)) as pieces:
                whole = await self._voicing.say(pieces)
            calls = [plan.call] if plan.call is not None else []
        else:
            if plan.costly:
                await self._voicing.commitment()
            async with aclosing(plan.text()) as text, aclosing(dictated_pieces(text)) as pieces:
                whole = await self._voicing.say(pieces)
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
            output_text=self._voicing.spent.words,
            output_audio=self._voicing.spent.sound_tokens,
        )
