"""Spelling."""

from __future__ import annotations

from duologue.backends.pocket.brain.scene import Pending, Reply, Scene, Slots, say
from duologue.backends.pocket.brain.skills.skill import Skill


def spell(scene: Scene, slots: Slots) -> Reply:
    word = str(slots.get("word", ""))
    letters = [letter.upper() for letter in word if letter.isalnum()]
    if not letters:
        return say("Which word should I spell?", pending=Pending("spell", slots, (("word", "word"),)))
    return say(f"{word.capitalize()} is spelled {', '.join(letters)}.")


SKILLS = (
    Skill("spell", """
        spell {word}
        spell the word {word}
        how do you spell {word}
        how is {word} spelled
        how do i spell {word}
        how do you write {word}
        how do i write {word}
        how is the word {word} spelled
        what is the spelling of {word}
        tell me how to spell {word}
        tell me the spelling of {word}
        give me the letters of {word}
        how would you spell {word}
        spell out {word}
        what are the letters of {word}
        how is {word} written
        how do people write {word}
        spell {word} letter by letter
        how do i write the word {word}
        tell me how to write {word}
        which letters are in {word}
        the spelling of {word}
        spell for me [the word] {word}
        what letters are in {word}
        can you spell {word} for me
        how do you spell the word {word}
    """, spell, "question", weight=1.6),
)  # fmt: skip
