"""The kinds of slot: how each is said (to sample phrasings) and read back (to understand them)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias

from duologue.backends.pocket.brain import expressions, numbers, times, unit_table
from duologue.backends.pocket.brain.words import plain, stem, word_set

Value: TypeAlias = str | int | float
Reading: TypeAlias = tuple[int, Value, float]
"""(position after the slot, value, trust in 0..1)."""


@dataclass(frozen=True)
class Kind:
    """``sample`` gives (words, value); ``read`` gives readings beginning at a position, best first."""

    sample: Callable[[Random], tuple[str, Value]]
    read: Callable[[Sequence[str], int], Iterable[Reading]]
    free: bool = False
    """Any words will do, so the words heard with an open vocabulary may be better."""
    examples: frozenset[str] = frozenset()
    """For free words: those that the ear knows well, being in its language model."""
    words: frozenset[str] = frozenset()
    """The words it can consist of, as stems, where they can be listed; "0" stands for digits."""
    weight: float = 2.0
    """What finding the slot counts towards understanding, where a telling word counts about 2."""


def _listed(words_to_value: Mapping[str, Value]) -> Kind:
    """One of a list of phrases."""
    table = {tuple(stem(word) for word in plain(phrase)): value for phrase, value in words_to_value.items()}
    longest = max(len(phrase) for phrase in table)

    def sample(random: Random) -> tuple[str, Value]:
        phrase = random.choice(tuple(words_to_value))
        return phrase, words_to_value[phrase]

    def read(words: Sequence[str], at: int) -> Iterator[Reading]:
        stems = tuple(stem(word) for word in words[at : at + longest])
        for size in range(len(stems), 0, -1):
            if stems[:size] in table:
                yield at + size, table[stems[:size]], 1.0

    return Kind(sample, read, words=frozenset(word for phrase in table for word in phrase))


def _free(samples: Sequence[str], most: int, weight: float = 1.0, without: frozenset[str] = frozenset()) -> Kind:
    """Up to ``most`` words of any kind, but for those in ``without``."""

    def sample(random: Random) -> tuple[str, Value]:
        phrase = random.choice(samples)
        return phrase, " ".join(plain(phrase))

    def read(words: Sequence[str], at: int) -> Iterator[Reading]:
        bound = next((place for place in range(at, len(words)) if words[place] in without), len(words))
        for end in range(min(bound, at + most), at, -1):
            yield end, " ".join(words[at:end]).replace(" 's", "'s"), 0.5

    examples = frozenset(" ".join(plain(phrase)) for phrase in samples)
    return Kind(sample, read, free=True, examples=examples, weight=weight)


_NO_NAMES: Final = word_set(
    "a an the in at on of to for from by with and or but if when is are was am be i you me my your we it"
    " he she that this what not back later again tomorrow today now there here so very please called named"
)

_NUMBER_WORDS: Final = frozenset((
    *numbers.ONES, *filter(None, numbers.TENS), *(word for _, word in numbers.SCALES), "point", "minus", "negative",
    "0",
))  # fmt: skip
_SUM_WORDS: Final = _NUMBER_WORDS | expressions.WORDS
_TIME_WORDS: Final = _NUMBER_WORDS | {*times.SECONDS, "half", "quarter", "couple"}
_CLOCK_WORDS: Final = _NUMBER_WORDS | {
    "half", "quarter", "oclock", "past", "noon", "midday", "midnight", "oh", "pm", "am",
}  # fmt: skip


def _integer(low: int, high: int) -> Kind:
    def sample(random: Random) -> tuple[str, Value]:
        value = random.randint(low, high)
        return numbers.cardinal(value), value

    def read(words: Sequence[str], at: int) -> Iterator[Reading]:
        for end, value, trust in numbers.read(words, at):
            if isinstance(value, int):
                yield end, value, trust

    return Kind(sample, read, words=_NUMBER_WORDS)


def _amount_read(words: Sequence[str], at: int) -> Iterator[Reading]:
    yield from numbers.read(words, at)
    if words[at : at + 1] and words[at] in ("a", "an"):
        yield at + 1, 1, 1.0


def _same(*phrases: str) -> dict[str, Value]:
    return {phrase: phrase for phrase in phrases}


def _unit_sample(random: Random) -> tuple[str, Value]:
    unit = random.choice(unit_table.COMMON)
    return unit.plural, unit.name


def _unit_read(words: Sequence[str], at: int) -> Iterator[Reading]:
    for size in range(4, 0, -1):
        unit = unit_table.find(tuple(words[at : at + size]))
        if unit and at + size <= len(words):
            yield at + size, unit.name, 1.0


def _letters_read(words: Sequence[str], at: int) -> Iterator[Reading]:
    for end in range(min(len(words), at + 3), at, -1):
        yield end, " ".join(words[at:end]), 0.5


TASKS: Final = (
    "water the plants", "call my mother", "call the doctor", "take out the trash", "feed the cat", "feed the dog",
    "walk the dog", "turn off the oven", "check the oven", "take my medicine", "drink some water", "buy some milk",
    "buy bread", "pay the rent", "pick up the children", "send the letter", "do my homework", "go to bed",
    "take a break", "read my book", "clean the kitchen", "wash the car", "open the window", "close the door",
    "go for a walk", "write to my brother", "make some tea", "eat lunch", "stand up", "stretch my legs",
)  # fmt: skip
NAMES: Final = (
    "anna", "peter", "mary", "john", "tom", "emma", "david", "sarah", "james", "lucy", "robin", "alex", "maria",
    "paul", "julia", "ben", "kate", "sam", "max", "rose", "daniel", "sophie", "oliver", "charlie",
)  # fmt: skip
SPELLABLE: Final = (
    "banana", "house", "table", "window", "garden", "elephant", "science", "weather", "birthday", "chocolate",
    "mountain", "rhythm", "friend", "because", "beautiful", "orange", "computer", "yesterday", "neighbour",
    "business", "island", "library", "necessary", "language", "umbrella", "apple", "school", "music", "people",
    "question", "doctor", "kitchen", "holiday", "family", "piano", "summer", "winter",
)  # fmt: skip
PHRASES: Final = (
    "good morning everybody", "i love music", "the sun is shining", "hello world", "dinner is ready",
    "the quick brown fox", "happy birthday", "i am a robot", "today is a good day", "the cat is on the table",
    "we are going home", "merry christmas", "one two three", "open the door", "nice to meet you",
)  # fmt: skip
PLACES: Final = ("london", "paris", "berlin", "new york", "boston", "chicago", "a small village", "the city",
                 "the mountains", "rome", "madrid", "dublin")  # fmt: skip
LIKES: Final = ("music", "chocolate", "tea", "coffee", "dogs", "cats", "football", "reading", "red wine",
                "long walks", "old films", "pizza", "swimming", "the sea")  # fmt: skip
THINGS: Final = {
    "dog": NAMES, "cat": NAMES, "sister": NAMES, "brother": NAMES, "best friend": NAMES, "wife": NAMES,
    "husband": NAMES, "son": NAMES, "daughter": NAMES, "teacher": NAMES, "boss": NAMES,
}  # fmt: skip
COLOURS: Final = ("red", "blue", "green", "yellow", "black", "white", "orange", "purple", "brown", "pink", "grey")

SHAPES: Final = ("circle", "square", "rectangle", "triangle", "oval")

KINDS: Final[dict[str, Kind]] = {
    "number": Kind(numbers.sample, numbers.read, words=_NUMBER_WORDS),
    "amount": Kind(numbers.sample, _amount_read, words=_NUMBER_WORDS),
    "small": _integer(1, 12),
    "whole": _integer(1, 100),
    "sides": _integer(2, 30),
    "sum": Kind(expressions.sample, expressions.read, words=_SUM_WORDS, weight=4.0),
    "duration": Kind(times.sample_duration, times.read_duration, words=_TIME_WORDS, weight=2.5),
    "clock": Kind(times.sample_clock, times.read_clock, words=_CLOCK_WORDS),
    "unit": Kind(_unit_sample, _unit_read, words=unit_table.WORDS),
    "weekday": _listed(_same(*times.WEEKDAYS)),
    "month": _listed(_same(*times.MONTHS)),
    "day": Kind(lambda random: random.choice(tuple((numbers.ordinal(n), n) for n in range(1, 32))),
                lambda words, at: [(*found, 1.0)] if (found := numbers.read_ordinal(words, at)) and 0 < found[1] < 32
                else [], words=frozenset(numbers.ORDINALS) | _NUMBER_WORDS),
    "event": _listed({
        "christmas": "christmas", "christmas day": "christmas", "christmas eve": "christmas eve",
        "new year": "new year", "new year's day": "new year", "new year's eve": "new year's eve",
        "halloween": "halloween", "valentine's day": "valentine's day", "the weekend": "weekend",
        "summer": "summer", "winter": "winter", "spring": "spring", "autumn": "autumn",
    }),
    "task": _free(TASKS, 12),
    "name": _free(NAMES, 3, without=_NO_NAMES),
    "word": Kind(lambda random: (word := random.choice(SPELLABLE), word), _letters_read, free=True, weight=1.0),
    "phrase": _free(PHRASES, 40),
    "place": _free(PLACES, 5),
    "likes": _free(LIKES, 6),
    "colour": _free(COLOURS, 3),
    "shade": _listed({**_same(*COLOURS), "violet": "purple", "gray": "grey"}),
    "shape": _listed(_same(*SHAPES)),
    "shapes": _listed({f"{shape}s": shape for shape in SHAPES[:4]}),  # nobody can be heard to say "ovals"
    "food": _free(("pizza", "bread", "fish", "chocolate", "apple pie", "soup", "rice", "cheese"), 3),
    "relation": _listed(_same(*THINGS)),
    "fact": _free(("the keys are in the kitchen", "i parked the car in the garden", "the door code is four two six",
                   "dinner is at seven", "the meeting is on monday", "i have a cat", "i am from london"), 20),
    "topic": _listed({"a dragon": "dragon", "dragons": "dragon", "the dragon": "dragon", "the sea": "lighthouse",
                      "a lighthouse": "lighthouse", "the lighthouse": "lighthouse", "a robot": "robot",
                      "robots": "robot", "the robot": "robot", "a fox": "fox", "animals": "fox", "the forest": "fox"}),
    "favourite": _listed(_same(*(f"favourite {each}" for each in (
        "colour", "food", "animal", "song", "book", "film", "number", "season", "city", "drink", "sport", "day")))),
    "label": _listed(_same("pasta", "tea", "eggs", "pizza", "bread", "laundry", "rice", "cake", "workout", "nap",
                           "break", "chicken", "coffee", "kitchen", "exercise", "homework")),
}  # fmt: skip
