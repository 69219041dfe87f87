"""One utterance, two ears: the closed vocabulary knows requests, the open one names and other people's talk."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from duologue.backends.pocket.brain.slots import KINDS
from duologue.backends.pocket.brain.understanding import Parse, index, understand

_SHARED: Final = 0.4
"""The share of the closed ear's words that the open one must have heard too, where it heard no such request."""

_WELL_KNOWN: Final = frozenset(example for kind in KINDS.values() for example in kind.examples)


def meaning(text: str, open_text: str | None) -> Parse | None:
    """What an utterance asks for, nothing of the conversation considered."""
    return with_free_words(understand(text), open_text)


def with_free_words(parse: Parse | None, open_text: str | None) -> Parse | None:
    """``parse`` of the closed ear's words, those slots that take any words filled with the open ear's."""
    if parse is None or not open_text or not parse.slots.keys() & index().free_slots[parse.skill]:
        return parse
    opened = understand(open_text)
    if opened is None or opened.skill != parse.skill or opened.slots.keys() != parse.slots.keys():
        return parse
    free = {slot: opened.slots[slot] for slot in index().free_slots[parse.skill] & parse.slots.keys()
            if parse.slots[slot] not in _WELL_KNOWN}  # fmt: skip
    return replace(parse, slots={**parse.slots, **free})


def at_odds(text: str, parse: Parse, open_text: str | None) -> bool:
    """Whether the open ear heard something else altogether: then the request may be made of other people's talk."""
    if not open_text:
        return False
    opened = understand(open_text)
    if opened is not None and opened.skill == parse.skill:
        return False
    closed_words, open_words = set(text.lower().split()), set(open_text.lower().split())
    return len(closed_words & open_words) < _SHARED * len(closed_words)
