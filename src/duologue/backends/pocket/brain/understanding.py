"""From words to a skill and its slots, forgiving what recognisers do to words.

Every way through every template is a *pattern*. An utterance is aligned with the patterns that share most of
its telling words; what matches counts for, what is missing or left over counts against, and slots are read
where they stand. A word tells the more the fewer skills use it, so that "timer" decides and "the" hardly
counts. The score is the matched share of the weight, in 0..1; 1 means word for word.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Final

from duologue.backends.pocket.brain.grammar import Slot, Template
from duologue.backends.pocket.brain.skills import SKILLS
from duologue.backends.pocket.brain.slots import KINDS, Reading, Value
from duologue.backends.pocket.brain.words import Words, stem, variants, word_set

UNDERSTOOD: Final = 0.58
"""The score from which on an utterance counts as understood."""

_SURE: Final = 0.75
"""The same for a pattern with a slot that takes any words: those swallow other people's talk."""

_SHORTLIST = 24
_TELLING = 2.5
_UNKNOWN = 1.4
_FREE_WORD = 0.06
_KIN = 0.15
_SPARE = 1.2
_FUNCTION_WORDS: Final = word_set(
    "a an the is are was am be do does did will would could can shall should it that this to of for in on at by and"
    " or you i me my your please some any there so then with up now have has had as if us we too just about from am"
    " going got get well really still very quite exactly bit little also even always ever again today than kind sort"
    " want need he she his her they them were been but all thing something anyway most more one once said"
)
_ALIKE: Final = {
    "two": "to", "too": "to", "four": "for", "here": "hear", "right": "write", "buy": "by", "role": "roll",
    "bye": "by", "whether": "weather", "tail": "tale", "won": "one", "an": "a", "know": "no", "weight": "wait",
    "till": "until", "wright": "write",
    "speak": "talk", "begin": "start", "anyone": "anybody", "someone": "anybody", "somebody": "anybody",
    "pick": "choose", "delete": "erase", "remove": "erase", "toss": "throw", "mother": "mum", "told": "tell",
    "spoke": "talk", "made": "make", "woken": "wake", "written": "write", "switch": "turn", "really": "very",
}  # fmt: skip
"""Words that sound alike, and words that do the same work here."""


@dataclass(frozen=True)
class Parse:
    """What an utterance means: the skill, its slots, and how well it fits (0..1)."""

    skill: str
    slots: Mapping[str, Value]
    score: float


@dataclass(frozen=True, slots=True)
class _Pattern:
    skill: str
    elements: tuple[str | Slot, ...]
    weights: tuple[float, ...]
    fixed: Mapping[str, Value]
    total: float
    told: float
    """The part of ``total`` that is not slots."""
    roomy: bool
    """It has a slot that takes words of any kind."""


@dataclass(slots=True)
class _Node:
    """A place in the tree of all patterns."""

    words: dict[str, _Node] = field(default_factory=dict)
    slots: dict[Slot, _Node] = field(default_factory=dict)
    ends: list[int] = field(default_factory=list)
    """Patterns that are whole here."""


@lru_cache(maxsize=8192)
def sound(word: str) -> str:
    """What a word is compared by: neither number nor tense matters, nor which of several like words it is."""
    short = _untensed(stem(word))
    return _ALIKE_SOUNDS.get(short, short)


def _untensed(word: str) -> str:
    """ "telling" and "cancelled" without their endings; "need" and "evening" keep theirs."""
    for ending in ("ing", "ed"):
        base = word.removesuffix(ending)
        if base != word and len(base) > 2 and not base.endswith("e") and word not in ("evening", "morning", "hundred"):
            if base[-1] == base[-2] and base[-1] in "lnptgm" and base not in ("spell", "tell", "call", "roll", "add"):
                return base[:-1]
            return base
    return word[:-1] if len(word) > 3 and word.endswith("e") and word != "note" else word


