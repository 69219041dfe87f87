"""Text of byte-level tokenizers, in and out.

What people write is text: a control token in it is spelt out like any other word. What a model writes comes token by
token, and a token may end in the middle of a character: only whole characters are given on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from duologue.checkpoints.files import CheckpointError

BROKEN = "\ufffd"
"""What stands for bytes that are no whole character."""


class Vocabulary:
    """A ``tokenizer.json``."""

    def __init__(self, path: Path) -> None:
        """Raises :class:`~duologue.checkpoints.files.CheckpointError` where there is none, or it is no such file."""
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain exceptions
            raise CheckpointError(f"{path} cannot be read as a tokenizer: {error}") from error
        self._tokenizer.encode_special_tokens = True
        self._path = path

    @property
    def size(self) -> int:
        """Tokens, control tokens among them."""
        return int(self._tokenizer.get_vocab_size())

    def control(self, *names: str) -> dict[str, int]:
        """The ids of control tokens. Raises :class:`~duologue.checkpoints.files.CheckpointError` for one that is not
        there."""
        found = {name: self._tokenizer.token_to_id(name) for name in names}
        if missing := sorted(name for name, number in found.items() if number is None):
            raise CheckpointError(f"{self._path} lacks the control tokens {', '.join(missing)}: it is another model's")
        return {name: number for name, number in found.items() if number is not None}

    def encode(self, text: str) -> list[int]:
        """Text as tokens, none of them a control token."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Tokens as text, control tokens left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))


class Writing:
    """One answer's text as its tokens come."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._ids: list[int] = []
        self._begin = 0
        """From which token on the text is worked out anew: a little before the last one that was given."""
        self._shown = ""
        """The text of the tokens since, as far as it was given."""
        self.chars = 0
        """Characters given so far."""

    def write(self, token: int) -> str:
        """The whole characters that come with another token."""
        self._ids.append(token)
        text = self._vocabulary.decode(self._ids[self._begin :])
        if text.endswith(BROKEN):
            return ""
        return self._give(text)

    def finish(self) -> str:
        """What is left, whole or not."""
        return self._give(self._vocabulary.decode(self._ids[self._begin :]))

    def _give(self, text: str) -> str:
        more = text[len(self._shown) :]
        last = self._ids[-1:]
        # The next token is decoded together with this one: what stands at the beginning of a text may lose its space.
        self._begin = len(self._ids) - len(last)
        self._shown = self._vocabulary.decode(last)
        self.chars += len(more)
        return more
