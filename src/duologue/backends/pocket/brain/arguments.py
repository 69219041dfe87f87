"""A value that fits a JSON Schema, with what the words say put where it belongs.

This is a template, not a language model: numbers, names after "in" or "for", dates, times, and the values of
an enumeration are found in the words (:mod:`.heard`); what they do not give is the plainest value the schema
allows (:mod:`.schema`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from duologue.backends.pocket.brain import numbers, patterns
from duologue.backends.pocket.brain.heard import Heard
from duologue.backends.pocket.brain.schema import DEEPEST, Schema, Schemas, Unsatisfiable, same
from duologue.backends.pocket.brain.words import Words, plain, stem

_MOST_ITEMS = 64


def fill(schema: Schema, words: Words, now: datetime) -> Any:
    """A value that fits ``schema``.

    Raises:
        Unsatisfiable: there is none, or it is beyond this template.
    """
    try:
        return _Filler(Schemas(schema), Heard(words, now)).make(schema, (), 0)
    except (TypeError, AttributeError, KeyError) as error:
        raise Unsatisfiable(f"what was given is no schema: {error}") from error


class _Filler:
    def __init__(self, schemas: Schemas, heard: Heard) -> None:
        self._schemas = schemas
        self._heard = heard

    def make(self, schema: Schema, hints: Words, depth: int, place: int = 0) -> Any:
        """A value for ``schema``. ``hints`` are the words of the property's name and description; ``place``
        tells the items of one array apart."""
        if isinstance(schema, bool):
            if not schema:
                raise Unsatisfiable("the schema allows nothing")
            return self._text({}, hints, place)
        if depth > DEEPEST:
            raise Unsatisfiable("the schema is nested too deeply")
        flat = self._schemas.resolved(schema)
        choices = [key for key in ("anyOf", "oneOf") if key in flat]
        if choices:
            key = choices[0]
            rest = {name: value for name, value in flat.items() if name != key}
            return self._first((self._schemas.merged(rest, option) for option in flat[key]), flat, hints, depth, place)
        types = flat.get("type")
        if isinstance(types, list):
            wanted = sorted(types, key=lambda kind: kind == "null")
            return self._first(({**flat, "type": kind} for kind in wanted), flat, hints, depth, place)
        value = self._value(flat, hints, depth, place)
        if not self._schemas.fits(value, flat):
            raise Unsatisfiable(f"nothing was found that fits {json.dumps(flat, default=str)[:200]}")
        return value

    def _first(
        self, options: Iterator[dict[str, Any]], whole: Mapping[str, Any], hints: Words, depth: int, place: int
    ) -> Any:
        reason: Unsatisfiable | None = None
        for option in options:
            try:
                value = self.make(option, hints, depth + 1, place)
            except Unsatisfiable as failed:
                reason = failed
                continue
            if self._schemas.fits(value, whole):
                return value
        raise reason or Unsatisfiable("no alternative of the schema can be filled")

    def _value(self, flat: Mapping[str, Any], hints: Words, depth: int, place: int) -> Any:
        if "const" in flat:
            return flat["const"]
        if "enum" in flat:
            return self._listed(flat, hints, place)
        kind = flat.get("type") or _implied(flat)
        if kind == "object":
            return self._object(flat, depth)
        if kind == "array":
            return self._array(flat, hints, depth)
        if kind in ("integer", "number"):
            return self._number(flat, hints, place, whole=kind == "integer")
        if kind == "boolean":
            return self._truth(flat, hints)
        if kind == "null":
            return None
        return self._text(flat, hints, place)

    def _listed(self, flat: Mapping[str, Any], hints: Words, place: int) -> Any:
        """The value of the enumeration that the words name, else one that fits."""
        fitting = [value for value in flat["enum"] if self._schemas.fits(value, flat)]
        if not fitting:
            raise Unsatisfiable("no value of the enumeration fits")
        for value in fitting:
            if value not in (None, "") and self._heard.mentions(str(value)):
                return value
        if "default" in flat and flat["default"] in fitting:
            return flat["default"]
        return fitting[place % len(fitting)]

    def _object(self, flat: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties: Mapping[str, Schema] = flat.get("properties", {})
        made: dict[str, Any] = {}
        required = list(flat.get("required", ()))
        for name in required:
            inner = self._schemas.property_of(flat, name)
            made[name] = self.make(inner, self._hints(name, inner), depth + 1)
            for needed in flat.get("dependentRequired", {}).get(name, ()):
                if needed not in required:
                    required.append(needed)
        optional = [name for name in properties if name not in made]
        for name in optional:
            if len(made) >= flat.get("maxProperties", math.inf):
                break
            inner = properties[name]
            short = len(made) < flat.get("minProperties", 0)
            if short or self._mentioned(name, inner):
                try:
                    made[name] = self.make(inner, self._hints(name, inner), depth + 1)
                except Unsatisfiable:
                    if short and name == optional[-1]:
                        raise
        while len(made) < flat.get("minProperties", 0):
            name = f"field{len(made)}"
            made[name] = self.make(self._schemas.property_of(flat, name), (), depth + 1)
        return made

    def _hints(self, name: str, schema: Schema) -> Words:
        described = schema.get("description", "") if isinstance(schema, Mapping) else ""
        return plain(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ") + " " + str(described))

    def _mentioned(self, name: str, schema: Schema) -> bool:
        """Whether the words say something about an optional property."""
        if not isinstance(schema, Mapping):
            return False
        if "enum" in schema:
            return any(value not in (None, "") and self._heard.mentions(str(value)) for value in schema["enum"])
        spoken = {stem(word) for word in self._heard.words}
        return any(stem(word) in spoken for word in plain(name.replace("_", " ")) if len(word) > 2)

    def _array(self, flat: Mapping[str, Any], hints: Words, depth: int) -> list[Any]:
        first: list[Schema] = list(flat.get("prefixItems", ()))
        rest = flat.get("items", True)
        least = flat.get("minItems", 0)
        if "contains" in flat:
            least = max(least, flat.get("minContains", 1))
        wanted = max(least, min(1 if self._heard.words else 0, flat.get("maxItems", 1)))
        if wanted > _MOST_ITEMS:
            raise Unsatisfiable(f"an array of {wanted} items")
        made: list[Any] = []
        for place in range(wanted):
            inner: Schema = first[place] if place < len(first) else rest
            if "contains" in flat and place < flat.get("minContains", 1):
                inner = {"allOf": [inner, flat["contains"]]}
            try:
                made.append(self._another(inner, hints, depth, made if flat.get("uniqueItems") else [], place))
            except Unsatisfiable:
                if place < least:
                    raise
                break
        return made

    def _another(self, schema: Schema, hints: Words, depth: int, others: list[Any], place: int) -> Any:
        for attempt in range(place, place + 2 * _MOST_ITEMS):
            value = self.make(schema, hints, depth + 1, attempt)
            if not any(same(value, other) for other in others):
                return value
        raise Unsatisfiable("not enough different items")

    def _number(self, flat: Mapping[str, Any], hints: Words, place: int, *, whole: bool) -> numbers.Number:
        step = flat.get("multipleOf", 1 if whole else None)
        low, high = flat.get("minimum", -math.inf), flat.get("maximum", math.inf)
        candidates: list[numbers.Number] = list(self._heard.numbers(hints))[place:]
        if isinstance(flat.get("default"), int | float) and not isinstance(flat["default"], bool):
            candidates.append(flat["default"])
        edges = [edge for edge in (low, high, flat.get("exclusiveMinimum"), flat.get("exclusiveMaximum"))
                 if edge is not None and math.isfinite(edge)]  # fmt: skip
        grain = step if step else 1
        if whole and step and step != int(step):
            grain = step * next((k for k in range(1, 1000) if (step * k) == int(step * k)), 1)
        for anchor in (place * grain, 1, 0, *edges):
            count = math.floor(anchor / grain) if grain else 0
            candidates += [(count + offset) * grain for offset in (0, 1, 2, -1, -2, place + 1)]
        if len(edges) >= 2:
            candidates.append((min(edges) + max(edges)) / 2)
        for edge in edges:
            candidates += [math.nextafter(edge, math.inf), math.nextafter(edge, -math.inf)]
        candidates += [anchor + place for anchor in (0, *edges)] + [anchor - place for anchor in edges]
        for value in candidates:
            if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
                value = int(value)
            if self._schemas.fits(value, flat) and not (whole and isinstance(value, float)):
                return value
        raise Unsatisfiable("no number fits")

    def _truth(self, flat: Mapping[str, Any], hints: Words) -> bool:
        said = self._heard.truth(hints)
        return bool(flat.get("default", False)) if said is None else said

    def _text(self, flat: Mapping[str, Any], hints: Words, place: int) -> str:
        least, most = flat.get("minLength", 0), flat.get("maxLength", math.inf)
        candidates = [*self._heard.moments(flat.get("format"), hints)]
        if "format" not in flat or not candidates:
            candidates = [*candidates, *self._heard.phrases(hints)]
        if isinstance(flat.get("default"), str):
            candidates.append(flat["default"])
        candidates = candidates[place:] if place else candidates
        candidates += [f"{text}{place or ''}" for text in (" ".join(self._heard.words), "text")]
        if "pattern" in flat:
            candidates += [upper for text in candidates for upper in (text.upper(), text.replace(" ", ""))]
            candidates += patterns.examples(flat["pattern"], place)
        for text in candidates:
            if len(text) > most:
                text = text[: int(most)].strip() or text[: int(most)]
            if len(text) < least and "pattern" not in flat:
                text = text + "." * min(int(least) - len(text), 100_000)
            if self._schemas.fits(text, flat):
                return text
        raise Unsatisfiable("no text fits")


def _implied(flat: Mapping[str, Any]) -> str:
    """The type of a schema that names none."""
    for keys, kind in (
        (("properties", "required", "additionalProperties", "minProperties", "patternProperties"), "object"),
        (("items", "minItems", "prefixItems", "contains", "uniqueItems"), "array"),
        (("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"), "number"),
    ):
        if any(key in flat for key in keys):
            return kind
    return "string"