_ALIKE_SOUNDS: Final = {_untensed(word): _untensed(like) for word, like in _ALIKE.items()}
_FUNCTION_SOUNDS: Final = frozenset(map(sound, _FUNCTION_WORDS))


class _Index:
    """All patterns, and by which words they are found."""

    def __init__(self) -> None:
        raw = [
            (skill.name, sequence, template.fixed)
            for skill in SKILLS
            for template in map(Template, skill.lines)
            for sequence in template.sequences()
        ]
        users: defaultdict[str, set[str]] = defaultdict(set)
        for name, sequence, _ in raw:
            for element in sequence:
                if isinstance(element, str):
                    users[sound(element)].add(name)
        scale = _TELLING / math.log(1 + len(SKILLS))
        self.weights = {
            word: scale * math.log(1 + len(SKILLS) / len(skills)) * (0.4 if word in _FUNCTION_SOUNDS else 1.0)
            for word, skills in users.items()
        }
        self.weights[sound("please")] = 0.08
        self.words_of: defaultdict[str, set[str]] = defaultdict(set)
        for word, skills in users.items():
            for name in skills:
                self.words_of[name].add(word)
        self.patterns: list[_Pattern] = []
        self.by_word: defaultdict[str, list[int]] = defaultdict(list)
        self.by_kind: defaultdict[str, list[int]] = defaultdict(list)
        for name, sequence, fixed in raw:
            elements = tuple(sound(element) if isinstance(element, str) else element for element in sequence)
            weights = tuple(
                KINDS[each.kind].weight if isinstance(each, Slot) else self.weights[each] for each in elements
            )
            roomy = any(isinstance(element, Slot) and KINDS[element.kind].free for element in elements)
            number = len(self.patterns)
            told = sum(weight for element, weight in zip(elements, weights, strict=True) if isinstance(element, str))
            self.patterns.append(_Pattern(name, elements, weights, fixed, sum(weights), told, roomy))
            for element in set(elements):
                if isinstance(element, Slot):
                    self.by_kind[element.kind].append(number)
                else:
                    self.by_word[element].append(number)
        self.root = _Node()
        for number, pattern in enumerate(self.patterns):
            node = self.root
            for element in pattern.elements:
                if isinstance(element, Slot):
                    node = node.slots.setdefault(element, _Node())
                else:
                    node = node.words.setdefault(element, _Node())
            node.ends.append(number)
        self.free_slots: defaultdict[str, set[str]] = defaultdict(set)
        for pattern in self.patterns:
            for element in pattern.elements:
                if isinstance(element, Slot) and KINDS[element.kind].free:
                    self.free_slots[pattern.skill].add(element.name)
        self.kinds_of: defaultdict[str, set[str]] = defaultdict(set)
        for kind in self.by_kind:
            for word in KINDS[kind].words:
                self.kinds_of[sound(word)].add(kind)

    def weight(self, word: str) -> float:
        """How much a word that no pattern accounts for speaks against it."""
        return self.weights.get(word) or (0.5 if word in _FUNCTION_SOUNDS else _UNKNOWN)

    def shortlist(self, sounds: Sequence[str]) -> list[tuple[float, int]]:
        """The patterns most likely to fit, each with an upper bound of its score, best first."""
        overlap: defaultdict[int, float] = defaultdict(float)
        kinds: set[str] = set()
        for word in set(sounds):
            weight = self.weights.get(word, 0.0)
            for number in self.by_word.get(word, ()):
                overlap[number] += weight
            kinds |= self.kinds_of["0" if word[0].isdecimal() else word] if word else set()
        for kind in kinds:
            for number in self.by_kind[kind]:
                overlap[number] += KINDS[kind].weight
        heard = sum(self.weight(word) for word in sounds)
        bounds = []
        for number, shared in overlap.items():
            pattern = self.patterns[number]
            if pattern.roomy:
                shared += 1.0
            shared = min(shared, pattern.total)
            spare = 0.0 if pattern.roomy or len(pattern.elements) > len(sounds) else max(0.0, heard - shared) * 0.3
            bounds.append((shared / (pattern.total + spare), shared, number))
        bounds.sort(reverse=True)
        return [(bound, number) for bound, _, number in bounds[:_SHORTLIST]]


