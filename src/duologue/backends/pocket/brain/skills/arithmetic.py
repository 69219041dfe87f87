"""Arithmetic."""

from __future__ import annotations

from duologue.backends.pocket.brain.expressions import Impossible, evaluate, say_formula
from duologue.backends.pocket.brain.numbers import say as spoken
from duologue.backends.pocket.brain.scene import Pending, Reply, Scene, Slots, say
from duologue.backends.pocket.brain.skills.skill import Skill


def calculate(scene: Scene, slots: Slots) -> Reply:
    if "sum" not in slots:
        return say("What should I calculate?", pending=Pending("arithmetic", slots, (("sum", "sum"),)))
    formula = str(slots["sum"])
    try:
        value = evaluate(formula)
    except Impossible as reason:
        return say(f"I'm afraid {reason}.")
    exact = isinstance(value, int) or f"{value:.3f}".rstrip("0") == f"{value:.9f}".rstrip("0")
    question = say_formula(formula)
    about = "" if exact else "about "
    if scene.persona.brief or len(question) > 50:
        return say(f"The answer is {about}{spoken(value)}.")
    return say(f"{question[0].upper()}{question[1:]} is {about}{spoken(value)}.")


SKILLS = (
    Skill("arithmetic", """
        what is {sum}
        what is the result of {sum}
        how much is {sum}
        calculate {sum}
        compute {sum}
        work out {sum}
        tell me {sum}
        what does {sum} make
        what do you get for {sum}
        {sum}
        solve {sum}
        what is the answer to {sum}
        how much does {sum} make
        find {sum}
        what would {sum} be
        how much would {sum} be
        what do i get for {sum}
        what do i get if i {sum}
        tell me how much is {sum}
        tell me what {sum} is
        can you do {sum}
        do you know {sum}
        what number is {sum}
        what is the value of {sum}
        what do {sum} make
        what does {sum} equal
        give me the result of {sum}
        give me {sum}
        i need {sum}
        tell me how much {sum} makes
        if i {sum} what do i get
        please {sum}
    """, calculate, "question", weight=5.0),
)  # fmt: skip
