"""What a turn's hypotheses say of interjections: words that make no sense, beside what they may be instead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest
from tests.pocket.parts import Word

from duologue.audio import Wave
from duologue.backends.contract import Event, Hypothesis
from duologue.backends.pocket import english
from duologue.backends.pocket.brain import Brain
from duologue.backends.pocket.hearing import TurnHeard
from duologue.backends.pocket.parts import Words


class Ear:
    """Hears what it is told to."""

    pending = True

    def open(self, on_words: Callable[[Words], None], on_lost: Callable[[str], None]) -> Ear:
        self.hear = on_words
        return self

    def push(self, wave: Wave) -> None:
        return None

    def finish(self) -> None:
        return None


@pytest.mark.parametrize(
    ("text", "confidence", "interjection", "heard", "backchannel"),
    [
        ("shut", 0.3, "stop", "stop", False),
        ("spell the", 0.3, "stop it", "spell the", False),
        ("shut", 0.3, None, "shut", None),
        ("emma", 0.3, "mhm", "emma", True),
        ("bye", 0.3, "right", "bye", None),
        ("stop", 0.3, "sure", "stop", False),
        ("yeah", 0.3, "wait", "yeah", True),
        ("flip a coin", 0.3, "right", "flip a coin", False),
        ("the car is", 0.3, "wait", "the car is", False),
        ("red car", 0.7, "yeah", "red car", False),
        ("", None, "stop", "", False),
    ],
)
def test_an_interjection_tells_what_the_words_do_not(
    text: str, confidence: float | None, interjection: str | None, heard: str, backchannel: bool | None
) -> None:
    told: list[Event] = []
    ear = Ear()
    TurnHeard(1, 0, ear=ear, judge=Brain(now=datetime.now).judge, emit=told.append)  # type: ignore[arg-type]
    ear.hear(Word(text, 2400, confidence=confidence, interjection=interjection))
    (hypothesis,) = told
    assert isinstance(hypothesis, Hypothesis)
    assert (hypothesis.text, hypothesis.backchannel) == (heard, backchannel)


async def test_beside_a_model_that_hears_words_are_for_the_floor_and_to_be_read() -> None:
    told: list[Event] = []
    ear = Ear()
    turn = TurnHeard(1, 0, ear=ear, judge=english.judge, emit=told.append, beside=True)  # type: ignore[arg-type]
    turn.push(np.zeros(2400, np.float32))
    ear.hear(Word("what word the cause", 2400, confidence=0.1))
    assert isinstance(told[-1], Hypothesis) and told[-1].complete is None, "words that may be anything end no turn"
    ear.hear(Word("what word the cause", 2400, confidence=0.1, open_text="what were the causes"))
    assert (told[-1].text, told[-1].complete) == ("what were the causes", True), "the open ear's may"
    ear.hear(Word("what is the time", 2400, confidence=0.9))
    assert (told[-1].text, told[-1].complete) == ("what is the time", True)
    ear.hear(Word("what word the cause", 2400, confidence=0.1))
    turn.end()
    async with asyncio.timeout(1):
        assert (await turn.utterance()).text == "what word the cause", "nobody waits for the last words"
    ear.hear(Word("what word the cause", 2400, final=True, confidence=0.1, open_text="what were the causes"))
    assert isinstance(told[-1], Hypothesis) and told[-1].final
    assert told[-1].text == "what were the causes"
