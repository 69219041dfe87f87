"""What every event must be, and the order in which events may come: a client that trusts nothing.

Types are those of the official SDK, read strictly. The client keeps its own copy of the conversation from
``previous_item_id`` alone, as LiveKit's does, and it must always equal the server's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any, ClassVar, get_args

from openai.types.realtime import RealtimeServerEvent, RealtimeSessionCreateResponse
from pydantic import BaseModel

_CLASSES: dict[str, type[BaseModel]] = {
    get_args(each.model_fields["type"].annotation)[0]: each for each in get_args(get_args(RealtimeServerEvent)[0])
}

# What the SDK's models do not name although OpenAI's documentation does, and our own key.
_UNNAMED = {"message", "duologue", "id", "object"}


def validate(event: dict[str, Any]) -> BaseModel:
    """The event as the SDK's own type: literals known, nothing missing, nothing misspelt."""
    text = json.dumps(event, allow_nan=False)
    model = _CLASSES[event["type"]].model_validate_json(text, strict=True)
    _no_strangers(model)
    if event["type"] in ("session.created", "session.updated"):
        RealtimeSessionCreateResponse.model_validate_json(json.dumps(event["session"]), strict=True)
    return model


def _no_strangers(value: Any) -> None:
    if isinstance(value, BaseModel):
        assert set(value.model_extra or ()) <= _UNNAMED, (type(value).__name__, value.model_extra)
        for name in value.model_fields_set - set(value.model_extra or ()):
            _no_strangers(getattr(value, name))
    elif isinstance(value, list):
        for each in value:
            _no_strangers(each)


def _without_nulls(value: dict[str, Any]) -> None:
    if value["type"] == "input_audio":
        value = dict(value)
        value.pop("transcript")  # must be there, if only as null; agents-js ends itself without it
    for key, each in value.items():
        assert each is not None, f"{key} is null; agents-js drops such events"
        if isinstance(each, list):
            for part in each:
                _without_nulls(part)


