"""The client's functions: which one the words mean, and how its result is said.

Arguments come from :mod:`.arguments`, a template made from the schema and the words heard.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from duologue.backends.contract import Ask, Tool
from duologue.backends.pocket.brain import numbers
from duologue.backends.pocket.brain.arguments import fill
from duologue.backends.pocket.brain.schema import Unsatisfiable
from duologue.backends.pocket.brain.words import Words, core, plain, stem, word_set

_GENERIC: Final = word_set(
    "get set do make run call fetch find show list tell give look up the a an of for to in on by with and or from this"
    " that it is are be can will tool function use user users current given when used return returns about new"
)
_MATCH: Final = 0.6


def forced(ask: Ask, words: str) -> str | None:
    """The tool that must be called: the named one, or for ``required`` the one that fits the words best.

    ``None``: nothing is forced, or the named tool is not among those offered.
    """
    if ask.tool_choice in ("auto", "none"):
        return None
    if ask.tool_choice.startswith("function:"):
        name = ask.tool_choice.removeprefix("function:")
        return name if any(tool.name == name for tool in ask.tools) else None
    return max(ask.tools, key=lambda tool: _score(tool, words)).name


def matching(ask: Ask, words: str, own: float) -> str | None:
    """The tool that ``words`` clearly ask for, if tools may be called and no skill of our own fits better.

    ``own`` is the score of that skill.
    """
    if ask.tool_choice != "auto":
        return None
    best = max(ask.tools, key=lambda tool: _score(tool, words))
    score = _score(best, words)
    return best.name if score >= max(_MATCH, own) else None


def _score(tool: Tool, words: str) -> float:
    """How much of the tool's name the words say, in 0..1; the description adds to it."""
    heard = {stem(word) for word in plain(words)}
    name = [stem(word) for word in name_words(tool.name) if word not in _GENERIC]
    description = {stem(word) for word in plain(tool.description)} - _GENERIC
    if not name:
        return min(1.0, 0.25 * len(heard & description))
    said = sum(any(_alike(part, word) for word in heard) for part in name) / len(name)
    return min(1.0, said + 0.12 * len((heard & description) - set(name)) * (said > 0 or len(heard & description) > 2))


def _alike(part: str, word: str) -> bool:
    return part == word or (len(part) >= 5 and len(word) >= 5 and part[:5] == word[:5])


def name_words(name: str) -> Words:
    """``getWeather_forV2`` → get weather for v2."""
    return plain(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ").replace(".", " "))


def arguments(name: str, ask: Ask, words: str, now: datetime) -> str:
    """A JSON object for the tool: what the words give, the rest from the schema.

    A schema that nothing satisfies, or that is beyond the template, gets an empty object: the client, who
    wrote it, is then told by its own validation.
    """
    schema: Any = dict(next(tool for tool in ask.tools if tool.name == name).parameters)
    schema.setdefault("type", "object")
    try:
        value = fill(schema, core(words) if words else (), now)
    except Unsatisfiable:
        value = {}
    return json.dumps(value if isinstance(value, dict) else {})


# -- results ------------------------------------------------------------------------------------------------

_LONGEST = 600


def in_words(output: str) -> str:
    """What a function returned, as something to say: JSON is flattened into a sentence, text stays as it is."""
    try:
        sentence = _bounded(", and ".join(_statements(_read(output))))
    except (ValueError, RecursionError):  # no JSON, or brackets nested beyond anything sayable
        return _bounded(output.strip() or "That is done.")
    return f"{sentence[0].upper()}{sentence[1:]}{'' if sentence[-1] in '.!?' else '.'}"


def _read(output: str) -> Any:
    """JSON, or a structure as Python's ``str`` writes it: LiveKit's agents send that of what a tool returned."""
    try:
        return json.loads(output)
    except ValueError:
        if not output.lstrip().startswith(("{", "[")) or len(output) > _LONGEST:
            raise
    try:
        return ast.literal_eval(output.strip())
    except (SyntaxError, MemoryError) as error:
        raise ValueError("neither JSON nor Python's way to write it") from error


def _bounded(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    end = text.rfind(" ", 0, _LONGEST)
    return text[: end if end > 0 else _LONGEST].rstrip(",;:") + ", and more."


def _statements(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        if not value:
            yield f"{name or 'that'} is empty" if name else "that is done"
        for key, inner in value.items():
            yield from _statements(inner, " ".join(name_words(str(key))) or "value")
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for place, item in enumerate(value[:10], 1):
            yield f"number {numbers.cardinal(place)}: " + ", ".join(_statements(item))
    else:
        said = _simple(value)
        if name and isinstance(value, bool):
            yield f"{name}: {said}"
            return
        yield f"the {name} {'are' if isinstance(value, list) else 'is'} {said}" if name else said


def _simple(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return numbers.say(value) if abs(value) < 1e300 else "a very large number"
    if isinstance(value, list):
        said = [_simple(item) for item in value[:20]]
        return "none" if not said else said[0] if len(said) == 1 else ", ".join(said[:-1]) + " and " + said[-1]
    text = str(value).strip()
    return text or "empty"
