"""All skills, each in the file of its idea. To add one, write a file with a ``SKILLS`` tuple and list it here."""

from __future__ import annotations

from typing import Final

from duologue.backends.pocket.brain.skills import (
    about,
    arithmetic,
    chance,
    clock,
    conversion,
    counting,
    dialogue,
    memory,
    pictures,
    smalltalk,
    spelling,
    stories,
    timers,
)
from duologue.backends.pocket.brain.skills.skill import Skill

SKILLS: Final[tuple[Skill, ...]] = tuple(
    skill
    for room in (about, smalltalk, clock, arithmetic, conversion, counting, spelling, chance, timers, memory, dialogue,
                 stories, pictures)
    for skill in room.SKILLS
)  # fmt: skip
BY_NAME: Final = {skill.name: skill for skill in SKILLS}

__all__ = ["BY_NAME", "SKILLS", "Skill"]
