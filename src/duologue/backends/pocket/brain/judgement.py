"""What unfinished words amount to: is this a whole utterance, or only a sign of listening?

Called on every partial hypothesis, so it only walks the tree of patterns; results are cached.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from duologue.backends.pocket.brain.skills import BY_NAME
from duologue.backends.pocket.brain.slots import Value
from duologue.backends.pocket.brain.understanding import fit, index, understand
from duologue.backends.pocket.brain.words import Words, plain, variants, word_set

_LISTENING: Final = word_set(
    "mm uh huh oh ah aha yes okay right sure wow really nice cool great good interesting indeed exactly true ha fine"
)
_LISTENING_PHRASES: Final = frozenset(
    ("i see", "all right", "oh i see", "of course", "i know", "got it", "is that so", "oh my", "that is right", "go on",
     "go ahead", "keep going", "carry on", "continue", "do go on", "please go on", "you do not say")
)  # fmt: skip
_BREAKING: Final = word_set("stop no wait what sorry hold hang excuse actually enough quiet pocket duologue hey but")
"""Words with which people cut in, one of which is enough."""
_FEW: Final = 2
"""So few words, if they make no sense, may be a hum or a cough misheard."""
HESITATING: Final = frozenset({"um", "uh", "er", "ah"})
"""Sounds of somebody who looks for words."""
HANGING: Final = word_set(
    "a an the and or but because if so of for to in at from with by about than my your his her our their plus minus"
    " times divided multiplied point is are was am i called named how what who when where which why every until"
    " between into over per whether while as"
)
"""Words after which an utterance does not end."""
_CLEAR: Final = 0.85
_EXACT: Final = 0.9
_LONG: Final = 16
"""Words beyond which the tolerant understanding, whose cost grows with them, is not asked about partial words."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """``complete``: True for a finished utterance, False for a clearly unfinished one, None where the words do not
    tell. ``backchannel``: True for nothing but "mm-hm", "yeah", "I see", False for words that want the floor, None
    where they do not tell."""

    complete: bool | None
    backchannel: bool | None


def backchannel(words: Words, complete: bool | None) -> bool | None:
    """See :class:`Judgement`."""
    if only_listening(words):
        return True
    wants = complete is True or len(words) > _FEW or any(word in _BREAKING for word in words)
    return False if wants else None


def only_listening(words: Words) -> bool:
    """Whether there is nothing in the words but signs of listening."""
    return bool(words) and (all(word in _LISTENING for word in words) or " ".join(words) in _LISTENING_PHRASES)


@lru_cache(maxsize=4096)
def judge(text: str) -> Judgement:
    """The judgement on the words alone, without any context."""
    words = plain(text)
    if not words:
        return Judgement(None, False)
    complete = _complete(text, words)
    return Judgement(complete, backchannel(words, complete))


def begun(text: str) -> bool:
    """Whether the words are, to the letter, the beginning of something that is known here and not the whole of it."""
    fits = [fit(reading) for reading in variants(text)]
    return any(each.literal for each in fits) and not any(each.parses for each in fits)


def broken_off(text: str) -> tuple[int, int]:
    """(words that are, to the letter, the beginning of something known here; words after them that are none of it)."""
    words = plain(text)
    known = next((size for size in range(min(len(words), _LONG), 0, -1) if fit(words[:size]).literal), 0)
    return known, len(words) - known


def _complete(text: str, words: Words) -> bool | None:
    if words[-1] in HESITATING and words != ("uh", "huh"):
        return False
    prefix = False
    found: list[tuple[float, bool | None]] = []
    for reading in variants(text):
        along = fit(reading)
        prefix = prefix or along.prefix
        found += [(rank, None if free else _sufficient(parse.skill, parse.slots)) for rank, parse, free in along.parses
                  if parse.score > _EXACT]  # fmt: skip
    if found:
        verdict = max(found, key=lambda each: each[0])[1]
        return False if verdict is None and words[-1] in HANGING else verdict
    if words[-1] in HANGING:
        return False
    if len(words) > _LONG:
        return False if prefix else None
    parse = understand(text)
    if prefix:
        # The beginning of something, to the letter. But what makes sense as it stands may be whole, and misheard:
        # then nobody can tell.
        return None if parse is not None and _sufficient(parse.skill, parse.slots) else False
    if parse is None or parse.score < _CLEAR or parse.slots.keys() & index().free_slots[parse.skill]:
        return None
    return _sufficient(parse.skill, parse.slots)


def _sufficient(skill: str, slots: Mapping[str, Value]) -> bool | None:
    """Whether the skill has what it needs; without it the person may be about to say it."""
    needs = BY_NAME[skill].needs
    return True if not needs or any(need in slots for need in needs) else None
