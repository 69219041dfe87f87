"""From what was said or written to plain words: lowercase, no punctuation, one spelling, no contractions.

Everything in the brain that compares words compares these. Numbers written as digits stay digits
(``numbers.read`` takes both), symbols become the words people say for them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, TypeAlias

Words: TypeAlias = tuple[str, ...]


def word_set(text: str) -> frozenset[str]:
    """The words of a list written as text."""
    return frozenset(text.split())


_CONTRACTIONS: Final = {
    "can't": "can not", "cannot": "can not", "won't": "will not", "shan't": "shall not", "let's": "let us",
    "what's": "what is", "who's": "who is", "where's": "where is", "how's": "how is", "that's": "that is",
    "it's": "it is", "there's": "there is", "here's": "here is", "when's": "when is", "he's": "he is",
    "she's": "she is", "whats": "what is", "dont": "do not", "im": "i am", "gonna": "going to",
    "wanna": "want to", "gimme": "give me", "lemme": "let me", "ok": "okay", "thankyou": "thank you",
}  # fmt: skip
_ENDINGS: Final = {"n't": " not", "'re": " are", "'ve": " have", "'ll": " will", "'d": " would", "'m": " am"}

_SPELLINGS: Final = {
    "color": "colour", "colors": "colours", "favorite": "favourite", "kilometer": "kilometre",
    "kilometers": "kilometres", "meter": "metre", "meters": "metres", "centimeter": "centimetre",
    "centimeters": "centimetres", "millimeter": "millimetre", "millimeters": "millimetres",
    "litre": "liter", "litres": "liters", "millilitre": "milliliter", "millilitres": "milliliters",
    "neighbor": "neighbour", "mom": "mum", "hi": "hello", "hiya": "hello", "yeah": "yes", "yep": "yes",
    "yup": "yes", "nope": "no", "alright": "okay", "mhm": "mm", "hmm": "mm", "mmm": "mm", "mm-hm": "mm",
    "uh-huh": "mm", "erm": "um", "uhm": "um", "goodnight": "good night", "goodbye": "goodbye", "alarm's": "alarm",
    "jokes": "joke", "stories": "story", "dices": "dice", "die": "dice", "pls": "please", "percents": "percent",
}  # fmt: skip

_UNITS_WRITTEN: Final = {
    "km": "kilometres", "cm": "centimetres", "mm": "millimetres", "kg": "kilograms", "ml": "milliliters",
    "lb": "pounds", "lbs": "pounds", "oz": "ounces", "ft": "feet", "mph": "miles per hour",
    "kmh": "kilometres per hour", "km/h": "kilometres per hour", "°c": "degrees celsius", "°f": "degrees fahrenheit",
    "gb": "gigabytes", "mb": "megabytes", "kb": "kilobytes", "tb": "terabytes", "min": "minutes",
    "mins": "minutes", "sec": "seconds", "secs": "seconds", "hrs": "hours", "hr": "hour", "g": "grams",
}  # fmt: skip

_SYMBOLS: Final = {
    "+": " plus ", "×": " times ", "*": " times ", "÷": " divided by ", "%": " percent ", "=": " ",
    "^": " to the power of ", "√": " square root of ", "€": " euros ", "$": " dollars ", "&": " and ",
    "²": " squared ", "³": " cubed ",
}  # fmt: skip

_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?|\d*\.\d+")
_FILLERS: Final = frozenset({"um", "uh", "er", "ah"})


@lru_cache(maxsize=4096)
def plain(text: str) -> Words:
    """The words of ``text``, normalised; fillers and carriers are still in."""
    text = text.lower().replace("’", "'").replace("—", " ").replace("–", "-").replace("‑", "-")
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", text)
    text = re.sub(r"\bo\.?'\s?clock\b|\bo clock\b", "oclock", text)
    text = re.sub(r"(?<=\d)\s*/\s*(?=\d)", " divided by ", text)
    text = re.sub(r"(?<=\d)\s*[x]\s*(?=\d)", " times ", text)
    text = re.sub(r"(?<=[\d)])\s*-\s*(?=\d)|(?<=\d)\s+-\s+", " minus ", text)
    text = re.sub(r"(?<![\w-])-(?=\d)", " minus ", text)
    for symbol, word in _SYMBOLS.items():
        text = text.replace(symbol, word)
    text = re.sub(r"(\d)(st|nd|rd|th)\b", r"\1", text)
    text = re.sub(r"(\d)(km/h|°c|°f|[a-z]+)\b", r"\1 \2", text)
    words: list[str] = []
    for raw in re.split(r"[\s,;!?\"“”()\[\]…]+", text):
        if raw == "'s":
            words.append(raw)
            continue
        token = raw.strip("':-_") if _NUMBER.fullmatch(raw) else raw.strip("'.:-_")
        if token in _UNITS_WRITTEN and words and (_NUMBER.fullmatch(words[-1]) or words[-1] in ("in", "to", "into")):
            words.extend(_UNITS_WRITTEN[token].split())
        else:
            words.extend(_spell(token))
    return tuple(words)


def _spell(token: str) -> list[str]:
    if not token:
        return []
    if token in _SPELLINGS:
        return _SPELLINGS[token].split()
    if token in _CONTRACTIONS:
        return _CONTRACTIONS[token].split()
    for ending, full in _ENDINGS.items():
        if token.endswith(ending):
            return (token.removesuffix(ending) + full).split()
    if token.endswith("'s"):
        return [token.removesuffix("'s"), "'s"]
    if re.fullmatch(r"\d{1,2}:\d{2}", token) or _NUMBER.fullmatch(token):
        return [token]
    if "-" in token or "." in token:
        return [part for piece in re.split(r"[-.]+", token) for part in _spell(piece)]
    return [token]


_CARRIERS: Final = tuple(
    tuple(line.split())
    for line in (
        "hey", "okay", "please", "hello", "sorry", "no", "yes", "so", "now", "well", "just", "maybe", "actually",
        "kindly", "and", "right", "then", "oh", "duologue", "pocket", "hello duologue", "hello pocket", "excuse me",
        "come on", "from now on", "could you", "can you", "would you", "will you", "can i", "could i", "could you just",
        "can you just", "would you mind", "you can", "you could", "are you able to", "go ahead and", "be so kind and",
        "would you be so kind and", "it would be nice if you could", "do me a favour and", "do you think you could",
        "i would like you to", "i want you to", "i need you to", "i would love you to", "i would like", "i would love",
        "i would like to have", "i would like to hear", "i would love to hear", "i want", "i want to hear", "i need",
        "could you tell me", "can you tell me", "do you know", "do you happen to know", "any idea", "let me know",
        "i would like to know", "i want to know", "i was wondering", "i wonder", "i think",
    )
)  # fmt: skip
_CLOSERS: Final = tuple(
    tuple(line.split())
    for line in (
        "please", "for me", "now", "right now", "thanks", "thank you", "then", "if you can", "if you do not mind",
        "duologue", "pocket", "will you", "would you", "can you", "at the moment", "this morning", "today", "tonight",
        "again", "from now on",
    )
)  # fmt: skip


def variants(text: str) -> list[Words]:
    """Every reading of ``text`` worth understanding, without fillers: as said, and with each carrier ("could you
    …") and closer ("… for me") taken off, as long as something is left. Longest first.
    """
    words = plain(text)
    bare = tuple(word for word in words if word not in _FILLERS) or words
    blunt = tuple(word for word in bare if word != "please")
    found = [bare, blunt] if blunt and blunt != bare else [bare]
    for each in found:
        shorter = [each[len(carrier) :] for carrier in _CARRIERS if each[: len(carrier)] == carrier]
        shorter += [each[: -len(closer)] for closer in _CLOSERS if each[-len(closer) :] == closer]
        found += [words for words in shorter if words and words not in found]
    return found


def core(text: str) -> Words:
    """The shortest of the :func:`variants`: what is left when all carriers and closers are taken off."""
    return min(variants(text), key=len)


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Singular and plural share a stem; recognisers confuse them more than anything else."""
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
