"""Makes pocket's language model and dictionary from the brain's phrasings.

Sentences of the grammar, and what people say most often of all (``everyday.txt``), over a background of the commonest
words of English, so that a wording the grammar lacks is still heard roughly right and the talk of other people is not
forced into commands.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from importlib.resources import files
from itertools import chain, islice
from pathlib import Path

import pocketsphinx

from duologue.backends.pocket.brain.interjections import INTERJECTIONS
from duologue.backends.pocket.brain.phrasings import BACKGROUND, PRONUNCIATIONS, sentences
from duologue.ears.ngram import Openness, Trigrams, estimate, write_arpa

SENTENCES = 80_000
BACKGROUND_WORDS = 1_000
"""So many of the commonest words of PocketSphinx's own language model."""

EVERYDAY_TIMES = 300
"""How often each line of ``everyday.txt`` counts: the grammar gives every template its due, people do not."""

OPENNESS = Openness(trigram=0.1, bigram=0.1, unigram=0.05)
"""Of the shares tried (0.05 to 0.2) the best on flite's slt, awb and kal16, known and held-out phrasings together."""

_MODEL = Path(pocketsphinx.get_model_path()) / "en-us"


def build() -> tuple[bytes, str]:
    """(trigrams in PocketSphinx's binary form, dictionary), the same bytes at every call."""
    sounds = pronunciations()
    everyday = files(__package__).joinpath("everyday.txt").read_text().splitlines() * EVERYDAY_TIMES
    corpus = chain(islice(sentences(seed=1), SENTENCES), everyday)
    model = estimate(corpus, background(sounds), openness=OPENNESS)
    return _binary(model), dictionary(model, sounds)


def _binary(model: Trigrams) -> bytes:
    with tempfile.TemporaryDirectory(prefix="duologue-language-") as folder:
        arpa, binary = Path(folder, "pocket.lm"), Path(folder, "pocket.lm.bin")
        with arpa.open("w") as file:
            write_arpa(model, file)
        pocketsphinx.NGramModel(pocketsphinx.Config(), pocketsphinx.LogMath(1.0001), str(arpa)).write(str(binary))
        return binary.read_bytes()


def pronunciations() -> Mapping[str, list[str]]:
    """Every word of the CMU dictionary (and ours) and how it may sound, in ARPAbet."""
    sounds: defaultdict[str, list[str]] = defaultdict(list)
    for line in (_MODEL / "cmudict-en-us.dict").read_text().splitlines():
        word, _, sound = line.partition(" ")
        sounds[re.sub(r"\(\d+\)$", "", word)].append(sound)
    for word, ours in PRONUNCIATIONS.items():
        sounds[word] += ours
    return sounds


def background(sounds: Iterable[str]) -> dict[str, float]:
    """The commonest words of English with their probabilities, and those of the brain's own list."""
    scale = pocketsphinx.LogMath(1.0001)
    english = pocketsphinx.NGramModel(pocketsphinx.Config(), scale, str(_MODEL / "en-us.lm.bin"))
    step = math.log10(1.0001)
    known = {word: 10 ** (english.prob([word]) * step) for word in sounds if re.fullmatch(r"[a-z']+", word)}
    common = sorted(known, key=lambda word: (-known[word], word))[:BACKGROUND_WORDS]
    rarest = known[common[-1]]
    return {**dict.fromkeys(BACKGROUND, rarest), **{word: known[word] for word in common}}


def dictionary(model: Trigrams, sounds: Mapping[str, list[str]]) -> str:
    """Every word of the model and of the interjections, with its sounds; ``ValueError`` for one that has none."""
    lines = []
    known = {words[0] for words in model.probabilities if len(words) == 1}
    for word in sorted(known.union(*map(str.split, INTERJECTIONS))):
        if word.startswith("<"):
            continue
        if word not in sounds:
            raise ValueError(f"{word!r} is in the phrasings but not in the CMU dictionary; add it to PRONUNCIATIONS")
        for number, sound in enumerate(sounds[word], 1):
            lines.append(f"{word if number == 1 else f'{word}({number})'} {sound}\n")
    return "".join(lines)
