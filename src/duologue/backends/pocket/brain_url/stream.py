"""What a chat endpoint sends back, read as it comes: server-sent events, in them pieces of text and of calls.

Format: WHATWG HTML, "Server-sent events"; OpenAI's ``chat.completion.chunk`` objects, one a ``data:`` line, and
``[DONE]`` at the end. Dialects are understood where they are unambiguous: no blank lines between events, calls
without an index, no ``[DONE]``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

LONGEST_LINE = 2**20
"""Bytes in one line; a chunk has a few hundred."""


class Nonsense(RuntimeError):
    """What came is not an answer; the message says why."""


class Lines:
    """Bytes into lines, however they were cut on the way."""

    def __init__(self) -> None:
        self._held = b""

    def push(self, data: bytes) -> Iterator[str]:
        """The lines that ``data`` completes; raises :class:`Nonsense` for one that does not end or is not UTF-8."""
        *whole, self._held = (self._held + data).split(b"\n")
        if len(self._held) > LONGEST_LINE:
            raise Nonsense(f"a line of more than {LONGEST_LINE} bytes came")
        for line in whole:
            yield _text(line)

    def finish(self) -> str:
        """What came after the last line's end."""
        held, self._held = self._held, b""
        return _text(held)


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8").rstrip("\r")
    except UnicodeDecodeError as error:
        raise Nonsense(f"the stream is not UTF-8: {error}") from error


@dataclass(slots=True)
class _CallBegun:
    key: object
    id: str
    name: str = ""
    arguments: str = ""


class Answer:
    """One answer, put together from the lines of its stream."""

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.done = False
        """Whether ``[DONE]`` came."""
        self._calls: list[_CallBegun] = []
        self._thinking = Thinking()

    def take(self, line: str) -> str:
        """The text that ``line`` adds, if any. Raises :class:`Nonsense`."""
        if not line.startswith("data:"):
            return ""  # the end of an event, a comment, an event's name or number
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            self.done = True
            return ""
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise Nonsense(f"a chunk is not JSON: {error}") from error
        return self._take(chunk)

    @property
    def ended(self) -> bool:
        """Whether it came to its end, and was not broken off."""
        return self.done or self.finish_reason is not None

    @property
    def calls(self) -> list[tuple[str, str]]:
        """The calls, (name, arguments): raises :class:`Nonsense` if arguments are not a JSON object."""
        return [(call.name, _json_object(call.name, call.arguments)) for call in self._calls]

    def rest(self) -> str:
        """Text that was held back, once nothing more comes."""
        return self._thinking.finish()

    def _take(self, chunk: Any) -> str:
        if not isinstance(chunk, dict):
            raise Nonsense(f"a chunk is {type(chunk).__name__}, not an object")
        if chunk.get("error"):
            error = chunk["error"]
            raise Nonsense(f"the endpoint says: {error.get('message') if isinstance(error, dict) else error}")
        choices = chunk.get("choices")
        if not choices:  # usage, or an endpoint's own words
            return ""
        choice = choices[0] if isinstance(choices, list) else None
        delta = choice.get("delta") or {} if isinstance(choice, dict) else None
        if not isinstance(choice, dict) or not isinstance(delta, dict):
            raise Nonsense("a chunk's 'choices' are not what they should be")
        if isinstance(choice.get("finish_reason"), str):
            self.finish_reason = choice["finish_reason"]
        content = delta.get("content") or ""
        calls = delta.get("tool_calls") or []
        if not isinstance(content, str) or not isinstance(calls, list):
            raise Nonsense("a chunk's 'delta' is not what it should be")
        for part in calls:
            self._take_call(part)
        return self._thinking.push(content)

    def _take_call(self, part: Any) -> None:
        function = part.get("function") or {} if isinstance(part, dict) else None
        if not isinstance(function, dict):
            raise Nonsense("a chunk's 'tool_calls' are not what they should be")
        key, id_ = part.get("index"), str(part.get("id") or "")
        call = next((each for each in reversed(self._calls) if each.key == key), None)
        if call is None or (id_ and call.id and id_ != call.id):  # some give every call the same index, or none
            call = _CallBegun(key, id_)
            self._calls.append(call)
        call.name += str(function.get("name") or "")
        arguments = function.get("arguments") or ""
        call.arguments += arguments if isinstance(arguments, str) else json.dumps(arguments)


def _json_object(name: str, arguments: str) -> str:
    try:
        value = json.loads(arguments or "{}")
    except (ValueError, RecursionError) as error:
        raise Nonsense(f"the arguments of a call of {name!r} are not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Nonsense(f"the arguments of a call of {name!r} are no JSON object")
    return arguments or "{}"


class Thinking:
    """Leaves out ``<think>…</think>`` at an answer's beginning: what a model tells itself is not to be spoken.

    Endpoints that know their model put it elsewhere; those that do not leave it in the text.
    """

    _OPEN, _CLOSE = "<think>", "</think>"

    def __init__(self) -> None:
        self._held = ""
        self._where: Literal["beginning", "thinking", "behind", "answer"] = "beginning"

    def push(self, text: str) -> str:
        """What of ``text`` is to be said."""
        if self._where == "answer":
            return text
        self._held += text
        if self._where == "beginning":
            begin = self._held.lstrip()
            if len(begin) < len(self._OPEN) and self._OPEN.startswith(begin):
                return ""
            self._where = "thinking" if begin.startswith(self._OPEN) else "answer"
        if self._where == "thinking":
            _, closed, rest = self._held.partition(self._CLOSE)
            self._held = rest if closed else self._held[-len(self._CLOSE) :]
            if not closed:
                return ""
            self._where = "behind"
        if self._where == "behind":
            self._held = self._held.lstrip()
            if not self._held:
                return ""
            self._where = "answer"
        return self.finish()

    def finish(self) -> str:
        """What was held back and is to be said after all."""
        said, self._held = ("" if self._where == "thinking" else self._held), ""
        return said