@cache
def index() -> _Index:
    """The index of all skills, built once."""
    return _Index()


class Reader:
    """Slot readings in one utterance, each made once."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self._made: dict[tuple[str, int], tuple[Reading, ...]] = {}

    def __call__(self, kind: str, at: int) -> tuple[Reading, ...]:
        made = self._made.get((kind, at))
        if made is None:
            made = self._made[kind, at] = tuple(KINDS[kind].read(self.words, at))
        return made


_Link = tuple[str, Value, "_Link | None"]
_Cell = tuple[float, float, float, float, "_Link | None"]
"""The best way on from here: value, weight matched, of it by told words, weight against, slots."""


def _align(pattern: _Pattern, sounds: Sequence[str], read: Reader) -> tuple[float, float, dict[str, Value]]:
    """The best alignment: (score, matched weight, slots).

    Dynamic programming from the ends of both: a word of the pattern is matched or missing, a word of the
    utterance is matched, read by a slot, or left over.
    """
    table = index()
    own = table.words_of[pattern.skill]
    costs = [min(_SPARE, table.weight(word)) * (_KIN if word in own else 0.8) for word in sounds]
    count = len(sounds)
    ahead: list[_Cell] = [(0.0, 0.0, 0.0, 0.0, None)] * (count + 1)
    for at in range(count - 1, -1, -1):
        value, matched, told, against, link = ahead[at + 1]
        ahead[at] = (value - costs[at], matched, told, against + costs[at], link)
    for element, weight in zip(reversed(pattern.elements), reversed(pattern.weights), strict=True):
        row: list[_Cell] = [(0.0, 0.0, 0.0, 0.0, None)] * (count + 1)
        missing = 3 * weight if pattern.roomy and element not in _FUNCTION_SOUNDS else weight
        for at in range(count, -1, -1):
            value, matched, told, against, link = ahead[at]
            best: _Cell = (value - missing, matched, told, against + missing, link)
            if at < count:
                value, matched, told, against, link = row[at + 1]
                if value - costs[at] > best[0]:
                    best = (value - costs[at], matched, told, against + costs[at], link)
                if isinstance(element, str):
                    if element == sounds[at]:
                        value, matched, told, against, link = ahead[at + 1]
                        if value + weight > best[0]:
                            best = (value + weight, matched + weight, told + weight, against, link)
                else:
                    free = KINDS[element.kind].free
                    for end, found, trust in read(element.kind, at):
                        if free and all(word in _FUNCTION_SOUNDS for word in sounds[at:end]):
                            continue
                        value, matched, told, against, link = ahead[end]
                        gain = weight if free else weight * (0.4 + 0.6 * trust)
                        loss = (end - at - 1) * _FREE_WORD if free else 0.0
                        if value + gain - loss > best[0]:
                            link = (element.name, found, link)
                            best = (value + gain - loss, matched + gain, told, against + loss, link)
            row[at] = best
        ahead = row
    _, matched, told, against, link = ahead[0]
    if told < 0.5 * pattern.told:  # slots alone are no request
        return 0.0, 0.0, {}
    return matched / (matched + against), matched, _linked(pattern, link)


@dataclass(frozen=True, slots=True)
class Fit:
    """How an utterance lies along the patterns word for word."""

    parses: tuple[tuple[float, Parse, bool], ...]
    """Whole patterns: (rank, parse, whether it ends with words of any kind)."""
    prefix: bool
    """The words are the beginning of a longer pattern."""
    literal: bool
    """And that without any words of any kind in it."""


def fit(words: Words) -> Fit:
    """Where ``words`` lead in the tree of patterns, without any tolerance but that of the slots."""
    table, read = index(), Reader(words)
    sounds = [sound(word) for word in words]
    parses: list[tuple[float, Parse, bool]] = []
    prefix = literal = False
    frontier: list[tuple[_Node, int, _Link | None, float, bool]] = [(table.root, 0, None, 1.0, True)]
    while frontier:
        node, at, link, trust, own = frontier.pop()
        if at == len(words):
            prefix = prefix or bool(node.words or node.slots)
            literal = literal or (own and bool(node.words or node.slots))
            for number in node.ends:
                parses.append(_ranked(table.patterns[number], _linked(table.patterns[number], link), trust))
            continue
        if (following := node.words.get(sounds[at])) is not None:
            frontier.append((following, at + 1, link, trust, own))
        for slot, following in node.slots.items():
            kind = KINDS[slot.kind]
            if kind.words and all(
                slot.kind in table.kinds_of["0" if word[0].isdecimal() else word] for word in sounds[at:]
            ):
                prefix, literal = True, literal or own
            for end, value, surely in read(slot.kind, at):
                sure = trust if kind.free else min(trust, surely)
                trusted = sure - 0.001 * (end - at) * kind.free
                frontier.append((following, end, (slot.name, value, link), trusted, own and not kind.free))
    return Fit(tuple(parses), prefix, literal)


def _linked(pattern: _Pattern, link: _Link | None) -> dict[str, Value]:
    slots: dict[str, Value] = dict(pattern.fixed)
    while link is not None:
        name, value, link = link
        slots[name] = value
    return slots


def _ranked(pattern: _Pattern, slots: dict[str, Value], score: float) -> tuple[float, Parse, bool]:
    last = pattern.elements[-1]
    return (
        _rank(pattern, score, pattern.total),
        Parse(pattern.skill, slots, score),
        isinstance(last, Slot) and KINDS[last.kind].free,
    )


def _rank(pattern: _Pattern, score: float, matched: float) -> float:
    """Among fits, those that explain more are better, and told words are better than words of any kind."""
    return score + 0.015 * min(matched, 10.0) - 0.1 * pattern.roomy


@lru_cache(maxsize=4096)
def understand(text: str) -> Parse | None:
    """The skill that ``text`` asks for, with its slots; ``None`` where no skill fits well enough.

    Nothing of the conversation is considered. Results are cached.
    """
    readings = [words[:60] for words in variants(text)]
    readings += [turned for words in readings[:2] if (turned := _time_last(words))]
    exact = max((found for words in readings for found in fit(words).parses), key=lambda each: each[0], default=None)
    if exact is not None and exact[1].score > 0.9:
        return exact[1]
    best, best_rank = (exact[1], exact[0]) if exact else (None, 0.0)
    table = index()
    for words in readings[:6]:
        sounds = [sound(word) for word in words]
        read = Reader(words)
        for bound, number in table.shortlist(sounds):
            if bound + 0.15 < best_rank:
                break
            pattern = table.patterns[number]
            score, matched, slots = _align(pattern, sounds, read)
            rank = _rank(pattern, score, matched)
            if rank > best_rank and score >= (_SURE if pattern.roomy else UNDERSTOOD) and _whole(pattern, slots):
                best_rank, best = rank, Parse(pattern.skill, slots, score)
    return best if best is not None and best.score >= UNDERSTOOD else None


def _time_last(words: Words) -> Words | None:
    """ "for nine o'clock set an alarm" with the time at its usual place, the end."""
    if words[:1] not in (("for",), ("at",), ("in",)):
        return None
    read = Reader(words)
    end = max((reading[0] for kind in ("clock", "duration") for reading in read(kind, 1)), default=0)
    return (*words[end:], *words[:end]) if 0 < end < len(words) else None


def _whole(pattern: _Pattern, slots: Mapping[str, Value]) -> bool:
    """Every slot of the pattern was read: a pattern without the slot exists where it may be missing."""
    return all(element.name in slots for element in pattern.elements if isinstance(element, Slot))
