"""What a recogniser and its worker processes say to each other: short binary messages over two pipes.

    kind (1 byte) · utterance (8 bytes) · length of the body (4 bytes), little-endian · body
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

_HEADER = struct.Struct("<BQI")


class Kind(IntEnum):
    """To the worker: ``OPEN`` (body: the channel as known, JSON or empty), ``PUSH`` (16-bit samples at 24 kHz),
    ``FINISH``, ``DROP``, ``PREPARE`` (a session came that it may have to listen to; of no utterance). From it:
    ``READY``, ``WORDS`` (JSON)."""

    OPEN = 1
    PUSH = 2
    FINISH = 3
    DROP = 4
    READY = 5
    WORDS = 6
    PREPARE = 7


@dataclass(frozen=True, slots=True)
class Message:
    kind: Kind
    utterance: int
    body: bytes = b""

    def packed(self) -> bytes:
        """The message as bytes."""
        return _HEADER.pack(self.kind, self.utterance, len(self.body)) + self.body


class Unpacker:
    """Messages out of a stream of bytes, however it is cut."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def push(self, data: bytes) -> Iterator[Message]:
        """The messages that ``data`` completes, in order. Exhaust it before the next push."""
        self._rest += data
        while len(self._rest) >= _HEADER.size:
            kind, utterance, length = _HEADER.unpack_from(self._rest)
            end = _HEADER.size + length
            if len(self._rest) < end:
                return
            body = bytes(self._rest[_HEADER.size : end])
            del self._rest[:end]
            yield Message(Kind(kind), utterance, body)
