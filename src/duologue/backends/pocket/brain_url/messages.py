"""The conversation as chat endpoints want it.

They are stricter than the Realtime protocol, each in its own way: the templates of many local models refuse a system
message that is not the first, or two messages of one role in a row; hosted ones refuse a function call that is not
directly followed by its result. So system messages are gathered in front, neighbours of one role are joined, and
results stand behind their calls.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, TypeAlias

from duologue.backends.contract import Ask, CallMade, CallResult, HistoryItem, Message, Tool
from duologue.backends.pocket.english import GO_ON, GREET

ChatMessage: TypeAlias = dict[str, Any]

MOST_CHARACTERS = 24_000
"""Of the conversation's text: about 6000 tokens, the latest ones. Local models have windows of 8192 and more."""

MOST_IMAGES = 4
"""The latest ones; clients with a camera send a picture a second."""

SPOKEN = (
    "Your words are spoken aloud by a speech synthesizer: answer briefly, in plain sentences as people say them, "
    "without markdown, lists or emoji. What the person says comes from a speech recogniser and may be misheard."
)

_NO_RESULT = "(no result yet)"


def conversation(
    instructions: str,
    history: Sequence[HistoryItem],
    words: str | None = None,
    *,
    spoken: bool,
    direction: str = "",
) -> list[ChatMessage]:
    """The messages of one request.

    Args:
        words: what the person has just said, if anything; it follows ``history``.
        spoken: whether the answer will be spoken.
        direction: a stage direction that stands for the person's next words; without one and without
            ``words``, one is added where the history ends with the assistant.
    """
    items: list[HistoryItem] = [*_latest(history)]
    if words is not None:
        items.append(Message("user", words, spoken=True))
    system = [instructions] if instructions else []
    system += [item.text for item in items if isinstance(item, Message) and item.role == "system"]
    if spoken:
        system.append(SPOKEN)
    messages: list[ChatMessage] = [{"role": "system", "content": "\n\n".join(system)}] if system else []
    results = {item.call_id: item.output for item in items if isinstance(item, CallResult)}
    room = MOST_IMAGES
    backwards: list[ChatMessage | None] = []  # None: a result, which parts the calls before and after it
    for item in reversed(items):
        if isinstance(item, Message) and item.role != "system":
            shown = item.images[max(0, len(item.images) - room) :] if room else ()
            room -= len(shown)
            backwards.append({"role": item.role, "content": _content(item, shown)})
        elif isinstance(item, CallMade):
            call = {"type": "function", "id": item.call_id}
            function = {"name": item.name, "arguments": item.arguments or "{}"}
            backwards.append({"role": "assistant", "content": "", "tool_calls": [{**call, "function": function}]})
        elif isinstance(item, CallResult):
            backwards.append(None)
    parted = False
    for message in reversed(backwards):
        if message is not None:
            _join(messages, message, parted=parted)
        parted = message is None
    if not direction and (not messages or messages[-1]["role"] in ("system", "assistant")):
        unanswered = bool(messages) and "tool_calls" in messages[-1]
        direction = "" if unanswered else GO_ON if any(m["role"] != "system" for m in messages) else GREET
    if direction:
        _join(messages, {"role": "user", "content": direction})
    return _with_results(messages, results)


def tools(ask: Ask) -> dict[str, Any]:
    """What a request says of the client's functions. Where none may be called none is offered: not every endpoint
    heeds a choice."""
    if not ask.tools or ask.tool_choice == "none":
        return {}
    choice: Any = ask.tool_choice
    if ask.tool_choice.startswith("function:"):
        choice = {"type": "function", "function": {"name": ask.tool_choice.removeprefix("function:")}}
    return {"tools": [_tool(tool) for tool in ask.tools], "tool_choice": choice}


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _latest(history: Sequence[HistoryItem]) -> Sequence[HistoryItem]:
    """The end of the history that fits, from a message of the person's on; system messages stay in any case."""
    size, start = 0, len(history)
    while start > 0:
        size += _size(history[start - 1])
        if size > MOST_CHARACTERS and start < len(history):
            break
        start -= 1
    if start > 0:
        person = (at for at in range(start, len(history)) if _role(history[at]) == "user")
        start = next(person, start)
    return [*(item for item in history[:start] if _role(item) == "system"), *history[start:]]


def _size(item: HistoryItem) -> int:
    match item:
        case Message():
            return 0 if item.role == "system" else len(item.text)
        case CallMade():
            return len(item.name) + len(item.arguments)
        case CallResult():
            return len(item.output)


def _role(item: HistoryItem) -> str:
    return item.role if isinstance(item, Message) else "assistant"


def _content(message: Message, images: Sequence[bytes]) -> Any:
    left_out = len(message.images) - len(images)
    texts = [message.text] if message.text else []
    texts += ["(an earlier picture)"] * left_out
    text = "\n".join(texts)
    if not images:
        return text
    parts: list[Any] = [{"type": "text", "text": text}] if text else []
    return [*parts, *({"type": "image_url", "image_url": {"url": _data_url(image)}} for image in images)]


def _data_url(image: bytes) -> str:
    kind = "png" if image.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"


def _join(messages: list[ChatMessage], message: ChatMessage, *, parted: bool = False) -> None:
    """Append, or add to the last message if it is of the same role, and no result of its calls ``parted`` the two."""
    last = messages[-1] if messages else None
    if last is None or last["role"] != message["role"] or (parted and "tool_calls" in last):
        messages.append(message)
        return
    if "tool_calls" in message:
        last["tool_calls"] = [*last.get("tool_calls", ()), *message["tool_calls"]]
    elif "tool_calls" in last:  # words after a call belong behind its result
        messages.append(message)
        return
    before, more = last["content"], message["content"]
    if isinstance(before, str) and isinstance(more, str):
        last["content"] = "\n".join(part for part in (before, more) if part)
    else:
        last["content"] = [*_parts(before), *_parts(more)]


def _parts(content: Any) -> list[Any]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return list(content)


def _with_results(messages: Sequence[ChatMessage], results: dict[str, str]) -> list[ChatMessage]:
    complete: list[ChatMessage] = []
    for message in messages:
        complete.append(message)
        for call in message.get("tool_calls", ()):
            output = results.get(call["id"], _NO_RESULT)
            complete.append({"role": "tool", "tool_call_id": call["id"], "content": output})
    return complete
