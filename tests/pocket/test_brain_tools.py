"""The client's functions: arguments that fit any schema, filled from the words; results said."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from duologue.backends.contract import Ask, CallMade, CallResult, Message, Tool
from duologue.backends.pocket.brain import Brain, Utterance
from duologue.backends.pocket.brain.arguments import fill
from duologue.backends.pocket.brain.schema import Unsatisfiable
from duologue.backends.pocket.brain.tools import in_words
from duologue.backends.pocket.brain.words import plain

NOW = datetime(2025, 11, 25, 14, 23)
WEATHER = Tool(
    "get_weather",
    "The current weather at a place.",
    {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "City and country"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 7},
        },
        "required": ["location"],
    },
)
LIGHTS = Tool(
    "set_lights",
    "Switch the lights in a room.",
    {
        "type": "object",
        "properties": {"room": {"enum": ["kitchen", "living_room"]}, "on": {"type": "boolean"}},
        "required": ["room", "on"],
        "additionalProperties": False,
    },
)


def brain() -> Brain:
    return Brain(now=lambda: NOW, seed=1)


def called(words: str, choice: str = "auto", tools: tuple[Tool, ...] = (WEATHER, LIGHTS)) -> tuple[str, Any] | None:
    plan = brain().plan(Utterance(words), ask=Ask(tools=tools, tool_choice=choice), since_exchange=1.0)
    return (plan.call[0], json.loads(plan.call[1])) if plan.call else None


def test_words_that_name_a_tool_call_it() -> None:
    assert called("what is the weather in paris") == ("get_weather", {"location": "Paris"})
    assert called("what will the weather be in New York for three days in fahrenheit") == (
        "get_weather",
        {"location": "New York", "unit": "fahrenheit", "days": 3},
    )
    assert called("turn off the lights in the living room please") == (
        "set_lights",
        {"room": "living_room", "on": False},
    )


def test_other_words_call_none() -> None:
    assert called("what time is it") is None
    assert called("tell me a story") is None
    assert called("what is the weather in paris", "none") is None


def test_forced_tools_are_always_called() -> None:
    assert called("hello", "function:set_lights") == ("set_lights", {"room": "kitchen", "on": False})
    assert called("what is the weather in rome", "required") == ("get_weather", {"location": "Rome"})
    name, arguments = called("", "required") or ("", {})
    Draft202012Validator(WEATHER.parameters).validate(arguments)
    assert name == "get_weather"


def test_forced_from_written_history() -> None:
    plan = brain().plan(
        None,
        ask=Ask(tools=(WEATHER,), tool_choice="function:get_weather"),
        history=(Message("user", "Is it warm in Madrid today?"),),
    )
    assert plan.call == ("get_weather", '{"location": "Madrid"}')


def _argument(schema: dict[str, Any], words: str) -> Any:
    return fill({"type": "object", "properties": {"it": schema}, "required": ["it"]}, plain(words), NOW)["it"]


@pytest.mark.parametrize(
    ("schema", "words", "expected"),
    [
        ({"type": "string", "format": "date"}, "book it for tomorrow", "2025-11-26"),
        ({"type": "string", "format": "date"}, "the third of may", "2026-05-03"),
        ({"type": "string", "format": "date"}, "next friday", "2025-11-28"),
        ({"type": "string", "format": "time"}, "at half past six", "18:30:00+00:00"),
        ({"type": "integer"}, "two hundred and five of them", 205),
        ({"type": "number", "minimum": 0}, "three point five", 3.5),
        ({"type": "integer", "maximum": 10}, "fifty", 0),
        ({"enum": ["small", "large"]}, "a large one", "large"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, "four and nine", [4, 9]),
        ({"type": ["string", "null"], "pattern": "^[A-Z]{3}-\\d{2}$"}, "whatever", "AAA-00"),
        ({"const": 7}, "eight", 7),
    ],
)
def test_values_come_from_the_words(schema: dict[str, Any], words: str, expected: Any) -> None:
    assert _argument(schema, words) == expected


def test_numbers_go_where_they_were_said() -> None:
    schema = {
        "type": "object",
        "properties": {"adults": {"type": "integer"}, "children": {"type": "integer"}, "seconds": {"type": "number"}},
        "required": ["children", "adults", "seconds"],
    }
    filled = fill(schema, plain("a table for two adults and three children in five minutes"), NOW)
    assert filled == {"children": 3, "adults": 2, "seconds": 300}


def test_references_recursion_and_alternatives() -> None:
    schema = {
        "$defs": {"node": {"type": "object", "required": ["name"],
                           "properties": {"name": {"type": "string", "minLength": 3},
                                          "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}}},
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/node"},
                       "either": {"oneOf": [{"type": "integer", "minimum": 5}, {"type": "string", "maxLength": 2}]},
                       "both": {"allOf": [{"type": "integer"}, {"minimum": 3}, {"maximum": 3}]}},
        "required": ["root", "either", "both"],
    }  # fmt: skip
    Draft202012Validator(schema).validate(fill(schema, plain("hello there"), NOW))


def test_what_nothing_fits_is_said_so() -> None:
    with pytest.raises(Unsatisfiable):
        fill({"type": "integer", "minimum": 5, "maximum": 4}, (), NOW)
    with pytest.raises(Unsatisfiable):
        fill({"$ref": "#/nowhere"}, (), NOW)
    endless = {"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]}
    with pytest.raises(Unsatisfiable):
        fill(endless, (), NOW)
    with pytest.raises(Unsatisfiable, match="no schema"):
        fill({"type": "object", "properties": ["none"], "required": 3}, (), NOW)
    assert called("hello", "required", (Tool("endless", "", endless),)) == ("endless", {})


def test_an_explosive_pattern_costs_no_time() -> None:
    began = time.process_time()
    with pytest.raises(Unsatisfiable):
        _argument({"type": "string", "pattern": "^(a+)+$", "minLength": 40}, "a" * 60)
    assert time.process_time() - began < 2.0


def _bounds(low: str, high: str, values: st.SearchStrategy[int]) -> st.SearchStrategy[dict[str, int]]:
    pair = st.tuples(values, values).map(sorted)
    return st.one_of(
        st.just({}),
        values.map(lambda value: {low: value}),
        values.map(lambda value: {high: value}),
        pair.map(lambda both: {low: both[0], high: both[1]}),
    )


PATTERNS = st.sampled_from(
    ["^[a-z]+$", r"^\d{3,5}$", "^(red|green)$", r"^[A-Z]{2}-\d+$", "^a.b$", "[^abc]{2}", r"^\w+@\w+\.com$", "x?y*z+"]
)
LEAVES = st.one_of(
    st.builds(lambda bounds: {"type": "integer", **bounds}, _bounds("minimum", "maximum", st.integers(-50, 50))),
    st.builds(
        lambda bounds, step: {"type": "number", **bounds, **({"multipleOf": step} if not bounds else {})},
        _bounds("minimum", "maximum", st.integers(-50, 50)),
        st.integers(1, 9),
    ),
    st.integers(-9, 9).map(lambda low: {"type": "integer", "exclusiveMinimum": low, "multipleOf": 3}),
    st.builds(lambda bounds: {"type": "string", **bounds}, _bounds("minLength", "maxLength", st.integers(0, 30))),
    PATTERNS.map(lambda pattern: {"type": "string", "pattern": pattern}),
    st.sampled_from(["date", "time", "date-time", "email", "uri", "ipv4", "uuid", "duration"]).map(
        lambda form: {"type": "string", "format": form}
    ),
    st.lists(st.one_of(st.integers(), st.text(max_size=5), st.none(), st.booleans()), min_size=1, max_size=4).map(
        lambda values: {"enum": values}
    ),
    st.one_of(st.integers(), st.text(max_size=9), st.booleans()).map(lambda value: {"const": value}),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {}, True, {"type": ["string", "null"]}]),
)


def _nest(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["location", "count", "date", "query", "name", "minutes", "x", "isOn"])
    objects = st.dictionaries(names, inner, max_size=4).flatmap(
        lambda properties: st.builds(
            lambda required, closed: {
                "type": "object",
                "properties": properties,
                "required": required,
                **({"additionalProperties": False} if closed else {}),
            },
            st.lists(st.sampled_from(sorted(properties)), unique=True) if properties else st.just([]),
            st.booleans(),
        )
    )
    arrays = st.builds(
        lambda items, bounds: {"type": "array", "items": items, **bounds},
        inner,
        _bounds("minItems", "maxItems", st.integers(0, 4)),
    )
    return st.one_of(
        objects,
        arrays,
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
        inner.map(lambda part: {"allOf": [part, {}]}),
    )


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.dictionaries(st.sampled_from(["city", "number", "when", "what"]), st.recursive(LEAVES, _nest, max_leaves=8)),
    st.sampled_from(["", "the weather in paris tomorrow at five", "two hundred and three", "um red please", "no"]),
)
def test_arguments_fit_any_satisfiable_schema(properties: dict[str, Any], words: str) -> None:
    schema = {"type": "object", "properties": properties, "required": sorted(properties)}
    Draft202012Validator(schema).validate(fill(schema, plain(words), NOW))


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ('{"temperature": 21.5, "sky": "clear"}', "The temperature is twenty one point five, and the sky is clear."),
        ('{"is_open": true, "nextBus": null}', "Is open: yes, and the next bus is unknown."),
        ('["red", "green", "blue"]', "Red, green and blue."),
        ("42", "Forty two."),
        ("All done.", "All done."),
        ("", "That is done."),
        ("{}", "That is done."),
        ("{'sky': 'cloudy', 'warm': False}", "The sky is cloudy, and warm: no."),
        ("{1: None}", "The 1 is unknown."),
        ("{not JSON}", "{not JSON}"),
        ("[" * 2000 + "]" * 2000, "[" * 600 + ", and more."),
    ],
)
def test_results_are_said_in_words(output: str, said: str) -> None:
    assert in_words(output) == said


def test_a_result_at_the_end_of_the_history_is_answered() -> None:
    history = (
        Message("user", "what is the weather in Paris"),
        CallMade("get_weather", "c1", "{}"),
        CallResult("c1", '{"temperature": 4}'),
    )
    plan = brain().plan(None, ask=Ask(tools=(WEATHER,)), history=history, obliged=True)
    assert plan.clauses.heard(None) == "The temperature is four."


SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20)


@given(
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    )
)
def test_any_result_can_be_said(value: Any) -> None:
    said = in_words(json.dumps(value))
    assert said.strip()
    assert len(said) < 700
