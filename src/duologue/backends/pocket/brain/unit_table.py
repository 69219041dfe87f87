"""Units of everyday life: what they are called and what they measure, in SI (or bytes, or kelvin)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from duologue.backends.pocket.brain.words import plain, stem


@dataclass(frozen=True, slots=True)
class Unit:
    """A value v in this unit is ``v * scale + offset`` in the base unit of its dimension."""

    name: str
    plural: str
    dimension: str
    scale: float
    offset: float = 0.0
    aliases: tuple[str, ...] = ()


UNITS: Final = (
    Unit("metre", "metres", "length", 1.0),
    Unit("kilometre", "kilometres", "length", 1000.0, aliases=("k",)),
    Unit("centimetre", "centimetres", "length", 0.01),
    Unit("millimetre", "millimetres", "length", 0.001),
    Unit("mile", "miles", "length", 1609.344),
    Unit("yard", "yards", "length", 0.9144),
    Unit("foot", "feet", "length", 0.3048),
    Unit("inch", "inches", "length", 0.0254),
    Unit("nautical mile", "nautical miles", "length", 1852.0),
    Unit("kilogram", "kilograms", "mass", 1.0, aliases=("kilo", "kilos")),
    Unit("gram", "grams", "mass", 0.001),
    Unit("tonne", "tonnes", "mass", 1000.0, aliases=("ton", "metric ton")),
    Unit("pound", "pounds", "mass", 0.45359237),
    Unit("ounce", "ounces", "mass", 0.028349523125),
    Unit("stone", "stone", "mass", 6.35029318),
    Unit("degree celsius", "degrees celsius", "temperature", 1.0, 273.15,
         ("celsius", "centigrade", "degrees centigrade", "degrees c")),
    Unit("degree fahrenheit", "degrees fahrenheit", "temperature", 5 / 9, 459.67 * 5 / 9,
         ("fahrenheit", "degrees f")),
    Unit("kelvin", "kelvin", "temperature", 1.0, 0.0, ("degrees kelvin",)),
    Unit("liter", "liters", "volume", 0.001),
    Unit("milliliter", "milliliters", "volume", 1e-6),
    Unit("gallon", "gallons", "volume", 0.003785411784),
    Unit("pint", "pints", "volume", 0.000473176473),
    Unit("quart", "quarts", "volume", 0.000946352946),
    Unit("cup", "cups", "volume", 0.0002365882365),
    Unit("tablespoon", "tablespoons", "volume", 1.478676478125e-5),
    Unit("teaspoon", "teaspoons", "volume", 4.92892159375e-6),
    Unit("mile per hour", "miles per hour", "speed", 0.44704, aliases=("miles an hour",)),
    Unit("kilometre per hour", "kilometres per hour", "speed", 1 / 3.6, aliases=("kilometres an hour",)),
    Unit("metre per second", "metres per second", "speed", 1.0),
    Unit("knot", "knots", "speed", 1852 / 3600),
    Unit("second", "seconds", "time", 1.0),
    Unit("minute", "minutes", "time", 60.0),
    Unit("hour", "hours", "time", 3600.0),
    Unit("day", "days", "time", 86400.0),
    Unit("week", "weeks", "time", 604800.0),
    Unit("year", "years", "time", 365.2425 * 86400),
    Unit("byte", "bytes", "data", 1.0),
    Unit("kilobyte", "kilobytes", "data", 1e3),
    Unit("megabyte", "megabytes", "data", 1e6),
    Unit("gigabyte", "gigabytes", "data", 1e9),
    Unit("terabyte", "terabytes", "data", 1e12),
)  # fmt: skip
"""Gallons, pints and cups are those of the United States; data is counted in powers of ten."""

BY_NAME: Final = {unit.name: unit for unit in UNITS}
COMMON: Final = tuple(unit for unit in UNITS if unit.name not in ("nautical mile", "quart", "kelvin", "byte"))

_INDEX: Final = {
    tuple(stem(word) for word in plain(name)): unit
    for unit in UNITS
    for name in (unit.name, unit.plural, *unit.aliases)
}
WORDS: Final = frozenset(word for name in _INDEX for word in name if word not in ("an", "per", "c", "f", "k"))


def find(words: tuple[str, ...]) -> Unit | None:
    """The unit that ``words`` name exactly, in any number."""
    return _INDEX.get(tuple(stem(word) for word in words))


def convert(value: float, source: Unit, target: Unit) -> float:
    """``value`` of ``source`` in ``target``.

    Raises:
        ValueError: the two measure different things.
    """
    if source.dimension != target.dimension:
        raise ValueError(f"{source.plural} measure {source.dimension}, {target.plural} {target.dimension}")
    return (value * source.scale + source.offset - target.offset) / target.scale
