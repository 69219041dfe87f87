"""Where anything may be said: are these words finished, and are they for us? Only the form of English sentences tells,
and not always."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from duologue.backends.contract import HistoryItem, Message, Strictness
from duologue.backends.pocket.brain import judgement as pockets
from duologue.backends.pocket.brain.addressee import BOUNDS, for_someone_else, named
from duologue.backends.pocket.brain.judgement import HANGING, HESITATING, Judgement, backchannel
from duologue.backends.pocket.brain.words import Words, plain, word_set

_HANGING: Final = HANGING | word_set(
    "been being its this these those some any no every each i he she they we very really quite also only even just most"
    " less much many let want need going please onto upon under above below through during after before since against"
    " among behind beside near without within toward towards across around along except nor yet although unless"
)
"""Words after which more must come, in most sentences."""

_VERBS: Final = word_set("is are was were am will would could should shall may might must have has had")
"""Those that need more, unless they echo a question: "yes it is", "they would"."""

_ECHOED: Final = word_set("i you he she it we they that this there who so")

_UNFINISHED: Final = tuple(
    tuple(line.split())
    for line in (
        "tell me", "do you know", "can you", "could you", "can you tell me", "could you tell me", "i would like",
        "i want", "give me", "show me", "let me", "is there", "are there", "what about", "how about", "i think",
        "i mean", "i think that", "i know that", "you know",
        "what is", "what are", "who is", "where is", "how many", "how much", "what kind",
    )
)  # fmt: skip
"""Beginnings that are nothing by themselves."""

_ASKING: Final = word_set("who what when where why how which whose whom")
_AUXILIARIES: Final = word_set(
    "is are was were am do does did can could will would shall should may might must have has had"
)
_BEING: Final = word_set("is are was were am")
_IMPERATIVES: Final = word_set(
    "tell give explain describe show list write make read sing say play stop help translate summarise summarize compare"
    " name find count spell repeat continue go start begin define suggest recommend think imagine guess calculate add"
    " convert remind set turn open close look wait describe answer talk speak"
)
_LEADING: Final = word_set("please okay hello hey so and well now then but yes no")
"""Words that may stand before a question or a request without changing what it is."""

_STOPS: Final = frozenset(
    ("stop", "stop it", "please stop", "stop please", "stop talking", "be quiet", "quiet", "quiet please", "shut up",
     "enough", "that is enough", "never mind", "okay stop", "no stop", "stop stop", "hush", "silence")
)  # fmt: skip


@lru_cache(maxsize=4096)
def judge(text: str) -> Judgement:
    """What the words of an unfinished utterance amount to. pocket knows whole sentences better than their form tells,
    and beginnings that have the form of a whole one: some to the letter ("what is twenty five", "how many inches"); of
    others nobody can tell ("what is photosynthesis")."""
    words = plain(text)
    if not words:
        return Judgement(None, False)
    form, known = _complete(words), pockets.judge(text).complete
    complete = True if known else form
    if form and known is False:
        complete = False if pockets.begun(text) else None
    return Judgement(complete, backchannel(words, form))


GREET: Final = "(The conversation begins. Speak first.)"
GO_ON: Final = "(The person says nothing. Go on.)"
HELP_ON: Final = "(The person has said nothing for a while. Say one short sentence that helps them on.)"
"""Stage directions: most models answer only to a user's message."""


def is_for_us(
    text: str, *, name: str, strictness: Strictness, history: Sequence[HistoryItem], since_exchange: float | None
) -> bool:
    """Whether words are to be answered. Nodding is not, unless something was asked, nor is "stop".

    Any words may be meant for whoever is called ``name``: loose, all are answered; strict, out of the blue only those
    that call it. ``since_exchange``: seconds since either side last had the floor; ``None``: never.
    """
    if not text.strip() or is_stop(text):
        return False
    called = named(text, name)
    if called or strictness == "loose":
        return True
    talking = since_exchange is not None and since_exchange <= BOUNDS[strictness].conversation
    if for_someone_else(text) or (strictness == "strict" and not talking):
        return False
    last = history[-1] if history else None
    asked = isinstance(last, Message) and last.role == "assistant" and last.text.rstrip().endswith("?")
    return asked or judge(text).backchannel is not True


def is_stop(text: str) -> bool:
    """Whether it asks for nothing but silence."""
    return " ".join(plain(text)) in _STOPS


def _complete(words: Words) -> bool | None:
    bare = words
    while bare and bare[0] in _LEADING:
        bare = bare[1:]
    if not bare:
        return None
    if words[-1] in HESITATING or bare in _UNFINISHED:
        return False
    last = words[-1]
    if last in _VERBS:
        return None if len(bare) > 1 and bare[-2] in _ECHOED else False
    if last in _HANGING:
        return False
    if len(bare) == 3 and bare[0] in _ASKING and bare[1] in _AUXILIARIES - _BEING and bare[2] in _ECHOED:
        return False  # "what would you …", but "who are you"
    asked = bare[0] in _ASKING or bare[0] in _AUXILIARIES
    return True if (asked or bare[0] in _IMPERATIVES) and len(bare) >= 3 else None
