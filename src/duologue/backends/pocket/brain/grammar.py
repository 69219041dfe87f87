"""Phrasings with slots: one notation, from which utterances are sampled and by which they are understood.

A template is a line such as ``set [a|an] {duration} timer (called|named) {name} @kind=new``:

* ``[x|y]`` may be said, ``(x|y)`` is one of several, both nest;
* ``{slot}`` or ``{slot:kind}`` is a slot; its kind (:mod:`.slots`) reads and samples it;
* ``@slot=value`` fixes a slot that is not spoken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias

from duologue.backends.pocket.brain import slots
from duologue.backends.pocket.brain.slots import Value
from duologue.backends.pocket.brain.words import plain


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a template where a value is said."""

    name: str
    kind: str


Element: TypeAlias = str | Slot
Sequence_: TypeAlias = tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    branches: tuple[tuple[Element | _Choice, ...], ...]


_TOKEN: Final = re.compile(r"\{[a-z_]+(?::[a-z_]+)?\}|[\[\]()|]|[^\s\[\]()|{}]+")


class Template:
    """One phrasing. ``fixed`` are the slots that it settles by itself."""

    def __init__(self, line: str) -> None:
        self.line = line
        body, *settings = re.split(r"\s@", line)
        pairs = (setting.strip().split("=", 1) for setting in settings)
        self.fixed: Mapping[str, Value] = {name: int(value) if value.isdecimal() else value for name, value in pairs}
        self._tokens = _TOKEN.findall(body)
        self._at = 0
        self._tree = self._branches()
        if self._at != len(self._tokens):
            raise ValueError(f"unbalanced brackets in the template {line!r}")

    def _branches(self) -> _Choice:
        branches: list[tuple[Element | _Choice, ...]] = []
        current: list[Element | _Choice] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token in ("]", ")"):
                break
            self._at += 1
            if token == "|":
                branches.append(tuple(current))
                current = []
            elif token in ("[", "("):
                inner = self._branches()
                if self._tokens[self._at : self._at + 1] != ["]" if token == "[" else ")"]:
                    raise ValueError(f"unbalanced brackets in the template {self.line!r}")
                self._at += 1
                current.append(_Choice((*inner.branches, ())) if token == "[" else inner)
            elif token.startswith("{"):
                name, _, kind = token[1:-1].partition(":")
                if (kind or name) not in slots.KINDS:
                    raise ValueError(f"no kind of slot is called {kind or name!r} (template {self.line!r})")
                current.append(Slot(name, kind or name))
            else:
                current.append(token)
        return _Choice((*branches, tuple(current)))

    def sequences(self) -> Iterator[Sequence_]:
        """Every way through the template, words normalised as utterances are."""
        for raw in _ways(self._tree):
            way: list[Element] = []
            pending: list[str] = []
            for element in (*raw, None):
                if isinstance(element, str):
                    pending.append(element)
                    continue
                way.extend(plain(" ".join(pending)))
                pending = []
                if element is not None:
                    way.append(element)
            yield tuple(way)

    def sample(self, random: Random) -> tuple[str, dict[str, Value]]:
        """One utterance and its slots."""
        filled: dict[str, Value] = dict(self.fixed)
        words: list[str] = []

        def walk(choice: _Choice) -> None:
            for part in random.choice(choice.branches):
                if isinstance(part, _Choice):
                    walk(part)
                elif isinstance(part, Slot):
                    text, filled[part.name] = slots.KINDS[part.kind].sample(random)
                    words.append(text)
                else:
                    words.append(part)

        walk(self._tree)
        return " ".join(words).replace(" 's", "'s"), filled


def _ways(choice: _Choice) -> Iterator[Sequence_]:
    for branch in choice.branches:
        partial: list[Sequence_] = [()]
        for part in branch:
            tails = list(_ways(part)) if isinstance(part, _Choice) else [(part,)]
            partial = [head + tail for head in partial for tail in tails]
        yield from partial
