"""Turning a sentence from the speaker's side to the listener's: "my keys" → "your keys"."""

from __future__ import annotations

from typing import Final

_TURNED: Final = {
    "i": "you", "me": "you", "my": "your", "mine": "yours", "myself": "yourself", "am": "are", "we": "you",
    "our": "your", "us": "you", "was": "were",
    "you": "me", "your": "my", "yours": "mine", "yourself": "myself",
}  # fmt: skip


def turned(text: str) -> str:
    """``text`` as its listener would say it back. "was" is turned only after "i"."""
    words = text.split()
    said = []
    for before, word in zip(["", *words], words, strict=False):
        said.append(word if word == "was" and before != "i" else _TURNED.get(word, word))
    return " ".join(said).replace("i'm", "you're")
