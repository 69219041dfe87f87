"""Text as a synthesizer may be given it: printable ASCII, one line, with the words' places in the original.

Texts come from anywhere (a client's instructions, a tool's answer). Control characters can steer a
synthesizer (espeak-ng takes some for commands), and flite knows ASCII only.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from duologue.backends.pocket.mouth.speech import LONGEST, MouthError

_SPELLED = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": ".", "−": "-", "×": " times ",
     "÷": " divided by ", "°": " degrees ", "€": " euros ", "£": " pounds ", "ß": "ss", "æ": "ae", "ø": "o"}
)  # fmt: skip
_DROPPED = re.compile(r"[^ -~]|[<>\[\]{}|\\^`~_*#]")
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Word:
    """One word to say."""

    said: str
    """Printable ASCII, not empty, no spaces at its ends."""
    end: int
    """Characters of the original text up to its end."""

    @property
    def weight(self) -> float:
        """About how many sounds it has: a letter is one, a digit is a word of its own."""
        return sum(4.0 if c.isdigit() else 1.0 for c in self.said if c.isalnum()) or 0.5


def words(text: str) -> tuple[Word, ...]:
    """The words of ``text`` that have a sound, in order. Raises :class:`MouthError` beyond LONGEST."""
    if len(text) > LONGEST:
        raise MouthError(
            f"a clause of {len(text)} characters is too long to be said at once; split it (at most {LONGEST})"
        )
    found = ((_plain(match.group()), match.end()) for match in _WORD.finditer(text))
    return tuple(Word(said, end) for said, end in found if any(c.isalnum() for c in said))


def line(spoken: tuple[Word, ...]) -> str:
    """The words as one line for the synthesizer."""
    return " ".join(word.said for word in spoken)


def _plain(word: str) -> str:
    folded = unicodedata.normalize("NFKD", word.translate(_SPELLED))
    bare = "".join(c for c in folded if not unicodedata.combining(c))
    return " ".join(_DROPPED.sub(" ", bare).split())
