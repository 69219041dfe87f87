"""A reply's text in clauses: the first is short, so that its sound is soon there, each is said in one breath.

A clause ends with a sentence or, where a sentence is long, at a comma or before a conjunction, where a
speaker would breathe too; only what offers none of these is cut between words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

FIRST = 28
"""Characters beyond which a first clause is cut at a comma: about 1.8 s of speech, made in about 30 ms."""

LATER = 48
"""Characters beyond which a clause is cut at a comma or before a conjunction: about 3 s, made in about 45 ms."""

HARDEST = 120
"""No clause is longer, even if it must be cut in mid-word."""

_TITLES = r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\be\.g)(?<!\bi\.e)"
_SENTENCE = re.compile(rf"(?:(?:{_TITLES}\.|[!?…])+[\"'”’)]*\s+|\n\s*)")
_COMMA = re.compile(r"(?:[,;:]|\s[-–—])[\"'”’)]*\s+")
_CONJUNCTION = re.compile(
    r"\s+(?=(?:and|but|or|nor|because|so|then|which|that|who|when|while|where|until|if|as|although|though)\s)",
    re.IGNORECASE,
)
_SPACE = re.compile(r"\s+")


def clauses(text: str, *, first: bool = True) -> Iterator[str]:
    """``text`` in pieces; together they are ``text``, each ends with the white space behind it.

    ``first``: whether the reply begins here, so that its first clause is wanted short.
    """
    limit = FIRST if first else LATER
    for sentence in _cut(text, _SENTENCE):
        for clause in _joined(_breaths(sentence, limit), limit):
            yield clause
            limit = LATER


def pause(clause: str) -> float:
    """Seconds of silence that belong after ``clause`` when another follows, at the voice's own speed."""
    if clause.rstrip(" ").endswith("\n"):
        return 0.6
    match clause.rstrip().rstrip("\"'”’)")[-1:]:
        case "." | "!" | "?" | "…":
            return 0.35
        case ";" | ":" | "-" | "–" | "—":
            return 0.25
        case ",":
            return 0.16
        case _:
            return 0.03


def _breaths(text: str, limit: int) -> Iterator[str]:
    """Pieces of up to ``limit`` characters where commas or conjunctions allow it, else of up to HARDEST."""
    for part in _cut(text, _COMMA):
        if len(part) <= limit:
            yield part
            continue
        # A conjunction is a poorer place to breathe than a comma: it must be worth it, also in a first clause.
        for piece in _cut(part, _CONJUNCTION) if len(part) > LATER else (part,):
            yield from _hard(piece) if len(piece) > HARDEST else (piece,)


def _joined(pieces: Iterator[str], limit: int) -> Iterator[str]:
    """Neighbours together again while the limit allows: speech is not chopped more than it must be."""
    held = ""
    for piece in pieces:
        if held and len(held) + len(piece.rstrip()) > limit:
            yield held
            held, limit = "", LATER
        held += piece
    if held:
        yield held


def _cut(text: str, boundary: re.Pattern[str]) -> Iterator[str]:
    """``text`` cut behind each match of ``boundary``."""
    at = 0
    for match in boundary.finditer(text):
        if match.start() > at:  # white space in front of the first word stays with it
            yield text[at : match.end()]
            at = match.end()
    if at < len(text):
        yield text[at:]


def _hard(text: str) -> Iterator[str]:
    """Cut between words near HARDEST, or through a word that is longer."""
    while len(text) > HARDEST:
        spaces = [match.end() for match in _SPACE.finditer(text, 0, HARDEST)]
        at = spaces[-1] if spaces and spaces[-1] > HARDEST // 2 else HARDEST
        yield text[:at]
        text = text[at:]
    if text:
        yield text
