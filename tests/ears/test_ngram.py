"""Trigrams: probabilities that sum to one, shares as said, and a file that PocketSphinx reads the same way."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import pocketsphinx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duologue.ears.ngram import END, START, Openness, Trigrams, estimate, write_arpa

WORDS = ("what", "time", "is", "it", "stop")
corpora = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join), min_size=1, max_size=12)
backgrounds = st.dictionaries(st.sampled_from((*WORDS, "hello", "go")), st.floats(0.1, 10.0))
shares = st.floats(0.01, 0.9)


def vocabulary(model: Trigrams) -> list[str]:
    return [words[0] for words in model.probabilities if len(words) == 1]


@settings(max_examples=60)
@given(corpora, backgrounds, st.builds(Openness, shares, shares, shares), st.integers(1, 3))
def test_after_any_words_the_probabilities_of_all_next_words_sum_to_one(
    corpus: list[str], background: dict[str, float], openness: Openness, least: int
) -> None:
    model = estimate(corpus, background, openness=openness, least=least)
    words = vocabulary(model)
    befores = [(), *((word,) for word in (START, *words)), *product((START, "what", "hello"), words)]
    for before in befores:
        assert math.isclose(sum(model.probability(*before, word) for word in words), 1.0, abs_tol=1e-9), before


def test_shares_are_what_was_said() -> None:
    model = estimate(["what time", "what time", "what stop"], {}, openness=Openness(0.2, 0.3, 0.1))
    unigram = model.probability("time")
    assert unigram == pytest.approx(2 / 9), "no background, so the words alone"
    bigram = model.probability("what", "time")
    assert bigram == pytest.approx(0.7 * 2 / 3 + 0.3 * unigram)
    assert model.probability(START, "what", "time") == pytest.approx(0.8 * 2 / 3 + 0.2 * bigram)
    assert model.probability("stop", "time") == pytest.approx(0.3 * unigram), "never seen: the open share"


def test_a_background_word_can_follow_anything() -> None:
    model = estimate(["what time is it"], {"hello": 1.0})
    assert model.probability("what", "time", "hello") > 0
    with pytest.raises(KeyError):
        model.probability("senator")


def test_pruned_trigrams_leave_their_mass_to_the_shorter_context() -> None:
    model = estimate(["what time is it", "what time is it", "what time is stop"], {}, least=2)
    assert ("time", "is", "stop") not in model.probabilities
    assert model.probability("time", "is", "stop") > 0


def test_nothing_to_learn_from_is_an_error() -> None:
    with pytest.raises(ValueError, match="no sentences"):
        estimate([], {"hello": 1.0})
    with pytest.raises(ValueError, match="between 0 and 1"):
        Openness(trigram=1.0)


def test_pocketsphinx_reads_the_same_probabilities(tmp_path: Path) -> None:
    model = estimate(["what time is it", "what is it", "stop"], {"hello": 1.0, "time": 3.0})
    file = tmp_path / "words.lm"
    with file.open("w") as out:
        write_arpa(model, out)
    scale = pocketsphinx.LogMath(1.0001)
    read = pocketsphinx.NGramModel(pocketsphinx.Config(), scale, str(file))
    for words in (("time",), ("what", "time"), (START, "what", "is"), ("hello", "it"), ("is", "it", END)):
        newest_first = list(reversed(words))
        logarithm = read.prob(newest_first) * math.log10(1.0001)
        assert logarithm == pytest.approx(math.log10(model.probability(*words)), abs=0.002), words
