"""What a turn's hypotheses say of interjections: words that make no sense, beside what they may be instead."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from tests.pocket.parts import Word

from duologue.backends.contract import Event, Hypothesis
from duologue.backends.pocket.brain import Brain
from duologue.backends.pocket.hearing import TurnHeard
from duologue.backends.pocket.parts import Words


class Ear:
    """Hears what it is told to."""

    def open(self, on_words: Callable[[Words], None], on_lost: Callable[[str], None]) -> Ear:
        self.hear = on_words
        return self


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
