"""What a skill is. To add one: a file beside this one with a ``SKILLS`` tuple, and its name in ``__init__``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from duologue.backends.pocket.brain.scene import Reply, Scene, Slots


@dataclass(frozen=True)
class Skill:
    """Ways of saying one thing, and what to answer.

    ``templates`` has one phrasing a line, in the notation of :mod:`..grammar`.
    """

    name: str
    templates: str
    answer: Callable[[Scene, Slots], Reply]
    form: Literal["request", "question", "statement", "exclamation"] = "request"
    """Which carriers go around it ("could you please …", "do you know …"), and whether words may lead into it."""
    chat: bool = False
    """Understood only within a conversation: people say such words to each other all the time."""
    needs: tuple[str, ...] = ()
    """Slots of which it needs one; without, it asks back, and the words may not be finished yet."""
    weight: float = 1.0
    """How much of the language model's text it makes up, relative to others."""

    sensible: Callable[[Slots], bool] = lambda slots: True
    """Whether people would say a sampled phrasing with these slots."""

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(line for raw in self.templates.splitlines() if (line := raw.strip()))
