"""JSON Schema as far as :mod:`.arguments` knows it: references, merging, and whether a value fits.

Understood: type, enum, const, numeric and length bounds, multipleOf, pattern, arrays, objects, $ref within the
document, allOf, anyOf, oneOf, not, nullable. Formats are made but not checked, as the standard has it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from duologue.backends.pocket.brain import numbers, patterns

Schema: TypeAlias = Mapping[str, Any] | bool

DEEPEST = 24


class Unsatisfiable(ValueError):
    """No value that this template can make fits the schema."""


class Schemas:
    """One document of schemas: what its parts refer to, and what fits them."""

    def __init__(self, root: Schema) -> None:
        self._root = root

    def resolved(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """``schema`` with its reference followed and its ``allOf`` merged in."""
        flat = dict(schema)
        for _ in range(DEEPEST):
            if "$ref" in flat:
                target = self._target(flat.pop("$ref"))
                flat = self.merged(flat, target)
            elif "allOf" in flat:
                parts = flat.pop("allOf")
                for part in parts:
                    flat = self.merged(flat, part)
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

    def merged(self, one: Mapping[str, Any], other: Schema) -> dict[str, Any]:
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
                both[key] = [each for each in both[key] if any(same(each, more) for more in value)]
            elif key == "type":
                both[key] = _both_types(both[key], value)
            elif key in ("anyOf", "oneOf", "not", "pattern", "multipleOf", "items", "contains", "const", "if"):
                both["allOf"] = [*both.get("allOf", []), {key: value}]
                if key in ("anyOf", "oneOf"):  # one list of alternatives at a time: cross them
                    both.pop("allOf")
                    both[key] = [{"allOf": [left, right]} for left in both[key] for right in value]
        return both

    @staticmethod
    def property_of(flat: Mapping[str, Any], name: str) -> Schema:
        """What the schema says about a property, by name, by pattern, or by what it says of all others."""
        found = [flat["properties"][name]] if name in flat.get("properties", {}) else []
        found += [inner for pattern, inner in flat.get("patternProperties", {}).items() if re.search(pattern, name)]
        if not found:
            return flat.get("additionalProperties", True)  # type: ignore[no-any-return]
        return found[0] if len(found) == 1 else {"allOf": found}

    def fits(self, value: Any, schema: Schema, depth: int = 0) -> bool:
        """Whether ``value`` fits ``schema``, as far as this template knows JSON Schema."""
        if isinstance(schema, bool):
            return schema
        if depth > 2 * DEEPEST:
            return False
        if "$ref" in schema and not self.fits(value, self._target(schema["$ref"]), depth + 1):
            return False
        if "const" in schema and not same(value, schema["const"]):
            return False
        if "enum" in schema and not any(same(value, each) for each in schema["enum"]):
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
                    same(one, other) for at, one in enumerate(value) for other in value[:at]))
                and ("contains" not in schema
                     or schema.get("minContains", 1) <= held.count(True) <= schema.get("maxContains", math.inf))
            )  # fmt: skip
        return (
            schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", math.inf)
            and all(name in value for name in schema.get("required", ()))
            and all(self.fits(inner, self.property_of(schema, name), depth + 1) for name, inner in value.items())
            and all(needed in value for name, more in schema.get("dependentRequired", {}).items() if name in value
                    for needed in more)
            and all(self.fits(name, schema.get("propertyNames", True), depth + 1) for name in value)
        )  # fmt: skip


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


def same(one: Any, other: Any) -> bool:
    """Equality of JSON values: true is not 1, but 1.0 is."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
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
