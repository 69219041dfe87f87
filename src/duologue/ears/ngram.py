"""Word trigrams for the recogniser, from sentences that a grammar generates, written as ARPA files.

Counts of generated sentences are arbitrary (sample twice as many and they double), so discounts that read
meaning from them (Good-Turing, Kneser-Ney, and the builder that the ``pocketsphinx`` package brings) leave
almost nothing for wordings the grammar lacks. Here the share of each context that goes to what was not seen after
it is said outright (Jelinek-Mercer smoothing)::

    P(w | u v) = (1 - open₃) · c(u v w)/c(u v) + open₃ · P(w | v)
    P(w | v)   = (1 - open₂) · c(v w)/c(v)     + open₂ · P(w)
    P(w)       = (1 - open₁) · c(w)/N          + open₁ · background(w)

A back-off weight is then the open share of its context, and what pruning took from it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TextIO, TypeAlias

START, END = "<s>", "</s>"

Words: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Openness:
    """The share of each context's probability that goes to what was never seen after it, each in (0, 1)."""

    trigram: float = 0.2
    bigram: float = 0.2
    unigram: float = 0.1

    def __post_init__(self) -> None:
        for share in (self.trigram, self.bigram, self.unigram):
            if not 0.0 < share < 1.0:
                raise ValueError(f"a share of probability lies between 0 and 1, not {share}")


@dataclass(frozen=True, slots=True)
class Trigrams:
    """A back-off model of one to three words. All values are probabilities, not logarithms."""

    probabilities: Mapping[Words, float]
    """Of the last word of one, two or three, given those before it."""
    backoffs: Mapping[Words, float]
    """By context of one or two words: the weight of the shorter context where the longer one has no entry."""

    def probability(self, *words: str) -> float:
        """P(last word | up to two words before it); ``KeyError`` for a word the model does not have."""
        known = self.probabilities.get(words)
        if known is not None or len(words) == 1:
            return self.probabilities[words]
        return self.backoffs.get(words[:-1], 1.0) * self.probability(*words[1:])


def estimate(
    sentences: Iterable[str],
    background: Mapping[str, float],
    *,
    openness: Openness | None = None,
    least: int = 1,
) -> Trigrams:
    """The model of ``sentences`` (words separated by spaces) over a ``background`` of word weights.

    The vocabulary is that of both. Trigrams seen fewer than ``least`` times are left out.
    """
    openness = openness or Openness()
    counts: tuple[Counter[Words], Counter[Words], Counter[Words]] = (Counter(), Counter(), Counter())
    for sentence in sentences:
        words = (START, *sentence.split(), END)
        counts[0].update((word,) for word in words[1:])
        counts[1].update(pairwise(words))
        counts[2].update(zip(words, words[1:], words[2:], strict=False))
    if not counts[0]:
        raise ValueError("no sentences to estimate a language model from")

    whole, known = sum(background.values()), sum(counts[0].values())
    probabilities: dict[Words, float] = {(word,): 0.0 for word in sorted({w for (w,) in counts[0]} | set(background))}
    share = openness.unigram if whole > 0 else 0.0
    for (word,) in probabilities:
        probabilities[(word,)] = (1 - share) * counts[0][(word,)] / known
        if whole > 0:
            probabilities[(word,)] += share * background.get(word, 0.0) / whole

    model = Trigrams(probabilities, {})
    for level, kept, open_share in ((1, 1, openness.bigram), (2, least, openness.trigram)):
        model = _longer(model, counts[level], kept, open_share)
    return model


def _longer(shorter: Trigrams, counts: Counter[Words], least: int, open_share: float) -> Trigrams:
    """``shorter`` and one word more of context."""
    seen: defaultdict[Words, int] = defaultdict(int)
    for words, count in counts.items():
        seen[words[:-1]] += count
    shares = {w: (1 - open_share) * c / seen[w[:-1]] for w, c in sorted(counts.items()) if c >= least}
    backoffs: dict[Words, float] = {}
    for words, share in shares.items():
        backoffs[words[:-1]] = backoffs.get(words[:-1], 1.0) - share
    longer = {w: share + backoffs[w[:-1]] * shorter.probability(*w[1:]) for w, share in shares.items()}
    return Trigrams({**shorter.probabilities, **longer}, {**shorter.backoffs, **backoffs})


def write_arpa(model: Trigrams, file: TextIO) -> None:
    """The model in the ARPA format, base-10 logarithms, entries in sorted order."""
    levels: tuple[list[Words], ...] = ([], [], [])
    for words in sorted(model.probabilities):
        levels[len(words) - 1].append(words)
    if (START,) not in model.probabilities:
        levels[0].insert(0, (START,))
    file.write("\\data\\\n")
    file.writelines(f"ngram {order}={len(level)}\n" for order, level in enumerate(levels, 1))
    for order, level in enumerate(levels, 1):
        file.write(f"\n\\{order}-grams:\n")
        for words in level:
            probability = model.probabilities.get(words, 0.0)  # nothing is ever followed by the start of a sentence
            line = f"{math.log10(probability) if probability > 0 else -99:.4f}\t{' '.join(words)}"
            if words in model.backoffs:
                line += f"\t{math.log10(model.backoffs[words]):.4f}"
            file.write(line + "\n")
    file.write("\n\\end\\\n")
