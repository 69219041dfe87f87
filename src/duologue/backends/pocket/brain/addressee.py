"""Is this said to us? The little that words alone tell about it."""

from __future__ import annotations

from typing import Final

from duologue.backends.pocket.brain.persona import DEFAULT_NAME
from duologue.backends.pocket.brain.words import plain, word_set

CONVERSATION: Final = 8.0
"""Seconds after an exchange during which what is heard is taken to be part of the conversation."""

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
