"""pocket's language model is the one that its phrasings give."""

from __future__ import annotations

import time

from duologue.backends.pocket.language import DICTIONARY, LANGUAGE_MODEL, vocabulary
from duologue.backends.pocket.language.build import build


def test_it_is_in_step_with_the_phrasings() -> None:
    trigrams, words = build()
    remedy = "the phrasings changed: run python -m duologue.backends.pocket.language"
    assert words == DICTIONARY.read_text(), remedy
    assert trigrams == LANGUAGE_MODEL.read_bytes(), remedy


def test_its_decoder_is_quickly_made() -> None:
    vocabulary().decoder()
    begun = time.process_time()
    vocabulary().decoder()
    assert time.process_time() - begun < 0.3
