"""The parts that pocket is made of, by what they offer: an ear, a brain and a mouth (:mod:`.mouth`).

Each can be replaced, say by a small trained model, without the others noticing. All are called on the event loop.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from typing import Protocol

from duologue.audio import Wave
from duologue.backends.contract import Ask, HistoryItem, Strictness
from duologue.backends.pocket.brain import Judgement, Plan, Utterance, Want

# -- the ear ------------------------------------------------------------------------------------------


class Words(Protocol):
    """What an utterance says, as far as it was heard."""

    @property
    def text(self) -> str:
        """Lower-case words, separated by spaces."""

    @property
    def until(self) -> int:
        """Samples (24 kHz) of the utterance that are accounted for."""

    @property
    def final(self) -> bool:
        """Whether the utterance is finished; nothing follows."""

    @property
    def confidence(self) -> float | None:
        """How sure the ear is of ``text``, 0 to 1; ``None``: it cannot say."""

    @property
    def open_text(self) -> str | None:
        """The same with an open vocabulary, where the ear has a second opinion."""

    @property
    def interjection(self) -> str | None:
        """Which interjection it is most like, as long as it is no longer than one."""

    @property
    def clarity(self) -> float | None:
        """How directly the voice comes, in dB: a far one comes by way of the walls; ``None``: it cannot say."""


class Listening(Protocol):
    """One utterance on its way through the ear."""

    def push(self, wave: Wave) -> None:
        """More of it, 24 kHz. Never blocks."""

    def finish(self) -> None:
        """It is over; final :class:`Words` follow."""

    def drop(self) -> None:
        """It is not wanted any more; nothing follows."""

    @property
    def pending(self) -> bool:
        """Whether sound was pushed that no words account for yet, or final words are owed."""


class SessionEar(Protocol):
    """One session's ear: it may learn voice and room from one utterance to the next."""

    def open(self, on_words: Callable[[Words], None], on_lost: Callable[[str], None]) -> Listening:
        """A new utterance. ``on_lost`` is told, at most once, why it was lost; nothing follows then.

        Neither is called from within a call to the ear.
        """


class Ear(Protocol):
    """Speech to words, for many sessions at once."""

    async def start(self) -> None:
        """Be ready to listen; raises an error that names the cause and the remedy."""

    async def stop(self) -> None:
        """Listen no more."""

    def session(self) -> SessionEar:
        """A new session's ear."""


# -- the brain -----------------------------------------------------------------------------------------


class Dictation(Protocol):
    """A reply that somebody else writes while it is being spoken."""

    @property
    def costly(self) -> bool:
        """Whether asking for it costs something: then that waits until the reply is committed."""

    def text(self) -> AsyncGenerator[str, None]:
        """Its text, in pieces as they are written. To be asked once; closing the generator stops the writing."""

    @property
    def whole(self) -> bool:
        """Once the text is through: whether it came to its own end, and was not cut for length."""

    @property
    def calls(self) -> Sequence[tuple[str, str]]:
        """Once the text is through: functions of the client's to call, (name, arguments as a JSON object)."""

    def commit(self) -> None:
        """It is the reply."""


class Mind(Protocol):
    """One session's brain. It does no I/O in planning; a plan changes nothing until it is committed."""

    def configure(self, instructions: str, strictness: Strictness) -> None:
        """What the client wants it to be."""

    def judge(self, text: str) -> Judgement:
        """What the words of an unfinished utterance amount to. Asked at every hypothesis."""

    async def look(self, history: Sequence[HistoryItem]) -> None:
        """See what pictures it must before it plans an answer after this history; that may take a while."""

    def plan(
        self,
        utterance: Utterance | None,
        *,
        ask: Ask,
        history: Sequence[HistoryItem],
        since_exchange: float | None,
        obliged: bool,
    ) -> Plan | Dictation:
        """A reply to ``utterance``, or to the history where there is none."""

    def initiative(self, token: str, *, ask: Ask, history: Sequence[HistoryItem]) -> Plan | Dictation:
        """What it wanted to say (:meth:`wants`)."""

    def idle(self, *, ask: Ask, history: Sequence[HistoryItem]) -> Plan | Dictation:
        """What to say to somebody who has been silent for long."""

    def commit(self, plan: Plan) -> None:
        """The plan is the reply: what it does is done now."""

    def heard(self, plan: Plan, chars: int) -> None:
        """Only so many characters of a committed plan's text were heard."""

    def wants(self) -> Sequence[Want]:
        """What it will want to say of its own accord, and when."""


class Minds(Protocol):
    """Where the sessions' minds come from, if not from here: a model at some other address."""

    @property
    def title(self) -> str:
        """Who thinks, for people to read."""

    async def start(self) -> None:
        """Be ready to think; raises an error that names the cause and the remedy."""

    async def stop(self) -> None:
        """Think no more."""

    def mind(self, now: Callable[[], datetime]) -> Mind:
        """A new session's mind."""
