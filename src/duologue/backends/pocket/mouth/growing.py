"""Clauses of a text that is still being written: each is given as soon as it is certain where it ends.

A clause ends where the next word begins, or at a length that no clause exceeds; the last one ends with the text.
Where the text was cut on its way makes no difference.
"""

from __future__ import annotations

from collections.abc import Iterator

from duologue.backends.pocket.mouth.clauses import HARDEST, clauses


class Growing:
    """A text that grows. Its clauses together are the text."""

    def __init__(self) -> None:
        self._held = ""
        self._first = True

    def push(self, more: str) -> Iterator[str]:
        """Clauses that ``more`` made certain."""
        for char in more:
            begins = not char.isspace() and (self._held[-1:].isspace() or len(self._held) >= HARDEST)
            self._held += char
            if begins:
                yield from self._certain()

    def finish(self) -> Iterator[str]:
        """What is left once nothing more comes."""
        yield from clauses(self._held, first=self._first)
        self._held = ""

    def _certain(self) -> Iterator[str]:
        *whole, last = clauses(self._held, first=self._first)
        if whole:
            self._held, self._first = last, False
            yield from whole
