"""A SentencePiece model without training: for small random checkpoints, whose text means nothing anyway.

A ``.model`` file is a protocol buffer (``sentencepiece_model.proto``): field 1, repeated, is a piece of text (1), score
(2) and type (3); field 2 is the trainer's specification, of which byte fallback (35) matters when text is encoded.
"""

from __future__ import annotations

import string
import struct
from collections.abc import Sequence

NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
"""Types of pieces."""

_SPECIAL = (("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL), ("<pad>", CONTROL))
_SYLLABLES = [a + b for a in "bdfghklmnprstvwz" for b in "aeiou"]


def plain_model(size: int) -> bytes:
    """A model of ``size`` pieces: unknown, begin, end and padding as 0 to 3 (Moshi's order), then the word boundary,
    letters, bytes, syllables and made-up words, as far as they go."""
    if size < len(_SPECIAL) + 1:
        raise ValueError(f"a text tokenizer of {size} pieces has no room for any text")
    pieces = [*_SPECIAL, ("▁", NORMAL), *((letter, NORMAL) for letter in string.ascii_lowercase + "'?.,!")]
    if size >= 400:  # a byte must be a piece if any is
        pieces += [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]
    words = (f"▁{a}{b}{c}" for c in ["", *_SYLLABLES] for a in _SYLLABLES for b in _SYLLABLES)
    while len(pieces) < size:
        pieces.append((next(words), NORMAL))
    return model_of(pieces[:size])


def model_of(pieces: Sequence[tuple[str, int]]) -> bytes:
    """A model of these pieces, each a text and a type, exactly one of them unknown."""
    body = b"".join(_piece(text, -float(n), kind) for n, (text, kind) in enumerate(pieces))
    fallback = any(kind == BYTE for _, kind in pieces)
    return body + _field(2, b"\x98\x02\x01" if fallback else b"")


def _piece(text: str, score: float, kind: int) -> bytes:
    return _field(1, _field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + bytes([0x18, kind]))


def _field(number: int, body: bytes) -> bytes:
    """A field of bytes: tag, length (a varint), body."""
    length, size = len(body), bytearray()
    while length >= 128:
        size.append(length % 128 + 128)
        length //= 128
    return bytes([number << 3 | 2, *size, length]) + body
