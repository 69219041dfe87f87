"""Is this said to us? The little that words alone tell about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from duologue.backends.contract import Strictness
from duologue.backends.pocket.brain.persona import DEFAULT_NAME
from duologue.backends.pocket.brain.words import plain, word_set

AFAR: Final = 11.5
"""dB of clarity (:mod:`duologue.ears.clarity`) below which a voice comes from across the room: so many of the far
voices lie below it as leaves requests in reverberant rooms near by answered as often as without it (85 of 100)."""


def near(clarity: float | None) -> bool:
    """Whether a voice of this clarity in dB surely comes from near by; ``None``: unknown."""
    return clarity is not None and clarity >= AFAR


@dataclass(frozen=True, slots=True)
class Sure:
    """How sure the ear must be (0 to 1), by where the voice comes from. Other people's talk in which this ear hears a
    request comes from afar nearly always: that of a television, or in another conversation."""

    near: float
    unknown: float
    """Where noise hides it."""
    afar: float

    def of(self, clarity: float | None) -> float:
        """For a voice of this clarity in dB; ``None``: unknown."""
        if clarity is None:
            return self.unknown
        return self.near if near(clarity) else self.afar

    def over(self, clarity: float | None) -> float:
        """The same for words of any kind that were said over a reply: not less than :attr:`unknown`."""
        return max(self.unknown, self.of(clarity))


@dataclass(frozen=True, slots=True)
class Bounds:
    """What words must be to be answered unasked."""

    conversation: float
    """Seconds after an exchange during which what is heard is taken to be part of the conversation."""
    fit: float
    """How well words out of the blue must fit a skill (0 to 1)."""
    sure: Sure
    """Of words out of the blue that are a skill's own to the letter."""
    sure_of_like: Sure
    """And of words that only fit."""
    sure_within: float
    """How sure it must be, within a conversation, of words that fit nothing, before it says that it does not
    understand."""


_NEVER: Final = 1.1

BOUNDS: Final[Mapping[Strictness, Bounds]] = {
    "loose": Bounds(20.0, fit=0.68, sure=Sure(0.01, 0.05, 0.2), sure_of_like=Sure(0.2, 0.2, 0.6), sure_within=0.0),
    "normal": Bounds(8.0, fit=0.68, sure=Sure(0.01, 0.15, 0.9), sure_of_like=Sure(0.6, 0.6, _NEVER), sure_within=0.1),
    "strict": Bounds(5.0, fit=1.1, sure=Sure(0.35, 0.35, 0.9), sure_of_like=Sure(0.6, 0.6, _NEVER), sure_within=0.35),
}
"""Strict: nothing fits well enough out of the blue, it wants to be called by its name. Normal was chosen on strangers'
first words (372 draws of the grammar and 251 sentences to others, those marked ``tune`` and ``judge``, in flite's slt,
kal16 and awb and five voices of espeak-ng, dry, in rooms near by and from afar): words near by that are to the letter a
skill's are nearly always requests, however much the ear doubts them; from afar what was misheard as a request had a
confidence below 0.9 or only fitted. A fit of 0.68 instead of 0.78 answers five more of 663 requests when dry, two of
168 in rooms near by, and one of 738 sentences to others."""

_CALLS: Final = frozenset({"hey", "hello", "okay", "dear", "oh", "um", "so", "yes", "no", "good", "morning", "evening"})
_OTHERS: Final = word_set(
    "mum mummy mama mother dad daddy papa father honey darling sweetheart dear love guys kids children boys girls"
    " everybody everyone ladies gentlemen sir madam officer waiter grandma grandpa auntie uncle bro dude babe"
)


def named(text: str, name: str) -> bool:
    """Whether it is called by its name, at the beginning ("hey pocket, …") or the end of the words."""
    words = plain(text)
    for called in (plain(name), plain(DEFAULT_NAME), ("duologue",)):
        size = len(called)
        if not size:
            continue
        if words[-size:] == called and (words[-size - 1 : -size] not in (("my",), ("the",), ("a",), ("your",))):
            return True
        for lead in range(3):
            if words[lead : lead + size] == called and all(word in _CALLS for word in words[:lead]):
                return True
    return False


def only_named(text: str, name: str) -> bool:
    """Whether the words are a call by name and nothing else, not even a greeting: "hey pocket"."""
    words = plain(text)
    if "hello" in words or "good" in words:
        return False
    calls = _CALLS - {"yes", "no"}
    rest = set(words) - set(plain(name)) - set(plain(DEFAULT_NAME)) - {"duologue"} - calls
    return not rest and named(text, name)


def for_someone_else(text: str) -> bool:
    """Whether somebody else is called in it: "mum, can you pass the salt"."""
    words = plain(text)
    first = next((word for word in words if word not in _CALLS - {"dear"}), "")
    return len(words) > 1 and (first in _OTHERS or words[-1] in _OTHERS - {"mother", "father", "children", "love"})
