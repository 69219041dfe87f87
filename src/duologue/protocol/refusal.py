"""What a client is told when it asked for what cannot be: an error that names the place and the cause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError


class Refused(Exception):
    """A client's wish that was refused; nothing of it was done."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


_CODES = {
    "missing": "missing_required_parameter",
    "union_tag_not_found": "missing_required_parameter",
    "string_type": "invalid_type",
    "bool_type": "invalid_type",
    "int_type": "invalid_type",
    "float_type": "invalid_type",
    "list_type": "invalid_type",
    "tuple_type": "invalid_type",
    "dict_type": "invalid_type",
    "model_type": "invalid_type",
    "model_attributes_type": "invalid_type",
}
"""Kinds of validation errors and OpenAI's codes for them; everything else is an ``invalid_value``."""


def from_validation(error: ValidationError, given: Any, within: str = "") -> Refused:
    """The first of a validation's errors, its place written as a client would: ``item.content[0].type``.

    ``given`` is the value that was validated, ``within`` the key it was found under.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    kind = first["type"]
    place = list(first["loc"])
    cause = f"{first['msg'].removeprefix('Value error, ')}."
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        place.append(str(first["ctx"]["discriminator"]).strip("'"))
    if kind == "union_tag_invalid":
        cause = f"Supported values are: {first['ctx']['expected_tags']}."
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        cause = "Input should be an object."
    if kind in ("list_type", "tuple_type"):
        cause = "Input should be an array."
    code = _CODES.get(kind, "invalid_value")
    inner = _path(place, given, missing=code == "missing_required_parameter" or kind == "union_tag_invalid")
    param = f"{within}.{inner}" if within and inner else within or inner
    if code == "missing_required_parameter":
        return Refused(code, f"Missing required parameter: '{param}'.", param)
    words = "Invalid type" if code == "invalid_type" else "Invalid value"
    return Refused(code, f"{words} for '{param}': {cause}", param)


def _path(place: Sequence[str | int], given: Any, missing: bool) -> str:
    """A validator's location as a client's path: without the names of union members, which are no keys.

    ``missing``: the last step is a key although the value has no such key.
    """
    path = ""
    value = given
    for position, step in enumerate(place):
        if isinstance(step, int):
            path += f"[{step}]"
            value = value[step] if isinstance(value, list) and step < len(value) else None
            continue
        last = position == len(place) - 1
        if not isinstance(value, dict) or not (step in value or (missing and last)):
            continue
        path += f".{step}" if path else step
        value = value.get(step)
    return path
