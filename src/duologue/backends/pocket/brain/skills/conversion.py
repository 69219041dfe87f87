"""Unit conversion."""

from __future__ import annotations

from typing import Final

from ..numbers import Number, count_of
from ..scene import Pending, Reply, Scene, Slots, say
from ..unit_table import BY_NAME, Unit
from ..unit_table import convert as converted
from .skill import Skill

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
        convert {amount:number} {source:unit} to {target:unit}
        convert {amount:number} {source:unit} into {target:unit}
        what is {amount:number} {source:unit} in {target:unit}
        how much is {amount:number} {source:unit} in {target:unit}
        how many {target:unit} are in {amount:number} {source:unit}
        how many {target:unit} in {amount:number} {source:unit}
        how many {target:unit} is {amount:number} {source:unit}
        how many {target:unit} are {amount:number} {source:unit}
        how many {target:unit} are there in {amount:number} {source:unit}
        how many {target:unit} are in (a|an|one) {source:unit} @amount=1
        how many {target:unit} make [up] (a|an|one) {source:unit} @amount=1
        {amount:number} {source:unit} in {target:unit}
        {amount:number} {source:unit} to {target:unit}
        change {amount:number} {source:unit} to {target:unit}
        turn {amount:number} {source:unit} into {target:unit}
        what are {amount:number} {source:unit} in {target:unit}
        how many {target:unit} do {amount:number} {source:unit} have
        how many {target:unit} does (a|an|one) {source:unit} have @amount=1
        how many {target:unit} go into {amount:number} {source:unit}
        how many {target:unit} are there in (a|an|one) {source:unit} @amount=1
        express {amount:number} {source:unit} in {target:unit}
        {amount:number} {source:unit} is how many {target:unit}
        how far is {amount:number} {source:unit} in {target:unit}
        tell me {amount:number} {source:unit} in {target:unit}
        how many {target:unit} does {amount:number} {source:unit} make
        how many {target:unit} do {amount:number} {source:unit} make
        if i have {amount:number} {source:unit} how many {target:unit} is that
        {amount:number} {source:unit} how many {target:unit} is that
        how many {target:unit} do i get for {amount:number} {source:unit}
        give me {amount:number} {source:unit} in {target:unit}
        {amount:number} {source:unit} into {target:unit}
        what is the value of {amount:number} {source:unit} in {target:unit}
    """, convert, "question", weight=4.0, sensible=_sensible),
)  # fmt: skip
