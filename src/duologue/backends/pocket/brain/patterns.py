"""Texts that match a regular expression, for the ``pattern`` of a schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from re import _constants, _parser  # type: ignore[attr-defined]  # isort: skip

_MOST = 200
_EXPLOSIVE_TEXT = 20
_CATEGORIES: Final = {
    "CATEGORY_DIGIT": "0", "CATEGORY_WORD": "a", "CATEGORY_SPACE": " ", "CATEGORY_NOT_DIGIT": "a",
    "CATEGORY_NOT_WORD": "-", "CATEGORY_NOT_SPACE": "a",
}  # fmt: skip


def matches(pattern: str, text: str) -> bool:
    """Whether ``pattern`` occurs in ``text``; a pattern that is no valid expression forbids nothing.

    The pattern is the client's: one that may run for ever is not tried on a long text, and counts as not matching.
    """
    try:
        if len(text) > _EXPLOSIVE_TEXT and _explosive(_parser.parse(pattern)):
            return False
        return re.search(pattern, text) is not None
    except re.error:
        return True


def _explosive(tree: Any, repeated: bool = False) -> bool:
    """Whether matching may take exponential time: a choice or an open repetition within an open repetition."""
    for op, value in tree:
        if op in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            endless = value[1] is _constants.MAXREPEAT
            if (endless and repeated) or _explosive(value[2], repeated or endless):
                return True
        elif op is _constants.SUBPATTERN:
            if _explosive(value[-1], repeated):
                return True
        elif op is _constants.BRANCH and (repeated or any(_explosive(branch) for branch in value[1])):
            return True
    return False


def examples(pattern: str, place: int = 0) -> Iterator[str]:
    """Texts that match ``pattern``, mostly one; ``place`` varies them where the pattern leaves a choice."""
    try:
        tree = _parser.parse(pattern)
    except re.error:
        return
    for extra in (0, 1, place + 1):
        text = _text(tree, place, extra)
        if re.search(pattern, text):
            yield text


def _text(tree: Any, place: int, extra: int) -> str:
    """The plainest text for a parsed expression; ``extra`` repetitions beyond the fewest."""
    parts = []
    for op, value in tree:
        if op is _constants.LITERAL:
            parts.append(chr(value))
        elif op is _constants.NOT_LITERAL:
            parts.append("a" if value != ord("a") else "b")
        elif op is _constants.ANY:
            parts.append("a")
        elif op is _constants.IN:
            parts.append(_one_of(value, place))
        elif op in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            fewest, most, inner = value
            times = min(most, fewest + extra, _MOST)
            parts.append("".join(_text(inner, place, extra) for _ in range(times)))
        elif op is _constants.SUBPATTERN:
            parts.append(_text(value[-1], place, extra))
        elif op is _constants.BRANCH:
            parts.append(_text(value[1][place % len(value[1])], place, extra))
    return "".join(parts)


def _one_of(choices: Any, place: int) -> str:
    """A character of a class."""
    if choices and choices[0][0] is _constants.NEGATE:
        excluded = re.compile("[" + "".join(_class_text(choice) for choice in choices[1:]) + "]")
        return next((each for each in "a0A-_ .~é" if not excluded.match(each)), "")
    op, value = choices[place % len(choices)]
    if op is _constants.RANGE:
        low, high = value
        return chr(low + place % (high - low + 1))
    if op is _constants.CATEGORY:
        return _CATEGORIES.get(str(value), "a")
    return chr(value)


def _class_text(choice: Any) -> str:
    op, value = choice
    if op is _constants.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    if op is _constants.CATEGORY:
        return {"CATEGORY_DIGIT": r"\d", "CATEGORY_WORD": r"\w", "CATEGORY_SPACE": r"\s"}.get(str(value), "")
    return re.escape(chr(value))
