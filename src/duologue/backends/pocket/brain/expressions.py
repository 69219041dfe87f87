"""Arithmetic as it is spoken: "five plus three times two", "ten percent of fifty", "the square root of nine".

The value of the slot is a canonical formula, written with digits and the signs ``+ - * / ^ % mod root``,
in which ``10 % 50`` means ten percent of fifty.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from duologue.backends.pocket.brain import numbers
from duologue.backends.pocket.brain.numbers import Number, say

_BINARY: Final = (
    (("plus",), "+"), (("and",), "+"), (("added", "to"), "+"),
    (("minus",), "-"), (("less",), "-"), (("take", "away"), "-"), (("subtract",), "-"),
    (("times",), "*"), (("time",), "*"), (("multiplied", "by"), "*"), (("multiply", "by"), "*"), (("x",), "*"),
    (("divided", "by"), "/"), (("divide", "by"), "/"), (("over",), "/"), (("divided",), "/"), (("multiplied",), "*"),
    (("to", "the", "power", "of"), "^"), (("to", "the", "power"), "^"), (("to", "power", "of"), "^"),
    (("percent", "of"), "%"), (("percent",), "%"), (("mod",), "mod"), (("modulo",), "mod"),
)  # fmt: skip
_SPOKEN_SIGN: Final = {"+": "plus", "-": "minus", "*": "times", "/": "divided by", "^": "to the power of",
                       "%": "percent of", "mod": "modulo"}  # fmt: skip
_WORDY: Final = (
    (("sum", "of"), "+"), (("product", "of"), "*"), (("difference", "between"), "-"), (("difference", "of"), "-"),
    (("add",), "+"), (("multiply",), "*"), (("divide",), "/"), (("subtract",), "-"), (("take", "away"), "-"),
    (("take",), "-"), (("sum",), "+"), (("product",), "*"),
)  # fmt: skip

WORDS: Final = frozenset(
    word for spoken, _ in (*_BINARY, *_WORDY) for word in spoken if word not in ("and", "to", "the", "by", "of")
) | {"square", "root", "squared", "cubed"}
"""The words of arithmetic itself."""


def read(words: Sequence[str], at: int) -> Iterator[tuple[int, str, float]]:
    """Formulas with at least one operation at ``at``: (end, canonical formula, trust), the longest first."""
    found = [(end, formula, trust) for end, formula, trust in _chains(words, at) if not _is_number(formula)]
    yield from sorted(found, key=lambda chain: -chain[0])


def _is_number(formula: str) -> bool:
    return len(formula.split()) == 1


def _chains(words: Sequence[str], at: int) -> Iterator[tuple[int, str, float]]:
    """Operands joined by signs; every prefix that is whole is given."""
    start = at + 1 if words[at : at + 1] and words[at] == "the" else at
    for opening, sign in _WORDY:
        if tuple(words[start : start + len(opening)]) == opening:
            yield from _wordy(words, start + len(opening), sign, swap=opening[0] in ("subtract", "take"))
            break
    frontier = list(_operands(words, at))
    while frontier:
        yield from frontier
        onward = []
        for end, formula, trust in frontier:
            for spoken, sign in _BINARY:
                if tuple(words[end : end + len(spoken)]) == spoken:
                    onward += [
                        (more, f"{formula} {sign} {right}", min(trust, surely))
                        for more, right, surely in _operands(words, end + len(spoken))
                    ]
                    break
        frontier = onward


def _wordy(words: Sequence[str], at: int, sign: str, *, swap: bool) -> Iterator[tuple[int, str, float]]:
    """ "add five and three", "subtract three from ten", "divide nine by three"."""
    for end, left, trust in _operands(words, at):
        if words[end : end + 1] and words[end] in ("and", "by", "from", "to", "with", "the"):
            for more, right, surely in _operands(words, end + 1):
                flipped = words[end] == "from" or (swap and words[end] != "and")
                formula = f"{right} {sign} {left}" if flipped else f"{left} {sign} {right}"
                yield more, formula, min(trust, surely)


def _operands(words: Sequence[str], at: int) -> Iterator[tuple[int, str, float]]:
    start = at + 1 if words[at : at + 1] and words[at] == "the" else at
    for root in (("square", "root", "of"), ("square", "root"), ("root", "of"), ("root",)):
        if tuple(words[start : start + len(root)]) == root:
            for end, value, trust in numbers.read(words, start + len(root)):
                yield end, f"root {_digits(value)}", trust
            return
    for end, value, trust in numbers.read(words, at):
        formula = _digits(value)
        while end < len(words) and words[end] in ("squared", "square", "cubed"):
            formula, end = f"{formula} ^ {3 if words[end] == 'cubed' else 2}", end + 1
        yield end, formula, trust


def _digits(value: Number) -> str:
    return repr(value)


class Impossible(ValueError):
    """The formula has no value a person would accept; the message says why, to be spoken."""


def evaluate(formula: str) -> Number:
    """The value of a canonical formula, with the usual precedence.

    Raises:
        Impossible: division by zero, the root of a negative number, or a value beyond 10^300.
    """
    tokens = formula.split()
    try:
        value = _reduce(tokens)
    except OverflowError:
        raise Impossible("that is a larger number than I can work with") from None
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Impossible("that is a larger number than I can work with")
        if value == round(value) and abs(value) < 1e15:
            return round(value)
        return float(f"{value:.12g}")
    return value


def _reduce(tokens: list[str]) -> Number:
    values: list[Number] = []
    signs: list[str] = []
    expect_root = False
    for token in tokens:
        if token == "root":
            expect_root = True
        elif token in _SPOKEN_SIGN and values and len(signs) < len(values):
            signs.append(token)
        else:
            value: Number = float(token) if "." in token or "e" in token else int(token)
            if expect_root:
                if value < 0:
                    raise Impossible("negative numbers have no real square root")
                value, expect_root = math.sqrt(value), False
            values.append(value)
    for level in (("^",), ("%",), ("*", "/", "mod"), ("+", "-")):
        position = 0
        while position < len(signs):
            if signs[position] in level:
                values[position : position + 2] = [_apply(signs.pop(position), *values[position : position + 2])]
            else:
                position += 1
    return values[0]


def _apply(sign: str, left: Number, right: Number) -> Number:
    if sign in ("/", "mod") and right == 0:
        raise Impossible("nothing can be divided by zero")
    if sign == "^":
        if left == 0 and right < 0:
            raise Impossible("nothing can be divided by zero")
        if left and abs(left) != 1 and abs(right) * abs(math.log10(abs(left))) > 300:
            raise Impossible("that is a larger number than I can work with")
        power = left**right
        if isinstance(power, complex):
            raise Impossible("negative numbers have no real square root")
        return float(power) if isinstance(power, float) else int(power)
    if sign == "%":
        return left * right / 100
    if sign == "mod":
        return left % right
    return (
        left + right if sign == "+" else left - right if sign == "-" else left * right if sign == "*" else left / right
    )


def say_formula(formula: str) -> str:
    """The formula in words: ``5 + 3 * 2`` → "five plus three times two"."""
    spoken = []
    for position, token in enumerate(formula.split()):
        if token == "root":
            spoken.append("the square root of")
        elif token in _SPOKEN_SIGN and position:
            spoken.append(_SPOKEN_SIGN[token])
        else:
            spoken.append(say(float(token) if "." in token or "e" in token else int(token)))
    return " ".join(spoken).replace("to the power of two", "squared").replace("to the power of three", "cubed")


def sample(random: Random) -> tuple[str, str]:
    """A formula as people ask it: (words, canonical)."""

    def small(high: int = 20) -> int:
        return random.randint(1, high)

    kind = random.random()
    if kind < 0.72:
        sign = random.choice(("+", "+", "-", "*", "*", "/"))
        left, right = (random.randint(2, 12), small(12)) if sign in "*/" else (small(100), small(100))
        if random.random() < 0.12:
            left = random.choice((150, 200, 250, 300, 365, 400, 500, 750, 1000, 1200))
        formula = f"{left} {sign} {right}"
        spoken = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}[sign]
        if sign == "*" and random.random() < 0.2:
            spoken = "multiplied by"
        return f"{say(left)} {spoken} {say(right)}", formula
    if kind < 0.8:
        formula = f"{small()} {random.choice('+-')} {small()} {random.choice('+-*')} {small(10)}"
        return say_formula(formula), formula
    if kind < 0.88:
        share = random.choice((5, 10, 15, 20, 25, 30, 40, 50, 75))
        base = random.choice((20, 40, 50, 60, 80, 100, 120, 200, 300))
        return f"{say(share)} percent of {say(base)}", f"{share} % {base}"
    if kind < 0.92:
        base = random.choice((4, 9, 16, 25, 36, 49, 64, 81, 100, 144, 2, 50))
        return f"the square root of {say(base)}", f"root {base}"
    if kind < 0.96:
        base = small(12)
        return random.choice(((f"{say(base)} squared", f"{base} ^ 2"), (f"{say(base)} cubed", f"{base} ^ 3"),
                              (f"{say(base)} to the power of {say(4)}", f"{base} ^ 4")))  # fmt: skip
    left, right = small(50), small(50)
    return random.choice((
        (f"add {say(left)} and {say(right)}", f"{left} + {right}"),
        (f"subtract {say(left)} from {say(right)}", f"{right} - {left}"),
        (f"the sum of {say(left)} and {say(right)}", f"{left} + {right}"),
        (f"multiply {say(left)} by {say(right)}", f"{left} * {right}"),
        (f"divide {say(left)} by {say(right)}", f"{left} / {right}"),
    ))  # fmt: skip
