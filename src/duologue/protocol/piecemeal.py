"""Large work in pieces of about a millisecond, so that whoever shares the thread gets a turn in between.

A message may hold many minutes of sound. What takes long about it is a generator that yields between two pieces and
returns the result: who has the thread to itself runs it :func:`at_once`, a server lets others have their turn at each
yield. Nothing small ever yields.
"""

from __future__ import annotations

import base64
import binascii
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
    if len(text) <= BASE64_PIECE:
        return base64.b64decode(text, validate=True)
    data = bytearray()
    for start in range(0, len(text), BASE64_PIECE):
        if start:
            yield
        piece = text[start : start + BASE64_PIECE]
        try:
            decoded = binascii.a2b_base64(piece, strict_mode=True)
        except ValueError:
            return _decoded_whole(text)
        if 4 * len(decoded) < 3 * len(piece) and start + BASE64_PIECE < len(text):  # padding, and not at the end
            return _decoded_whole(text)
        data += decoded
    return data


def _decoded_whole(text: str) -> bytes:
    """Broken text: the words for what is wrong depend on all that comes before it, so all of it is looked at again."""
    return base64.b64decode(text, validate=True)
