"""A value that fits a JSON Schema, with what the words say put where it belongs.

This is a template, not a language model: numbers, names after "in" or "for", dates, times, and the values of
an enumeration are found in the words; what they do not give is the plainest value the schema allows.
What it understands of JSON Schema: type, enum, const, default, numeric and length bounds, multipleOf, pattern,
common formats, arrays, objects, $ref within the document, allOf, anyOf, oneOf, nullable.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeAlias

from . import numbers, patterns, times
from .words import Words, plain, stem, word_set

Schema: TypeAlias = Mapping[str, Any] | bool

_DEEPEST = 24
_MOST_ITEMS = 64


class Unsatisfiable(ValueError):
    """No value that this template can make fits the schema."""


def fill(schema: Schema, words: Words, now: datetime) -> Any:
    """A value that fits ``schema``.

    Raises:
        Unsatisfiable: there is none, or it is beyond this template.
    """
    return _Filler(schema, words, now).make(schema, (), 0)


class _Filler:
    def __init__(self, root: Schema, words: Words, now: datetime) -> None:
        self._root = root
        self._words = words
        self._now = now
        self._numbers = _numbers_in(words)

    # -- the schema's structure ---------------------------------------------------------------------------

    def make(self, schema: Schema, hints: Words, depth: int, place: int = 0) -> Any:
        """A value for ``schema``. ``hints`` are the words of the property's name and description; ``place``
        tells the items of one array apart."""
        if isinstance(schema, bool):
            if not schema:
                raise Unsatisfiable("the schema allows nothing")
            return self._text({}, hints, place)
        if depth > _DEEPEST:
            raise Unsatisfiable("the schema is nested too deeply")
        flat = self._resolved(schema, depth)
        choices = [key for key in ("anyOf", "oneOf") if key in flat]
        if choices:
            key = choices[0]
            rest = {name: value for name, value in flat.items() if name != key}
            return self._first((self._merged(rest, option) for option in flat[key]), flat, hints, depth, place)
        types = flat.get("type")
        if isinstance(types, list):
            wanted = sorted(types, key=lambda kind: kind == "null")
            return self._first(({**flat, "type": kind} for kind in wanted), flat, hints, depth, place)
        value = self._value(flat, hints, depth, place)
        if not self.fits(value, flat):
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
            if self.fits(value, whole):
                return value
        raise reason or Unsatisfiable("no alternative of the schema can be filled")

    def _resolved(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """``schema`` with its reference followed and its ``allOf`` merged in."""
        flat = dict(schema)
        for _ in range(_DEEPEST):
            if "$ref" in flat:
                target = self._target(flat.pop("$ref"))
                flat = self._merged(flat, target)
            elif "allOf" in flat:
                parts = flat.pop("allOf")
                for part in parts:
                    flat = self._merged(flat, part)
            else:
                return flat
        raise Unsatisfiable("the schema refers to itself without end")

    def _target(self, reference: str) -> Schema:
        if not reference.startswith("#"):
            raise Unsatisfiable(f"the reference {reference!r} leads out of the schema")
        node: Any = self._root
        for step in reference.lstrip("#").strip("/").split("/") if reference.strip("#/") else ():
            step = step.replace("~1", "/").replace("~0", "~")
            try:
                node = node[int(step)] if isinstance(node, list) else node[step]
            except (KeyError, IndexError, TypeError, ValueError):
                raise Unsatisfiable(f"the reference {reference!r} leads nowhere") from None
        if not isinstance(node, Mapping | bool):
            raise Unsatisfiable(f"the reference {reference!r} is no schema")
        return node

    def _merged(self, one: Mapping[str, Any], other: Schema) -> dict[str, Any]:
        """A schema that asks for both."""
        if isinstance(other, bool):
            if not other:
                raise Unsatisfiable("the schema allows nothing")
            return dict(one)
        both = dict(one)
        for key, value in other.items():
            if key not in both or both[key] == value:
                both[key] = value
            elif key == "properties":
                both[key] = {**both[key], **{
                    name: {"allOf": [both[key][name], inner]} if name in both[key] else inner
                    for name, inner in value.items()
                }}  # fmt: skip
            elif key == "required":
                both[key] = list(dict.fromkeys([*both[key], *value]))
            elif key in ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"):
                both[key] = max(both[key], value)
            elif key in ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"):
                both[key] = min(both[key], value)
            elif key == "enum":
                both[key] = [each for each in both[key] if any(_same(each, more) for more in value)]
            elif key == "type":
                both[key] = _both_types(both[key], value)
            elif key in ("anyOf", "oneOf", "not", "pattern", "multipleOf", "items", "contains", "const", "if"):
                both["allOf"] = [*both.get("allOf", []), {key: value}]
                if key in ("anyOf", "oneOf"):  # one list of alternatives at a time: cross them
                    both.pop("allOf")
                    both[key] = [{"allOf": [left, right]} for left in both[key] for right in value]
        return both

    # -- values -------------------------------------------------------------------------------------------------

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
        fitting = [value for value in flat["enum"] if self.fits(value, flat)]
        if not fitting:
            raise Unsatisfiable("no value of the enumeration fits")
        for value in fitting:
            if value not in (None, "") and _occurs(str(value), self._words):
                return value
        if "default" in flat and flat["default"] in fitting:
            return flat["default"]
        return fitting[place % len(fitting)]

    def _object(self, flat: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties: Mapping[str, Schema] = flat.get("properties", {})
        made: dict[str, Any] = {}
        required = list(flat.get("required", ()))
        for name in required:
            inner = self._property(flat, name)
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
            made[name] = self.make(self._property(flat, name), (), depth + 1)
        return made

    @staticmethod
    def _property(flat: Mapping[str, Any], name: str) -> Schema:
        """What the schema says about a property, by name, by pattern, or by what it says of all others."""
        found = [flat["properties"][name]] if name in flat.get("properties", {}) else []
        found += [inner for pattern, inner in flat.get("patternProperties", {}).items() if re.search(pattern, name)]
        if not found:
            return flat.get("additionalProperties", True)  # type: ignore[no-any-return]
        return found[0] if len(found) == 1 else {"allOf": found}

    def _hints(self, name: str, schema: Schema) -> Words:
        described = schema.get("description", "") if isinstance(schema, Mapping) else ""
        return plain(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ") + " " + str(described))

    def _mentioned(self, name: str, schema: Schema) -> bool:
        """Whether the words say something about an optional property."""
        if not isinstance(schema, Mapping):
            return False
        if "enum" in schema:
            return any(value not in (None, "") and _occurs(str(value), self._words) for value in schema["enum"])
        spoken = {stem(word) for word in self._words}
        return any(stem(word) in spoken for word in plain(name.replace("_", " ")) if len(word) > 2)

    def _array(self, flat: Mapping[str, Any], hints: Words, depth: int) -> list[Any]:
        first: list[Schema] = list(flat.get("prefixItems", ()))
        rest = flat.get("items", True)
        least = flat.get("minItems", 0)
        if "contains" in flat:
            least = max(least, flat.get("minContains", 1))
        wanted = max(least, min(1 if self._words else 0, flat.get("maxItems", 1)))
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
            if not any(_same(value, other) for other in others):
                return value
        raise Unsatisfiable("not enough different items")

    def _number(self, flat: Mapping[str, Any], hints: Words, place: int, *, whole: bool) -> numbers.Number:
        step = flat.get("multipleOf", 1 if whole else None)
        low, high = flat.get("minimum", -math.inf), flat.get("maximum", math.inf)
        candidates: list[numbers.Number] = list(self._spoken_numbers(hints))[place:]
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
            if self.fits(value, flat) and not (whole and isinstance(value, float)):
                return value
        raise Unsatisfiable("no number fits")

    def _spoken_numbers(self, hints: Words) -> Iterator[numbers.Number]:
        """Numbers of the words, those beside the property's own name first; durations in the property's unit."""
        stems = {stem(word) for word in hints}
        unit = next((size for name, size in times.SECONDS.items() if name in stems), None)
        if unit:
            for at in range(len(self._words)):
                for _, seconds, _ in times.read_duration(self._words, at):
                    yield seconds / unit
                    break
        near = [value for start, end, value in self._numbers
                if any(stem(word) in stems for word in self._words[max(0, start - 1) : end + 1])]  # fmt: skip
        yield from near
        yield from (value for _, _, value in self._numbers if value not in near)

    def _truth(self, flat: Mapping[str, Any], hints: Words) -> bool:
        spoken = set(self._words)
        if spoken & {"without", "off", "not", "no", "disable", "false"}:
            return False
        if spoken & {"on", "with", "yes", "enable", "true"} or {stem(w) for w in hints} & {stem(w) for w in spoken}:
            return True
        return bool(flat.get("default", False))

    # -- strings ------------------------------------------------------------------------------------------------

    def _text(self, flat: Mapping[str, Any], hints: Words, place: int) -> str:
        least, most = flat.get("minLength", 0), flat.get("maxLength", math.inf)
        candidates = [*self._moments(flat.get("format"), hints)]
        if "format" not in flat or not candidates:
            candidates = [*candidates, *self._phrases(hints)]
        if isinstance(flat.get("default"), str):
            candidates.append(flat["default"])
        candidates = candidates[place:] if place else candidates
        candidates += [f"{text}{place or ''}" for text in (" ".join(self._words), "text")]
        if "pattern" in flat:
            candidates += [upper for text in candidates for upper in (text.upper(), text.replace(" ", ""))]
            candidates += patterns.examples(flat["pattern"], place)
        for text in candidates:
            if len(text) > most:
                text = text[: int(most)].strip() or text[: int(most)]
            if len(text) < least and "pattern" not in flat:
                text = text + "." * min(int(least) - len(text), 100_000)
            if self.fits(text, flat):
                return text
        raise Unsatisfiable("no text fits")

    def _moments(self, form: str | None, hints: Words) -> Iterator[str]:
        """Texts for the formats of JSON Schema; dates and times are taken from the words."""
        day, clock = self._day(), self._clock()
        names = set(hints[:3])
        if form == "date" or (form is None and names & {"date", "day"} and (day or {"yyyy"} & set(hints))):
            yield (day or self._now.date()).isoformat()
        if form == "time" or (form is None and "time" in names and clock):
            yield (clock or self._now).strftime("%H:%M:%S+00:00" if form else "%H:%M")
        if form == "date-time":
            moment = clock or self._now
            yield f"{(day or moment.date()).isoformat()}T{moment.strftime('%H:%M:%S')}+00:00"
        fixed = {
            "email": "someone@example.com", "idn-email": "someone@example.com", "uri": "https://example.com/",
            "url": "https://example.com/", "iri": "https://example.com/", "uri-reference": "https://example.com/",
            "hostname": "example.com", "idn-hostname": "example.com", "ipv4": "127.0.0.1", "ipv6": "::1",
            "uuid": "00000000-0000-4000-8000-000000000000", "duration": "PT1M", "regex": ".*", "json-pointer": "/a",
            "relative-json-pointer": "0", "uri-template": "https://example.com/{id}", "iri-reference": "/a",
            "color": "#000000", "byte": "",
        }  # fmt: skip
        if form in fixed:
            if form == "duration":
                for at in range(len(self._words)):
                    for _, seconds, _ in times.read_duration(self._words, at):
                        yield f"PT{seconds}S"
                        break
            yield fixed[form]

    def _day(self) -> date | None:
        today = self._now.date()
        for at, word in enumerate(self._words):
            shift = {"today": 0, "tomorrow": 1, "yesterday": -1, "tonight": 0}.get(word)
            if shift is not None:
                return today + timedelta(days=shift)
            if word in times.WEEKDAYS:
                return today + timedelta(days=(times.WEEKDAYS.index(word) - today.weekday() - 1) % 7 + 1)
            if word in times.MONTHS:
                month = times.MONTHS.index(word) + 1
                number = numbers.read_ordinal(self._words, at + 1)
                before = next((found for back in (3, 2) if at >= back
                               and (found := numbers.read_ordinal(self._words, at - back))
                               and found[0] in (at, at - 1)), None)  # fmt: skip
                chosen = number or before
                if chosen:
                    for year in (today.year, today.year + 1):
                        try:
                            day = date(year, month, chosen[1])
                        except ValueError:
                            continue
                        if day >= today:
                            return day
        return None

    def _clock(self) -> datetime | None:
        for at, word in enumerate(self._words):
            if word in ("at", "by", "for", "until") or ":" in word:
                start = at if ":" in word else at + 1
                for _, clock, _ in times.read_clock(self._words, start):
                    return times.next_at(clock, self._now)
        return None

    def _phrases(self, hints: Words) -> Iterator[str]:
        """Words for a text property, by what its name says it holds."""
        names, words = set(hints[:3]), self._words
        if names & _WHOLE:
            for lead in _SAYING:
                if lead in words[:-1]:
                    yield " ".join(words[words.index(lead) + 1 :])
                    break
            yield " ".join(words)
        if names & _PLACES or set(hints) & {"city", "town", "country"}:
            yield from (each.title() for each in _after(words, ("in", "at", "to", "for", "from", "near", "of")))
        if names & _PEOPLE:
            yield from (each.title() for each in _after(words, ("to", "for", "called", "named", "call", "with", "is")))
        for name in hints[:2]:
            stems = [stem(word) for word in words]
            if stem(name) in stems[:-1]:
                yield from _after(words, (words[stems.index(stem(name))],))
        if not names & _WHOLE:
            yield from _after(words, ("for", "about", "in", "to", "of", "called", "on"))
            yield " ".join(words)

    # -- does it fit? ---------------------------------------------------------------------------------------

    def fits(self, value: Any, schema: Schema, depth: int = 0) -> bool:
        """Whether ``value`` fits ``schema``, as far as this template knows JSON Schema."""
        if isinstance(schema, bool):
            return schema
        if depth > 2 * _DEEPEST:
            return False
        if "$ref" in schema and not self.fits(value, self._target(schema["$ref"]), depth + 1):
            return False
        if "const" in schema and not _same(value, schema["const"]):
            return False
        if "enum" in schema and not any(_same(value, each) for each in schema["enum"]):
            return False
        kinds = schema.get("type")
        if kinds is not None:
            kinds = kinds if isinstance(kinds, list) else [kinds]
            if not any(_is(value, kind) for kind in kinds) and not (value is None and schema.get("nullable")):
                return False
        fits = [self.fits(value, option, depth + 1) for option in schema.get("oneOf", ())]
        return (
            all(self.fits(value, part, depth + 1) for part in schema.get("allOf", ()))
            and ("anyOf" not in schema or any(self.fits(value, option, depth + 1) for option in schema["anyOf"]))
            and ("oneOf" not in schema or fits.count(True) == 1)
            and ("not" not in schema or not self.fits(value, schema["not"], depth + 1))
            and self._fits_kind(value, schema, depth)
        )

    def _fits_kind(self, value: Any, schema: Mapping[str, Any], depth: int) -> bool:
        if isinstance(value, bool) or value is None:
            return True
        if isinstance(value, int | float):
            return (
                schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
                and value > _bound(schema, "exclusiveMinimum", -math.inf)
                and value < _bound(schema, "exclusiveMaximum", math.inf)
                and _multiple(value, schema.get("multipleOf"))
            )
        if isinstance(value, str):
            return (
                schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf)
                and ("pattern" not in schema or patterns.matches(schema["pattern"], value))
            )  # fmt: skip
        if isinstance(value, list):
            first = schema.get("prefixItems", ())
            rest = schema.get("items", True)
            held = [self.fits(item, schema["contains"], depth + 1) for item in value] if "contains" in schema else []
            return (
                schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf)
                and all(self.fits(item, first[at] if at < len(first) else rest, depth + 1)
                        for at, item in enumerate(value))
                and not (schema.get("uniqueItems") and any(
                    _same(one, other) for at, one in enumerate(value) for other in value[:at]))
                and ("contains" not in schema
                     or schema.get("minContains", 1) <= held.count(True) <= schema.get("maxContains", math.inf))
            )  # fmt: skip
        return (
            schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", math.inf)
            and all(name in value for name in schema.get("required", ()))
            and all(self.fits(inner, self._property(schema, name), depth + 1) for name, inner in value.items())
            and all(needed in value for name, more in schema.get("dependentRequired", {}).items() if name in value
                    for needed in more)
            and all(self.fits(name, schema.get("propertyNames", True), depth + 1) for name in value)
        )  # fmt: skip


# -- words ------------------------------------------------------------------------------------------------------

_WHOLE: Final = word_set(
    "query text message question prompt content input body note title search request subject "
    "description task reminder topic expression"
)
_SAYING: Final = ("that", "saying", "says")
_PLACES: Final = word_set("location city place country town address destination origin area region where")
_PEOPLE: Final = word_set("name person contact recipient who user customer guest")
_STOPS: Final = word_set(
    "in at to for from on with and that saying tomorrow today tonight please by until yesterday "
    "this next now right about"
)


def _after(words: Words, leads: tuple[str, ...]) -> Iterator[str]:
    """The stretches of words that follow one of ``leads``, up to the next preposition."""
    for at, word in enumerate(words):
        if word in leads:
            start = at + 2 if words[at + 1 : at + 2] in (("the",), ("a",)) else at + 1
            end = start
            while end < len(words) and words[end] not in _STOPS:
                end += 1
            if end > start:
                yield " ".join(words[start:end])


def _occurs(value: str, words: Words) -> bool:
    sought = tuple(stem(word) for word in plain(value.replace("_", " ")))
    stems = [stem(word) for word in words]
    return bool(sought) and any(tuple(stems[at : at + len(sought)]) == sought for at in range(len(stems)))


def _numbers_in(words: Words) -> list[tuple[int, int, numbers.Number]]:
    found, at = [], 0
    while at < len(words):
        reading = next((each for each in numbers.read(words, at) if each[2] == 1.0), None)
        if reading and words[at] not in ("a", "an", "hundred", "thousand"):
            found.append((at, reading[0], reading[1]))
            at = reading[0]
        else:
            at += 1
    return found


# -- JSON -------------------------------------------------------------------------------------------------------


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


def _is(value: Any, kind: str) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return {
        "object": isinstance(value, dict), "array": isinstance(value, list), "string": isinstance(value, str),
        "boolean": isinstance(value, bool), "null": value is None, "number": number,
        "integer": number and float(value).is_integer() if number and math.isfinite(value) else False,
    }.get(kind, False)  # fmt: skip


def _both_types(one: Any, other: Any) -> Any:
    left, right = (kinds if isinstance(kinds, list) else [kinds] for kinds in (one, other))
    shared = [kind for kind in left if kind in right or (kind == "integer" and "number" in right)]
    shared += [kind for kind in right if kind == "integer" and "number" in left and kind not in shared]
    if not shared:
        raise Unsatisfiable("the schema asks for two types at once")
    return shared if len(shared) > 1 else shared[0]


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON values: true is not 1, but 1.0 is."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if _is(one, "number") and _is(other, "number"):
        return bool(one == other)
    return type(one) is type(other) and bool(one == other)


def _bound(schema: Mapping[str, Any], key: str, missing: float) -> float:
    """An exclusive bound; the boolean form of draft 4 refers to the inclusive one."""
    bound = schema.get(key, missing)
    if isinstance(bound, bool):
        inclusive = "minimum" if key == "exclusiveMinimum" else "maximum"
        return float(schema.get(inclusive, missing)) if bound else missing
    return float(bound)


def _multiple(value: numbers.Number, step: float | None) -> bool:
    if not step:
        return True
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    quotient = value / step
    return math.isfinite(quotient) and quotient == int(quotient)
