"""Phrasings of the skills as text: to build a language model from, and to measure understanding by.

Lowercase, numbers spelled out, every word in the CMU dictionary except those in :data:`PRONUNCIATIONS`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from random import Random
from typing import Final

from duologue.backends.pocket.brain.grammar import Template
from duologue.backends.pocket.brain.skills import SKILLS, Skill
from duologue.backends.pocket.brain.slots import KINDS, Value
from duologue.backends.pocket.brain.words import word_set

PRONUNCIATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "duologue": ("D UW AH L AO G",),
    "mhm": ("M HH M", "M HH AH M", "M AH M"),
    "hmm": ("HH AH M", "HH M M"),
}
"""How words of the phrasings sound that the CMU dictionary lacks, or knows in one way only."""

FILLERS: Final = ("um", "uh", "er", "so", "well", "hey", "okay")
"""What people say before they know what to say."""

_LEADS: Final[Mapping[str, tuple[str, ...]]] = {
    "request": (
        "please", "could you", "could you please", "can you", "can you please", "would you", "would you please",
        "i'd like you to", "i want you to", "hey", "um", "okay", "hey pocket", "duologue", "hey duologue", "now",
        "and now", "okay now",
    ),
    "question": (
        "um", "hey", "so", "okay", "tell me", "please tell me", "can you tell me", "could you tell me",
        "could you please tell me", "do you know", "i'd like to know", "i want to know", "hey pocket", "pocket",
        "duologue", "and",
    ),
    "statement": ("um", "well", "okay", "hey", "so", "hey pocket"),
    "exclamation": ("um", "well", "oh", "okay"),
}  # fmt: skip
_TAILS: Final[Mapping[str, tuple[str, ...]]] = {
    "request": ("please", "for me", "now", "for me please", "right now"),
    "question": ("please", "pocket"),
    "statement": ("please",),
    "exclamation": ("pocket",),
}  # fmt: skip

_BARE: Final = ("duration", "clock", "number", "sum", "name", "unit", "task", "word", "whole", "colour", "place")
_LINKS: Final = {"duration": ("for", "in", ""), "clock": ("at", "for", ""), "task": ("to", ""), "place": ("in", "")}
BACKCHANNELS: Final = (
    "mhm", "uh huh", "yeah", "yes", "okay", "right", "i see", "oh", "wow", "really", "sure", "oh yeah", "hmm", "ah",
    "nice", "good", "oh okay", "yeah yeah", "great", "cool", "interesting", "oh really", "mm",
)  # fmt: skip
_BREAKS: Final = (
    "wait", "no wait", "stop", "no", "hold on", "hang on", "no no", "sorry", "excuse me", "wait a moment", "one moment",
    "stop please", "no stop", "okay stop", "okay okay", "no i mean", "actually", "never mind", "that's enough",
)  # fmt: skip

BACKGROUND: Final = tuple(
    sorted(
        word_set(
            "a about after against all also an and another any are as asked at back be because been before began"
            " being between bill book both but by came can car children city come company could day did do door"
            " down each even evening father first food for found friend from get go good government great had has"
            " have he her here him his home house how i if in into is it its just know last left life like little"
            " long looked made make man many market may me men might money month more morning most mother much"
            " must my never new night no not now of off old on one only or other our out over own people president"
            " price report right room said same saw school see she should since so some state still stood story"
            " street such table take than that the their them then there these they this those thought three"
            " through time to told too turned two under up us used very walked war was water way we week well went"
            " were what when where which while who will with woman work world would year years you your"
        )
    )
)
"""Common words of other people's talk, for a background model."""


@cache
def _templates() -> tuple[tuple[Skill, tuple[Template, ...]], ...]:
    return tuple((skill, tuple(Template(line) for line in skill.lines)) for skill in SKILLS)


def _sample(skill: Skill, template: Template, random: Random) -> tuple[str, dict[str, Value]]:
    while True:
        text, slots = template.sample(random)
        if skill.sensible(slots):
            return text, slots