class Client:
    """Follows a connection's events and raises AssertionError where they break a rule."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []
        self.items: list[str] = []
        self.done: set[str] = set()
        self.session: dict[str, Any] | None = None
        self._ids: set[str] = set()
        self._turns: dict[str, str] = {}
        self._responses: dict[str, _Response] = {}
        self._ended: set[str] = set()

    def follow(self, events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Check these events; returns them."""
        events = list(events)
        for event in events:
            self._check(event)
        return events

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    def _check(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        assert event["event_id"] not in self._ids
        assert len(event["event_id"]) <= 32
        self._ids.add(event["event_id"])
        self.events.append(event)
        if kind.startswith("duologue."):
            assert kind.removeprefix("duologue.") in (self.session or {})["duologue"]["events"]
            return
        validate(event)
        assert (self.session is None) == (kind == "session.created"), "session.created is first and comes once"
        if "response_id" in event:
            assert event["response_id"] in self._responses, f"{kind} outside its response"
            self._responses[event["response_id"]].check(event)
        if "item" in event:
            _without_nulls(event["item"])
            if kind != "conversation.item.retrieved":
                assert not any("audio" in part for part in event["item"].get("content", []))
        method = getattr(self, "_on_" + kind.replace(".", "_"), None)
        if method is not None:
            method(event)

    def _on_session_created(self, event: dict[str, Any]) -> None:
        self.session = event["session"]

    _on_session_updated = _on_session_created

    def _on_error(self, event: dict[str, Any]) -> None:
        self.errors.append(event["error"])

    # -- the person's turn

    def _on_input_audio_buffer_speech_started(self, event: dict[str, Any]) -> None:
        assert event["item_id"] not in self._turns
        self._turns[event["item_id"]] = "started"

    def _on_input_audio_buffer_speech_stopped(self, event: dict[str, Any]) -> None:
        assert self._turns[event["item_id"]] == "started"
        self._turns[event["item_id"]] = "stopped"

    def _on_input_audio_buffer_committed(self, event: dict[str, Any]) -> None:
        assert self._turns.get(event["item_id"], "manual") in ("stopped", "manual")
        assert event["previous_item_id"] == (self.items[-1] if self.items else None)
        self._turns[event["item_id"]] = "committed"

    # -- the conversation

    def _on_conversation_item_added(self, event: dict[str, Any]) -> None:
        item, previous = event["item"], event["previous_item_id"]  # the key must be there, if only with null
        assert item["id"] not in self.items
        assert previous is None or previous in self.items
        assert self._turns.get(item["id"], "committed") == "committed"
        self.items.insert(0 if previous is None else self.items.index(previous) + 1, item["id"])

    def _on_conversation_item_done(self, event: dict[str, Any]) -> None:
        item, at = event["item"], self.items.index(event["item"]["id"])
        assert event["previous_item_id"] == (self.items[at - 1] if at else None)
        assert item["status"] in ("completed", "incomplete")
        assert item["id"] not in self.done
        self.done.add(item["id"])

    def _on_conversation_item_deleted(self, event: dict[str, Any]) -> None:
        self.items.remove(event["item_id"])
        self.done.discard(event["item_id"])  # its name is free again

    # -- responses

    def _on_response_created(self, event: dict[str, Any]) -> None:
        response = event["response"]
        assert response["status"] == "in_progress"
        assert response["output"] == []
        assert response["id"] not in self._ended
        in_band = response["conversation_id"] is not None
        if in_band:
            assert not any(other.in_band for other in self._responses.values()), "two active responses"
        self._responses[response["id"]] = _Response(response, in_band, self)

    def _on_response_done(self, event: dict[str, Any]) -> None:
        response = event["response"]
        self._responses.pop(response["id"]).end(response)
        self._ended.add(response["id"])


class _Response:
    """One response's events, against section 6.3 of the protocol's rules."""

    _NEXT: ClassVar[dict[str | None, set[str]]] = {
        None: {"response.output_item.added"},
        "response.output_item.added": {"response.content_part.added", "response.function_call_arguments.delta"},
        "response.content_part.added": {"delta", "response.output_audio.done", "response.output_text.done"},
        "delta": {"delta", "response.output_audio.done", "response.output_text.done"},
        "response.output_audio.done": {"response.output_audio_transcript.done"},
        "response.output_audio_transcript.done": {"response.content_part.done"},
        "response.output_text.done": {"response.content_part.done"},
        "response.content_part.done": {"response.output_item.done"},
        "response.function_call_arguments.delta": {
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
        },
        "response.function_call_arguments.done": {"response.output_item.done"},
        "response.output_item.done": {"response.output_item.added"},
    }

    def __init__(self, response: dict[str, Any], in_band: bool, client: Client) -> None:
        self.in_band = in_band
        self._created = response
        self._client = client
        self._last: str | None = None
        self._item: dict[str, Any] = {}
        self._output: list[dict[str, Any]] = []
        self._said = ""
        self.audio = b""

    def check(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        name = kind
        if kind.endswith("delta") and "function_call" not in kind:
            name = "delta"
        assert name in self._NEXT[self._last], f"{kind} after {self._last}"
        self._last = name
        if kind == "response.output_item.added":
            assert event["output_index"] == len(self._output)
            self._item, self._said = event["item"], ""
            assert self._item["status"] == "in_progress"
            if self._item["type"] == "function_call":
                assert self._item["arguments"] == ""
            else:
                assert self._item["content"] == []
            return
        self._check_where(event)
        match kind:
            case "response.output_audio.delta":
                data = base64.b64decode(event["delta"], validate=True)
                if self._created["audio"]["output"]["format"]["type"] == "audio/pcm":
                    assert len(data) % 2 == 0
                self.audio += data
            case _ if kind.endswith(".delta"):
                self._said += event["delta"]
            case "response.output_audio_transcript.done":
                assert event["transcript"] == self._said
            case "response.output_text.done":
                assert event["text"] == self._said
            case "response.function_call_arguments.done":
                assert event["arguments"] == self._said
                assert event["name"] == self._item["name"]
            case "response.content_part.added" | "response.content_part.done":
                part = event["part"]
                _without_nulls(part)
                assert part.get("transcript", part.get("text")) == (self._said if kind.endswith("done") else "")
            case "response.output_item.done":
                item = event["item"]
                assert item["status"] in ("completed", "incomplete")
                if self.in_band and item["id"] in self._client.items:
                    assert item["id"] in self._client.done, "conversation.item.done comes before output_item.done"
                self._output.append(item)

    def _check_where(self, event: dict[str, Any]) -> None:
        assert event["output_index"] == len(self._output)
        assert event.get("item_id", self._item["id"]) == self._item["id"]
        assert event.get("call_id", self._item.get("call_id")) == self._item.get("call_id")
        assert event.get("content_index", 0) == 0
        if self.in_band and self._last != "response.output_item.done":
            assert any(
                each["type"] == "conversation.item.added" and each["item"]["id"] == self._item["id"]
                for each in reversed(self._client.events)
            ), "conversation.item.added comes before the item's contents"

    def end(self, response: dict[str, Any]) -> None:
        assert self._last in (None, "response.output_item.done"), "something was left open"
        assert response["output"] == self._output
        assert response["status"] in ("completed", "cancelled", "incomplete", "failed")
        assert (response["status_details"] is None) == (response["status"] == "completed")
        assert response.get("metadata") == self._created.get("metadata")
        assert response["conversation_id"] == self._created["conversation_id"]
        usage = response["usage"]
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
