"""Large work in pieces of about a millisecond, so that whoever shares the thread gets a turn in between.

A message may hold many minutes of sound. What takes long about it is a generator that yields between two pieces and
returns the result: who has the thread to itself runs it :func:`at_once`, a server lets others have their turn at each
yield. Nothing small ever yields.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Generator
from typing import TypeAlias, TypeVar

Result = TypeVar("Result")

Piecemeal: TypeAlias = Generator[None, None, Result]

BASE64_PIECE = 2**18
"""Characters decoded at a time, a multiple of four: 1 ms."""


def at_once(work: Piecemeal[Result]) -> Result:
    """The result, without a pause."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: Result = done.value
            return result


def base64_decoded(text: str) -> Piecemeal[bytes | bytearray]:
    """What ``base64.b64decode(text, validate=True)`` gives or raises, in pieces."""
    if len(text) <= BASE64_PIECE or not text.isascii():  # the latter is refused unread
        return base64.b64decode(text, validate=True)
    data = bytearray()
    for start in range(0, len(text), BASE64_PIECE):
        if start:
            yield
        before = min(start, 4)  # four characters that are good: what padding means depends on whether any came
        piece = text[start - before : start + BASE64_PIECE]
        try:
            decoded = binascii.a2b_base64(piece, strict_mode=True)
        except ValueError:
            return _odd(text, start)
        if 4 * len(decoded) < 3 * len(piece) and start + BASE64_PIECE < len(text):  # padding, and not at the end
            return _odd(text, start)
        data += decoded[3 * before // 4 :]
    return data


def _odd(text: str, start: int) -> bytes:
    """Raise what is wrong with the piece at ``start``, in the words for the whole: all before it is good.

    What is wrong about a piece's end may be another thing where more follows, so the next piece is looked at too.
    Should nothing be wrong with both, the whole is looked at.
    """
    begin = max(start - 4, 0)
    try:
        binascii.a2b_base64(text[begin : start + 2 * BASE64_PIECE], strict_mode=True)
    except binascii.Error as error:
        # "number of data characters (5) cannot be 1 more than a multiple of 4" counts from the beginning.
        raise binascii.Error(re.sub(r"\((\d+)\)", lambda n: f"({int(n[1]) + begin})", str(error))) from None
    return base64.b64decode(text, validate=True)