def _spell_out(text: str) -> str:
    return " ".join(text.replace(",", " ").split())


_CLOSED: Final = (
    "tell",
    "can",
    "do ",
    "will",
    "say",
    "give",
    "are you",
    "hello",
    "could",
    "please",
    "calculate",
    "may",
)
"""Beginnings that no "can you tell me" goes before."""


_CONTRACTED: Final = (
    (r"\bwhat is\b", "what's"), (r"\bwhat is\b", "what's"), (r"\bi am\b", "i'm"), (r"\bit is\b", "it's"),
    (r"\bthat is\b", "that's"), (r"\bdo not\b", "don't"), (r"\byou are\b", "you're"), (r"\bdid not\b", "didn't"),
    (r"\blet us\b", "let's"), (r"\bhello\b", "hi"), (r"\bhow is\b", "how's"), (r"\bwho is\b", "who's"),
    (r"\bi would\b", "i'd"),
)  # fmt: skip


def _contracted(text: str, random: Random) -> str:
    """``text`` with the short forms of speech, some of the time."""
    for full, short in _CONTRACTED:
        if random.random() < 0.4 and not re.search(full + "$", text):
            text = re.sub(full, short, text)
    return text


def _carried(text: str, skill: Skill, random: Random, share: float) -> str:
    if random.random() < share:
        lead = random.choice(_LEADS[skill.form])
        if not (
            lead.startswith(("tell", "please", "can", "could", "do", "i'd", "i want")) and text.startswith(_CLOSED)
        ):
            text = f"{lead} {text}"
    if random.random() < share / 2:
        text = f"{text} {random.choice(_TAILS[skill.form])}"
    return _contracted(_spell_out(text), random)


def sentences(seed: int = 0) -> Iterator[str]:
    """Endless sentences in about the proportions in which people say them, for a language model."""
    random = Random(f"sentences {seed}")
    templates = _templates()
    weights = [skill.weight for skill, _ in templates]
    while True:
        kind = random.random()
        if kind < 0.86:
            skill, lines = random.choices(templates, weights)[0]
            yield _carried(_sample(skill, random.choice(lines), random)[0], skill, random, 0.4)
        elif kind < 0.93:
            name = random.choice(_BARE)
            link = random.choice(_LINKS.get(name, ("",)))
            yield _spell_out(f"{link} {KINDS[name].sample(random)[0]}")
        elif kind < 0.97:
            yield random.choice(BACKCHANNELS)
        else:
            yield random.choice(_BREAKS)


def known(seed: int = 0, per_skill: int = 6) -> Iterator[tuple[str, str, dict[str, Value]]]:
    """``per_skill`` phrasings of every skill, slots filled: (text, skill, slots), the same for the same seed.

    Half of them with words around the request, and as many different templates as there are.
    """
    for skill, lines in _templates():
        random = Random(f"known {seed} {skill.name}")
        chosen: list[Template] = []
        while len(chosen) < per_skill:
            chosen += random.sample(lines, min(len(lines), per_skill - len(chosen)))
        for template in chosen:
            text, slots = _sample(skill, template, random)
            yield _carried(text, skill, random, 0.35), skill.name, slots


@cache
def held_out() -> tuple[tuple[str, str, dict[str, Value]], ...]:
    """Phrasings written apart from the templates, for evaluation only: (text, skill, slots)."""
    lines = files(__package__).joinpath("held_out.txt").read_text(encoding="utf-8").splitlines()
    rows = csv.reader((line for line in lines if line and not line.startswith("#")), delimiter="|")
    found = []
    for skill, text, *slots in rows:
        pairs = (slot.strip().split("=", 1) for slot in slots)
        found.append((text.strip(), skill.strip(), {key: _value(value) for key, value in pairs}))
    return tuple(found)


def _value(text: str) -> Value:
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
