"""One turn in pocket's ear: what was pushed, what the words account for, and who waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

import structlog

from duologue.audio import RATE, Wave
from duologue.backends.contract import Event, Failed, Hypothesis, Turn
from duologue.backends.pocket.brain import Judgement, Utterance, interjections
from duologue.backends.pocket.parts import SessionEar, Words

log = structlog.get_logger("duologue.pocket")

Judge: TypeAlias = Callable[[str], Judgement]
"""What the words of an unfinished utterance amount to."""

SAMPLES_A_TOKEN = RATE // 10
"""Sound that the person made is counted as one token per 100 ms."""


class EarLost(RuntimeError):
    """The ear lost a turn; the message says why."""


UNSURE = 0.5
"""Below this confidence words that look unfinished may as well be whole and misheard."""


def _unsure(words: Words) -> bool:
    return words.confidence is not None and words.confidence < UNSURE


def _complete(complete: bool | None, words: Words) -> bool | None:
    """The brain's judgement, as far as the ear is sure of the words."""
    return None if complete is False and _unsure(words) else complete


CLEAR = 0.6
"""From this confidence two words that make no sense are words all the same, and no hum misheard."""


FEW = 2
"""So many words at most an interjection is misheard as."""


def _backchannel(judgement: Judgement, words: Words) -> bool | None:
    """The brain's judgement, and where it has none the ear's."""
    count = len(words.text.split())
    clear = words.confidence is not None and words.confidence >= CLEAR and count > 1
    if judgement.backchannel is None and clear:
        return False
    if words.interjection is None or not 0 < count <= FEW:
        return judgement.backchannel
    wants = interjections.wants_floor(words.interjection)
    if judgement.backchannel is None:
        return not wants
    misheard = judgement.backchannel is False and count == 1 and not interjections.wants_floor(words.text)
    return None if misheard and not wants else judgement.backchannel


def _text(judgement: Judgement, words: Words) -> str:
    """The words; of a single one that makes no sense, the interjection that it must be instead."""
    lonely = judgement.backchannel is None and len(words.text.split()) == 1
    if lonely and words.interjection is not None and interjections.wants_floor(words.interjection):
        return words.interjection
    return words.text


class TurnHeard:
    """A turn from its first sound until nobody can ask for an answer to it any more."""

    def __init__(
        self,
        id_: Turn,
        start: int,
        *,
        ear: SessionEar,
        judge: Judge,
        emit: Callable[[Event], None],
        beside: bool = False,
    ) -> None:
        """``beside``: who answers hears for himself, and anything may be said. Then the first ear's words say whether
        somebody wants the floor, and where it is not sure of them only the open ear's, if it has any, whether a turn is
        complete. The open ear's are also those to be read; nobody waits for them."""
        self.id = id_
        self.pushed = 0
        """Samples given to the ear."""
        self._start = start
        self._judge = judge
        self._beside = beside
        self._emit = emit
        self._words: Words | None = None
        self._text = ""
        self._lost: str | None = None
        self.ended = False
        """Whether it is over, though its final words may still be owed."""
        self._news = asyncio.Event()
        self._listening = ear.open(self._on_words, self._on_lost)

    @property
    def tokens(self) -> int:
        """What its sound counts for."""
        return -(-self.pushed // SAMPLES_A_TOKEN)

    @property
    def final(self) -> bool:
        """Whether nothing more will be heard of it."""
        return self._lost is not None or (self._words is not None and self._words.final)

    @property
    def busy(self) -> bool:
        """Whether the ear owes words."""
        return not self.final and (self.ended or self._listening.pending)

    def push(self, wave: Wave) -> None:
        """More of its sound; that of a lost turn goes nowhere."""
        if self.ended:
            raise ValueError(f"turn {self.id} has ended; sound after it belongs to another turn")
        self.pushed += len(wave)
        if self._lost is None:
            self._listening.push(wave)

    def end(self) -> None:
        """It is over: final words follow."""
        self.ended = True
        if self._lost is None:
            self._listening.finish()

    def drop(self) -> None:
        """It was nothing: the ear is free, and who waits for words waits in vain."""
        if not self.final:
            self._listening.drop()
            self._lost = f"turn {self.id} was dropped before its words were known"
            self._news.set()

    async def utterance(self) -> Utterance:
        """Its words, once all sound pushed so far is accounted for. Raises :class:`EarLost`."""
        target = self.pushed
        while not self._accounts_for(target):
            self._news.clear()
            await self._news.wait()
        if self._lost is not None:
            raise EarLost(self._lost)
        words = self._words
        if words is None:
            return Utterance("")
        return Utterance(
            self._text, confidence=words.confidence, open_text=words.open_text, clarity=words.clarity
        )

    def _accounts_for(self, target: int) -> bool:
        if self.final:
            return True
        if self.ended and not self._beside:
            return False  # the final words are on their way, and better
        return not self._listening.pending or (self._words is not None and self._words.until >= target)

    def _on_words(self, words: Words) -> None:
        try:
            judgement = self._judge(words.text)
            text = _text(judgement, words)
            complete = _complete((judgement if text == words.text else self._judge(text)).complete, words)
            if self._beside and text == words.text and _unsure(words):
                complete = self._judge(words.open_text).complete if words.open_text else None
        except Exception as error:
            # The ear that calls listens for other sessions too; a fault in this one's brain is not its affair.
            log.exception("hypothesis could not be judged", turn=self.id, text=words.text)
            self._listening.drop()
            self._on_lost(f"pocket could not make sense of this turn: {type(error).__name__}: {error}")
            return
        if self._beside and text == words.text and words.open_text:
            text = words.open_text
        self._words, self._text = words, text
        self._news.set()
        self._emit(
            Hypothesis(
                self.id,
                text,
                until=self._start + words.until,
                final=words.final,
                complete=complete,
                backchannel=_backchannel(judgement, words),
            )
        )

    def _on_lost(self, message: str) -> None:
        self._lost = message
        self._news.set()
        self._emit(Failed(message, turn=self.id))
