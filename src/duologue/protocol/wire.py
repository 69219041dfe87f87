"""How the protocol's JSON is read: strict about types, deaf to unknown keys, null as good as absent."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator


class Wire(BaseModel):
    """An object of the protocol.

    Unknown keys are ignored, so that tomorrow's clients still work. Clients made from typed models send null
    for what they do not mean to say; a key with null is therefore read as absent, except where null says
    something.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)

    null_means: ClassVar[frozenset[str]] = frozenset()
    """Keys in which null is a value of its own."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {key: value for key, value in given.items() if value is not None or key in cls.null_means}


def _writable(value: dict[str, Any]) -> dict[str, Any]:
    """JSON's grammar knows numbers such as 1e999, which read as infinity and then cannot be written again."""
    json.dumps(value, allow_nan=False)  # ValueError: Out of range float values are not JSON compliant
    return value


FreeObject = Annotated[dict[str, Any], AfterValidator(_writable)]
"""A JSON object of any shape, echoed as it came."""

ShortText = Annotated[str, Field(max_length=1_000)]
LongText = Annotated[str, Field(max_length=1_000_000)]
Identifier = Annotated[str, Field(min_length=1, max_length=64)]
"""OpenAI's own limit is 32 characters; the ids that clients make (UUIDs among them) all fit in 64."""


def at_most(count: int) -> BeforeValidator:
    """A bound on a collection that is looked at before its elements are.

    Validation collects an error for every element, and a million of them take seconds, in which nobody else is
    served.
    """

    def check(given: Any) -> Any:
        if isinstance(given, list | dict) and len(given) > count:
            raise ValueError(f"at most {count} entries are taken, not {len(given)}")
        return given

    return BeforeValidator(check)
