"""What a skill sees and gives: the scene it answers in, and its reply with the effects it will have.

State is a value. A skill never changes it; a reply carries *effects*, functions from state to state, which
the brain applies when the reply is committed. So a speculated reply that is dropped leaves no trace.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import TypeAlias

from duologue.backends.pocket.brain.persona import Persona
from duologue.backends.pocket.brain.pictures import Sight
from duologue.backends.pocket.brain.slots import Value

Slots: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Timer:
    """Something to speak about first: a timer, an alarm or a reminder."""

    token: str
    kind: str
    due: datetime
    label: str
    """What it is called, or what to remind of; may be empty."""
    seconds: int | None
    """The duration that was asked for, if one was."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A question asked back: the skill that waits, what it knows, and (slot, kind) pairs any of which would do."""

    skill: str
    slots: Slots
    wanted: tuple[tuple[str, str], ...]


class Clauses:
    """A reply's clauses, made anew each time they are iterated over; a count to a million costs nothing unsaid."""

    def __init__(self, make: Callable[[], Iterator[str]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[str]:
        return self._make()

    @classmethod
    def of(cls, text: str) -> Clauses:
        """``text`` cut into clauses of at most about three seconds of speech (some 60 characters)."""
        parts = tuple(cut(text))
        return cls(lambda: iter(parts))

    def after(self, chars: int) -> Clauses:
        """What is left when the first ``chars`` characters (clauses joined by spaces) were heard.

        A clause that was cut short is begun again: nobody resumes a story in the middle of a phrase.
        """

        def rest() -> Iterator[str]:
            position = 0
            for clause in self._make():
                position += len(clause)
                if position > chars:
                    yield clause
                position += 1

        return Clauses(rest)

    def heard(self, chars: int | None) -> str:
        """The text as far as it was heard; ``None`` means to the end."""
        text = ""
        for clause in self._make():
            if chars is not None and len(text) >= chars:
                break
            text = f"{text} {clause}" if text else clause
        return text if chars is None else text[:chars]


_BREATH = 60


def cut(text: str) -> Iterator[str]:
    """Clauses of ``text``: sentences, and longer ones again at commas and before conjunctions."""
    for sentence in re.split(r"(?<=[.!?])\s+", text.strip()):
        if len(sentence) <= _BREATH:
            if sentence:
                yield sentence
            continue
        held = ""
        for piece in re.split(
            r"(?<=[,;:])\s+|\s+(?=(?:and|but|because|so|until|when|while|which|that|or)\s)", sentence
        ):
            if held and len(held) + len(piece) >= _BREATH:
                yield held
                held = piece
            else:
                held = f"{held} {piece}" if held else piece
        yield held


@dataclass(frozen=True, slots=True)
class State:
    """All that a session's brain keeps."""

    facts: Mapping[str, str] = field(default_factory=dict)
    """What the person told about themselves, by thing ("name", "dog", "favourite colour", "note 1")."""
    timers: tuple[Timer, ...] = ()
    pending: Pending | None = None
    last: Clauses | None = None
    """What was said last, and how many characters of it were heard (``None``: all)."""
    last_heard: int | None = None
    telling: Clauses | None = None
    """What is left of a long reply that was interrupted."""
    told: tuple[str, ...] = ()
    """Stories and jokes already told, oldest first."""
    exchanges: int = 0
    tokens: int = 0
    greeted: bool = False
    lost: bool = False
    """Whether the last thing said was that it did not understand. Who speaks next may be speaking to somebody else."""


Effect: TypeAlias = Callable[[State], State]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a skill answers."""

    clauses: Clauses
    effects: tuple[Effect, ...] = ()
    pending: Pending | None = None
    resumable: bool = False
    """Long enough that "go on" should resume it after an interruption."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a skill answers: the moment, the session's state, who it is, and its dice."""

    now: datetime
    state: State
    persona: Persona
    random: Random
    shown: bool = False
    """Whether the person has shown a picture."""
    sight: Sight | None = None
    """What is on the last one; ``None`` also where it cannot be seen."""

    def one_of(self, *choices: str) -> str:
        return self.random.choice(choices)


def say(text: str, *effects: Effect, pending: Pending | None = None, resumable: bool = False) -> Reply:
    return Reply(Clauses.of(text), effects, pending, resumable)


def know(thing: str, value: str) -> Effect:
    return lambda state: replace(state, facts={**state.facts, thing: value})


def told(title: str) -> Effect:
    return lambda state: replace(state, told=(*(t for t in state.told if t != title), title))


def unheard(scene: Scene, titles: tuple[str, ...]) -> str:
    """One of ``titles`` that was not told yet, else the one told longest ago."""
    fresh = [title for title in titles if title not in scene.state.told]
    if fresh:
        return scene.random.choice(fresh)
    return min(titles, key=scene.state.told.index)
