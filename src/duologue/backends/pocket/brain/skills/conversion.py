"""Unit conversion."""

from __future__ import annotations

from typing import Final

from duologue.backends.pocket.brain.numbers import Number, count_of
from duologue.backends.pocket.brain.scene import Pending, Reply, Scene, Slots, say
from duologue.backends.pocket.brain.skills.skill import Skill
from duologue.backends.pocket.brain.unit_table import BY_NAME, Unit
from duologue.backends.pocket.brain.unit_table import convert as converted

_COUNTERPARTS: Final = {
    "mile": "kilometre", "kilometre": "mile", "foot": "metre", "metre": "foot", "inch": "centimetre",
    "centimetre": "inch", "pound": "kilogram", "kilogram": "pound", "ounce": "gram", "gram": "ounce",
    "degree celsius": "degree fahrenheit", "degree fahrenheit": "degree celsius", "gallon": "liter",
    "liter": "gallon", "mile per hour": "kilometre per hour", "kilometre per hour": "mile per hour",
    "yard": "metre", "stone": "kilogram", "pint": "liter",
}  # fmt: skip


def convert(scene: Scene, slots: Slots) -> Reply:
    source = BY_NAME.get(str(slots.get("source")))
    target = BY_NAME.get(str(slots.get("target")))
    if source is None:
        return say("What should I convert? For example: five miles to kilometres.")
    if target is None:
        guess = _COUNTERPARTS.get(source.name)
        if guess is None:
            pending = Pending("convert", slots, (("target", "unit"),))
            return say(f"Into which unit should I convert the {source.plural}?", pending=pending)
        target = BY_NAME[guess]
    amount = slots.get("amount", 1)
    value: Number = amount if isinstance(amount, int | float) else 1
    if source.dimension != target.dimension:
        return say(f"{source.plural.capitalize()} measure {source.dimension}, and {target.plural} "
                   f"{target.dimension}, so that can't be converted.")  # fmt: skip
    result = converted(value, source, target)
    rounded: Number = float(f"{result:.3g}") if abs(result) < 1 else round(result, 2 if abs(result) < 100 else 1)
    if source.dimension == "temperature":
        rounded = round(result, 1)
    if rounded == round(rounded):
        rounded = round(rounded)
    about = "" if abs(rounded - result) <= 1e-9 * max(1.0, abs(result)) else "about "
    verb = "is" if value == 1 else "are"
    return say(f"{_said(value, source).capitalize()} {verb} {about}{_said(rounded, target)}.")


def _said(value: Number, unit: Unit) -> str:
    return count_of(value, unit.name, unit.plural)


def _sensible(slots: Slots) -> bool:
    """Whether a sampled conversion can be made at all."""
    source, target = BY_NAME[str(slots["source"])], BY_NAME[str(slots["target"])]
    return source is not target and source.dimension == target.dimension


SKILLS = (
    Skill("convert", """
        convert {amount} {source:unit} to {target:unit}
        convert {amount} {source:unit} into {target:unit}
        what is {amount} {source:unit} in {target:unit}
        how much is {amount} {source:unit} in {target:unit}
        how many {target:unit} are in {amount} {source:unit}
        how many {target:unit} in {amount} {source:unit}
        how many {target:unit} is {amount} {source:unit}
        how many {target:unit} are {amount} {source:unit}
        how many {target:unit} are there in {amount} {source:unit}
        how many {target:unit} are in (a|an|one) {source:unit} @amount=1
        how many {target:unit} make [up] (a|an|one) {source:unit} @amount=1
        {amount} {source:unit} in {target:unit}
        {amount} {source:unit} to {target:unit}
        change {amount} {source:unit} to {target:unit}
        turn {amount} {source:unit} into {target:unit}
        what are {amount} {source:unit} in {target:unit}
        how many {target:unit} do {amount} {source:unit} have
        how many {target:unit} does (a|an|one) {source:unit} have @amount=1
        how many {target:unit} go into {amount} {source:unit}
        how many {target:unit} are there in (a|an|one) {source:unit} @amount=1
        express {amount} {source:unit} in {target:unit}
        {amount} {source:unit} is how many {target:unit}
        how far is {amount} {source:unit} in {target:unit}
        tell me {amount} {source:unit} in {target:unit}
        how many {target:unit} does {amount} {source:unit} make
        how many {target:unit} do {amount} {source:unit} make
        if i have {amount} {source:unit} how many {target:unit} is that
        {amount} {source:unit} how many {target:unit} is that
        how many {target:unit} do i get for {amount} {source:unit}
        give me {amount} {source:unit} in {target:unit}
        {amount} {source:unit} into {target:unit}
        what is the value of {amount} {source:unit} in {target:unit}
    """, convert, "question", weight=4.0, sensible=_sensible),
)  # fmt: skip
