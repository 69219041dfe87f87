"""``python -m duologue.backends.pocket.language``: makes the language model anew after the phrasings changed."""

from __future__ import annotations

from duologue.backends.pocket.language import DICTIONARY, LANGUAGE_MODEL
from duologue.backends.pocket.language.build import build

if __name__ == "__main__":
    trigrams, words = build()
    LANGUAGE_MODEL.write_bytes(trigrams)
    DICTIONARY.write_text(words)
    print(f"{LANGUAGE_MODEL.name}: {len(trigrams) / 1e3:.0f} kB; {DICTIONARY.name}: {words.count(chr(10))} entries")
