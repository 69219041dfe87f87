"""Large WebSocket frames, cut into small ones before anybody waits for the whole.

A frame's payload is masked, and the library unmasks and decodes a frame at once, when its last byte is there: for 11 MB
that is 15 ms and more in which nobody else is served. RFC 6455 (5.4) lets whoever stands between two ends of a
connection cut a frame into fragments of one message, as long as no extension says otherwise; so this stands before
the library, and what is done for each fragment is done as the bytes come in.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Generator

PIECE = 2**16
"""Bytes of a fragment: 0.2 ms of the library's time. A multiple of four, so that the mask begins anew with each."""

_FIN, _OPCODE, _MASKED, _LENGTH = 0x80, 0x0F, 0x80, 0x7F
_CONT, _BINARY = 0x0, 0x2


class Cutter:
    """A client's bytes after the handshake, with data frames above :data:`PIECE` cut into fragments of it."""

    def __init__(self, most: int) -> None:
        """Frames above ``most`` bytes are left whole: the library refuses them when it sees their head."""
        self._most = most
        self._held = b""
        """The beginning of a frame's head."""
        self._payload = 0
        """Bytes to come of the present fragment's payload."""
        self._after = 0
        """Bytes to come of the present frame after that fragment."""
        self._fin = 0
        self._mask = b""

    def cut(self, data: bytes) -> bytes:
        """The next bytes, with the heads of fragments put in; an incomplete head waits for the rest of it."""
        if len(data) <= self._payload:
            self._payload -= len(data)
            return data
        data, at = self._held + data, 0
        self._held = b""
        out: list[bytes] = []
        while at < len(data):
            if self._payload:
                taken = data[at : at + self._payload]
                out.append(taken)
                at += len(taken)
                self._payload -= len(taken)
            elif self._after:
                out.append(self._next(_CONT))
            else:
                end = self._read_head(data, at)
                if end is None:
                    self._held = data[at:]
                    break
                out.append(self._next(data[at] & ~_FIN) if self._after else data[at:end])
                at = end
        return b"".join(out)

    def _read_head(self, data: bytes, at: int) -> int | None:
        """Take in the head of the frame that begins at ``at``; where it ends, or ``None``: more bytes are needed."""
        if len(data) < at + 2:
            return None
        short = data[at + 1] & _LENGTH
        long = {126: 2, 127: 8}.get(short, 0)
        end = at + 2 + long + (4 if data[at + 1] & _MASKED else 0)
        if len(data) < end:
            return None
        size = int.from_bytes(data[at + 2 : at + 2 + long]) if long else short
        is_data = data[at] & _OPCODE <= _BINARY and data[at + 1] & _MASKED
        if is_data and PIECE < size <= self._most:
            self._after, self._fin, self._mask = size, data[at] & _FIN, data[end - 4 : end]
        else:
            self._payload = size
        return end

    def _next(self, first: int) -> bytes:
        """The head of the next fragment of a frame that is cut; ``first``: its opcode and reserved bits."""
        self._payload = min(PIECE, self._after)
        self._after -= self._payload
        fin = 0 if self._after else self._fin
        return struct.pack("!BBQ", first | fin, _MASKED | 127, self._payload) + self._mask


def joined() -> Generator[str | None, tuple[bytes, bool], None]:
    """A text in fragments: is sent each (its bytes, whether it is the last) and yields the whole after the last.

    UnicodeDecodeError where they are no UTF-8. The text grows where it lies: CPython lengthens a string that nobody
    else holds, and the system lengthens a large block without copying it. So no fragment costs more than itself.
    """
    decode = codecs.getincrementaldecoder("utf-8")().decode
    text, last = "", False
    while True:
        data, last = yield text if last else None
        text += decode(data, last)
