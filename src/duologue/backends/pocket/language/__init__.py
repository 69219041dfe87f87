"""The words that pocket listens for: trigrams of its own phrasings, and how their words sound.

Trigrams and dictionary are made by ``python -m duologue.backends.pocket.language`` from the brain's phrasings
(:mod:`.build`); a test keeps them in step. ``calibration.json`` is fitted by
``python -m duologue.measure.calibration``.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from duologue.backends.pocket.brain.interjections import INTERJECTIONS
from duologue.ears.vocabulary import Calibration, Vocabulary

HERE = Path(str(files(__name__)))
LANGUAGE_MODEL = HERE / "pocket.lm.bin"
DICTIONARY = HERE / "pocket.dict"
CALIBRATION = HERE / "calibration.json"

FREE_WORDS = r"\b(remember|reminder|remind|repeat|called|name is|my favou?rite|i live|call me|spell)\b"
"""After these, words come that no vocabulary foresees: the open ear listens too."""

DOUBT = 0.2
"""Below this confidence too, but not lightly: it takes a quarter of a core, and the answer waits for it."""


def vocabulary() -> Vocabulary:
    """What pocket's ear listens for."""
    calibration = Calibration(**json.loads(CALIBRATION.read_text())) if CALIBRATION.is_file() else None
    return Vocabulary(
        LANGUAGE_MODEL,
        DICTIONARY,
        calibration=calibration,
        open_after=FREE_WORDS,
        doubt=DOUBT,
        interjections=INTERJECTIONS,
    )
