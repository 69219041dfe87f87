"""Numbers: from words to values and back.

:func:`read` is lenient, because recognisers write "to" for "two" and "for" for "four";
:func:`say` is what a synthesizer should be given, since "3.5" and "1000000" come out badly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from random import Random
from typing import Final, TypeAlias

Number: TypeAlias = int | float

ONES: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS: Final = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SCALES: Final = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
ORDINALS: Final = (
    "zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth",
    "nineteenth",
)  # fmt: skip

_UNITS: Final = {word: value for value, word in enumerate(ONES)} | {"fourty": 40}
_TENS: Final = {word: 10 * value for value, word in enumerate(TENS) if word}
_SCALE: Final = {word: value for value, word in SCALES}
_ORDINAL: Final = {word: value for value, word in enumerate(ORDINALS)} | {
    "twentieth": 20, "thirtieth": 30, "fortieth": 40, "fiftieth": 50, "hundredth": 100,
}  # fmt: skip
HOMOPHONES: Final = {"for": 4, "to": 2, "too": 2, "won": 1, "ate": 8, "tree": 3, "sex": 6, "tin": 10}
"""Words that a recogniser writes where a number was said, and nothing else makes sense."""


def _small(words: Sequence[str], at: int) -> tuple[int, int] | None:
    """A number below one hundred at ``at``: (end, value)."""
    if at >= len(words):
        return None
    word = words[at]
    if word in _TENS:
        if at + 1 < len(words) and 1 <= _UNITS.get(words[at + 1], 0) <= 9:
            return at + 2, _TENS[word] + _UNITS[words[at + 1]]
        return at + 1, _TENS[word]
    if word in _UNITS:
        return at + 1, _UNITS[word]
    if word.isdecimal() and word.isascii():
        return at + 1, int(word)
    return None


def _cardinal(words: Sequence[str], at: int) -> tuple[int, int] | None:
    """The longest whole number at ``at``, "a hundred and five" included: (end, value)."""
    total, group, end = 0, -1, at
    bound = math.inf
    position = at
    while position < len(words):
        word = words[position]
        step = position
        if word == "and" and end > at and (total or group >= 100):
            step += 1
        follows = _small(words, step)
        if follows and (group == -1 or (group >= 100 and group % 100 == 0 and follows[1] < 100)):
            position, value = follows
            group = value if group == -1 else group + value
            end = position
            continue
        article = words[step] in ("a", "an") if step < len(words) else False
        named = words[step + article] if step + article < len(words) else ""
        scale = _SCALE.get(named)
        if scale and (article or end > at) and not (article and group != -1) and scale < bound:
            amount = 1 if group == -1 else group
            if scale == 100 and amount < 100:
                group = amount * 100
            elif scale > 100:
                total, group, bound = total + amount * scale, -1, scale
            else:
                break
            position = end = step + article + 1
            continue
        break
    if end == at:
        if at < len(words) and words[at] in _SCALE:  # "thousand" with its article lost
            return at + 1, _SCALE[words[at]]
        return None
    return end, total + max(group, 0)


def read(words: Sequence[str], at: int = 0) -> Iterator[tuple[int, Number, float]]:
    """Numbers beginning at ``words[at]``: (end, value, trust in 0..1), the longest first."""
    if at >= len(words):
        return
    sign, start = 1, at
    if words[at] in ("minus", "negative") and at + 1 < len(words):
        sign, start = -1, at + 1
    if re.fullmatch(r"\d*\.\d+", words[start]):
        yield start + 1, sign * float(words[start]), 1.0
        return
    whole = _cardinal(words, start)
    end, value = whole if whole else (start, 0)
    if end < len(words) and words[end] == "point":
        digits, position = "", end + 1
        while position < len(words):
            word = words[position]
            digit = "0" if word == "oh" else str(_UNITS[word]) if _UNITS.get(word, 10) < 10 else word
            if not (digit.isdecimal() and digit.isascii()):
                break
            digits, position = digits + digit, position + 1
        if digits:
            yield position, sign * float(f"{value}.{digits}"), 1.0
    if whole:
        yield end, sign * value, 1.0
        first = _small(words, start)
        if first and first[0] < end:
            yield first[0], sign * first[1], 0.9
    elif words[start] in HOMOPHONES:
        yield start + 1, sign * HOMOPHONES[words[start]], 0.4


def read_ordinal(words: Sequence[str], at: int) -> tuple[int, int] | None:
    """ "third", "twenty first", "3" at ``at``: (end, value)."""
    if at >= len(words):
        return None
    if words[at] in _TENS and at + 1 < len(words) and 1 <= _ORDINAL.get(words[at + 1], 0) <= 9:
        return at + 2, _TENS[words[at]] + _ORDINAL[words[at + 1]]
    if words[at] in _ORDINAL:
        return at + 1, _ORDINAL[words[at]]
    return _small(words, at)


def whole(text: str) -> Number | None:
    """``text`` as one number, or ``None`` if it is not exactly that."""
    words = text.split()
    return next((value for end, value, trust in read(words) if end == len(words) and trust == 1.0), None)


def cardinal(value: int) -> str:
    """``value`` in words: 345 → "three hundred and forty five". Beyond the trillions: digit by digit."""
    if value < 0:
        return "minus " + cardinal(-value)
    if value < 20:
        return ONES[value]
    if value < 100:
        return TENS[value // 10] + (" " + ONES[value % 10] if value % 10 else "")
    if value >= 10**15:
        return " ".join(ONES[int(digit)] for digit in str(value))
    for scale, word in SCALES:
        if value >= scale:
            rest = value % scale
            joined = "" if not rest else (" and " if rest < 100 else " ") + cardinal(rest)
            return f"{cardinal(value // scale)} {word}{joined}"
    raise AssertionError("unreachable: every value of at least 100 has a scale")


def ordinal(value: int) -> str:
    """``value`` as an ordinal in words: 21 → "twenty first"."""
    if value < 20:
        return ORDINALS[value]
    if value < 100 and value % 10:
        return f"{TENS[value // 10]} {ORDINALS[value % 10]}"
    if value < 100:
        return TENS[value // 10].removesuffix("y") + "ieth"
    head, rest = value // 100 * 100, value % 100
    return f"{cardinal(head)} and {ordinal(rest)}" if rest else cardinal(head) + "th"


def say(value: Number, places: int = 3) -> str:
    """``value`` as it should be spoken, rounded to ``places`` decimals: 3.5 → "three point five".

    Very small and very large magnitudes are said with a power of ten.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} can not be said as a number")
        if value and abs(value) < 0.5 * 10**-places:
            return _scientific(value)
    if abs(value) >= 10**15:
        return _scientific(value)
    if isinstance(value, int):
        return cardinal(value)
    text = f"{abs(value):.{places}f}".rstrip("0").rstrip(".")
    left, _, right = text.partition(".")
    spoken = cardinal(int(left))
    if right:
        spoken += " point " + " ".join(ONES[int(digit)] for digit in right)
    return f"minus {spoken}" if value < 0 and text.strip("0.") else spoken


def _scientific(value: Number) -> str:
    mantissa, _, exponent = f"{Decimal(value):.2e}".partition("e")
    power = "minus " if int(exponent) < 0 else "power of "
    return f"{say(float(mantissa), 2)} times ten to the {power}{cardinal(abs(int(exponent)))}"


def count_of(value: Number, singular: str, plural: str | None = None) -> str:
    """ "one minute", "two minutes", "two point five minutes"."""
    return f"{say(value)} {singular if value == 1 else plural or singular + 's'}"


def sample(random: Random) -> tuple[str, Number]:
    """A number as people say them to machines, small ones most: (words, value)."""
    kind = random.random()
    if kind < 0.45:
        value: Number = random.randint(1, 20)
    elif kind < 0.8:
        value = random.randint(20, 100)
    elif kind < 0.86:
        value = random.choice((100, 200, 250, 300, 400, 500, 600, 750, 800, 900, 1000, 2000, 5000, 10000))
    elif kind < 0.92:
        value = random.randint(101, 999)
    elif kind < 0.97:
        value = random.randint(0, 20) + random.randint(1, 9) / 10
    else:
        value = random.choice((-1, -2, -5, -10, 1000000, 1500, 2500))
    return say(value), value
