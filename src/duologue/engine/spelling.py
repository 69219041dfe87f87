"""Text tokens as they are shown: pieces, and characters that come a byte at a time.

A character that has no piece of its own is said as its UTF-8 bytes, a token each, spelt ``<0xE2>``. They are held
until the character is whole; half a character that something else follows is shown as U+FFFD.
"""

from __future__ import annotations

import codecs
import re

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


class Spelling:
    """One seat's text."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def show(self, piece: str) -> str:
        """What can be shown with the next piece; may be empty."""
        if found := _BYTE.fullmatch(piece):
            return self._decoder.decode(bytes([int(found[1], 16)]))
        half = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return half + piece
