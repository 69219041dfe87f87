"""Whatever a client sends and whatever order things happen in: legal events, one truth, no exception."""

from __future__ import annotations

import base64
import copy
import itertools
import json
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from realtime_rules import Client

from duologue.backends.contract import CallMade, CallResult, Message, Usage
from duologue.protocol.realtime import RealtimeConnection
from duologue.protocol.requests import AudioAppended, CancelAsked, ClearAsked, CommitAsked, ResponseAsked
from duologue.protocol.response import ResponseWriter

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)

SPECIMENS: list[dict[str, Any]] = [
    {
        "type": "session.update",
        "event_id": "e1",
        "session": {
            "type": "realtime",
            "model": "gpt-realtime",
            "output_modalities": ["audio"],
            "instructions": "be brief",
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}],
            "tool_choice": {"type": "function", "name": "f"},
            "max_output_tokens": 100,
            "parallel_tool_calls": True,
            "tracing": {"workflow_name": "w", "metadata": {"a": [1]}},
            "truncation": {"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 9}},
            "prompt": {"id": "p", "version": "1", "variables": {"a": "b"}},
            "include": ["item.input_audio_transcription.logprobs"],
            "reasoning": {"effort": "low"},
            "audio": {
                "input": {
                    "format": {"type": "audio/pcmu"},
                    "transcription": {"model": "whisper-1", "language": "en", "keywords": ["duologue"]},
                    "noise_reduction": {"type": "far_field", "strength": 0.5},
                    "turn_detection": {"type": "server_vad", "threshold": 0.4, "idle_timeout_ms": 5000},
                },
                "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": {"id": "marin"}, "speed": 1.2},
            },
            "duologue": {"events": ["floor", "pause"], "lead_ms": 200},
        },
    },
    {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "tracing": "auto",
            "audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}},
        },
    },
    {"type": "input_audio_buffer.append", "event_id": "e2", "audio": "AAAAAA=="},
    {"type": "input_audio_buffer.commit", "event_id": "e3"},
    {"type": "input_audio_buffer.clear", "event_id": "e4"},
    {
        "type": "conversation.item.create",
        "event_id": "e5",
        "previous_item_id": "root",
        "item": {
            "id": "mine",
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": [
                {"type": "input_text", "text": "hello"},
                {"type": "input_audio", "audio": "AAA=", "transcript": "spoken"},
                {"type": "input_image", "image_url": PIXEL, "detail": "high"},
            ],
        },
    },
    {
        "type": "conversation.item.create",
        "item": {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_audio", "transcript": "yes", "audio": "AAA="}],
        },
    },
    {"type": "conversation.item.create", "item": {"type": "message", "role": "system", "content": []}},
    {
        "type": "conversation.item.create",
        "item": {"type": "function_call", "name": "f", "call_id": "c", "arguments": "{}"},
    },
    {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c", "output": "4"}},
    {"type": "conversation.item.delete", "event_id": "e6", "item_id": "mine"},
    {"type": "conversation.item.retrieve", "event_id": "e7", "item_id": "mine"},
    {
        "type": "conversation.item.truncate",
        "event_id": "e8",
        "item_id": "mine",
        "content_index": 0,
        "audio_end_ms": 10,
    },
    {
        "type": "response.create",
        "event_id": "e9",
        "response": {
            "conversation": "none",
            "metadata": {"client_event_id": "x"},
            "output_modalities": ["text"],
            "instructions": "greet",
            "audio": {"output": {"voice": "slt", "format": {"type": "audio/pcma"}}},
            "tools": [{"type": "function", "name": "g", "parameters": {}}],
            "tool_choice": "required",
            "max_output_tokens": "inf",
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
                {"type": "item_reference", "id": "mine"},
            ],
        },
    },
    {"type": "response.cancel", "event_id": "e10", "response_id": "resp_1"},
    {"type": "output_audio_buffer.clear"},
]


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    keys = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in keys:
        found += paths(inner, (*path, key))
    return found


@st.composite
def spoilt(draw: st.DrawFn) -> dict[str, Any]:
    """A good event with something wrong, missing or superfluous somewhere."""
    event = copy.deepcopy(draw(st.sampled_from(SPECIMENS)))
    for _ in range(draw(st.integers(1, 2))):
        *way, last = draw(st.sampled_from(paths(event)))
        place = event
        for step in way:
            place = place[step]
        if draw(st.booleans()):
            place[last] = draw(anything)
        else:
            del place[last]
        if not event:
            break
    return event


def counter() -> Any:
    numbers = itertools.count(1)
    return lambda kind: f"{kind}_{next(numbers)}"


def connection() -> tuple[RealtimeConnection, Client]:
    made, client = RealtimeConnection(model="pocket", voices=["slt", "rms"], make_id=counter()), Client()
    made.open()
    client.follow(made.outgoing())
    made.receive(json.dumps(SPECIMENS[8]))
    made.receive(json.dumps(SPECIMENS[5] | {"previous_item_id": None}))
    client.follow(made.outgoing())
    assert not client.errors
    return made, client


def shown_as_they_are(made: RealtimeConnection, client: Client) -> None:
    """The client knows the settings that hold."""
    shown = {key: value for key, value in (client.session or {}).items() if key not in ("id", "object")}
    assert shown == made.settings.to_wire()


def unharmed(made: RealtimeConnection, client: Client, frame: str | bytes) -> dict[str, Any] | None:
    """A message is either taken or answered by one error, which is returned, and an error changes nothing."""
    before = (made.settings, [item.to_wire("audio/pcm") for item in made.conversation.items], made.active)
    requests = made.receive(frame)
    events = client.follow(made.outgoing())
    errors = [event for event in events if event["type"] == "error"]
    if errors:
        assert requests == []
        assert len(events) == 1
        after = (made.settings, [item.to_wire("audio/pcm") for item in made.conversation.items], made.active)
        assert after == before
    assert client.items == [item.id for item in made.conversation.items]
    shown_as_they_are(made, client)
    return errors[0]["error"] if errors else None


@settings(max_examples=150)
@given(anything)
def test_any_json(value: Any) -> None:
    made, client = connection()
    unharmed(made, client, json.dumps(value))


@settings(max_examples=100)
@given(st.text() | st.binary())
def test_any_frame(frame: str | bytes) -> None:
    made, client = connection()
    assert unharmed(made, client, frame) is not None, "no random text is an event"


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(spoilt(), min_size=1, max_size=3))
def test_spoilt_events(events: list[dict[str, Any]]) -> None:
    made, client = connection()
    for event in events:
        error = unharmed(made, client, json.dumps(event))
        if error is not None:
            given_id = event.get("event_id")
            assert error["event_id"] == (given_id if isinstance(given_id, str) else None)


def test_every_specimen_is_understood() -> None:
    """Otherwise the test above spoils what was never good."""
    for specimen in SPECIMENS[:-4]:
        made, client = connection()
        taken = copy.deepcopy(specimen)
        if taken.get("item", {}).get("id") or taken.get("item", {}).get("type") == "function_call":
            taken["item"].pop("id", None)
            taken["item"].pop("call_id", None)
        made.receive(json.dumps(taken))
        client.follow(made.outgoing())
        assert client.errors == []


class Conversing(RuleBasedStateMachine):
    """A client and a session that do whatever they like, whenever they like."""

    @initialize()
    def connect(self) -> None:
        self.made = RealtimeConnection(model="pocket", voices=["slt"], make_id=counter())
        self.client = Client()
        self.made.open()
        self.writers: list[ResponseWriter] = []
        self.said: dict[str, str] = {}
        self.heard: dict[str, int] = {}
        self.marks: dict[str, list[tuple[int, int]]] = {}
        self.turn: str | None = None
        self.turns = 0
        self.calls: list[str] = []

    def send(self, **event: Any) -> None:
        for request in self.made.receive(json.dumps(event)):
            match request:
                case ResponseAsked(params=params):
                    self.writers.append(self.made.begin_response(params))
                case CancelAsked(writer=writer):
                    self.stop(writer, "cancelled", None)
                case CommitAsked(event_id=event_id):
                    if self.turns % 2:
                        self.made.refuse("input_audio_buffer_commit_empty", "empty", event_id=event_id)
                    else:
                        self.made.commit_turn(None, bytes(4_800))
                    self.turns += 1
                case ClearAsked():
                    self.made.input_cleared()
                case AudioAppended(wave=wave):
                    assert wave.dtype == np.float32

    def stop(self, writer: ResponseWriter, status: Any, heard: int | None) -> None:
        item = writer.item_id
        writer.finish(status, heard_chars=heard, usage=Usage(output_text=3), reason=None)
        self.writers.remove(writer)
        if heard is not None and item in self.marks:
            self.heard[item] = min(self.heard.get(item, heard), heard)

    def items(self) -> list[str]:
        return [item.id for item in self.made.conversation.items]

    @rule(text=st.text(alphabet="abc ", max_size=8), at=st.sampled_from(["root", "last", "first"]))
    def write(self, text: str, at: str) -> None:
        items = self.items()
        place = {"root": "root", "last": None, "first": items[0] if items else None}[at]
        content = [{"type": "input_text", "text": text}]
        self.send(
            type="conversation.item.create",
            previous_item_id=place,
            item={"type": "message", "role": "user", "content": content},
        )

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def answer_call(self, data: st.DataObject) -> None:
        call_id = data.draw(st.sampled_from(self.calls))
        self.send(
            type="conversation.item.create",
            item={"type": "function_call_output", "call_id": call_id, "output": "{}"},
        )

    @precondition(lambda self: self.made.conversation.items)
    @rule(data=st.data(), what=st.sampled_from(["delete", "retrieve", "retrieve"]))
    def touch(self, data: st.DataObject, what: str) -> None:
        self.send(type=f"conversation.item.{what}", item_id=data.draw(st.sampled_from(self.items())))

    @rule(mode=st.sampled_from(["auto", "none"]), speech=st.booleans())
    def ask(self, mode: str, speech: bool) -> None:
        modalities = ["audio" if speech else "text"]
        response = {"conversation": mode, "output_modalities": modalities, "metadata": {"k": mode}}
        self.send(type="response.create", response=response)

    @rule()
    def cancel(self) -> None:
        self.send(type="response.cancel", event_id="c")

    @precondition(lambda self: self.made.active is None)
    @rule()
    def speak_first(self) -> None:
        self.writers.append(self.made.begin_response())

    @precondition(lambda self: self.writers)
    @rule(data=st.data(), words=st.text(alphabet="abc ", min_size=1, max_size=12), ms=st.integers(1, 400))
    def say(self, data: st.DataObject, words: str, ms: int) -> None:
        writer = data.draw(st.sampled_from(self.writers))
        writer.transcript_delta(words)
        item = writer.item_id
        self.said[item] = writer.transcript
        writer.audio(np.zeros(24 * ms, np.float32), len(writer.transcript))
        self.marks.setdefault(item, [(0, 0)]).append((writer.sent, len(writer.transcript)))

    @precondition(lambda self: self.writers)
    @rule(data=st.data(), text=st.text(alphabet="abc ", max_size=12))
    def type_out(self, data: st.DataObject, text: str) -> None:
        data.draw(st.sampled_from(self.writers)).text(text)

    @precondition(lambda self: self.writers)
    @rule(data=st.data())
    def call(self, data: st.DataObject) -> None:
        self.calls.append(data.draw(st.sampled_from(self.writers)).call("f", '{"a": 1}'))

    @precondition(lambda self: self.writers)
    @rule(
        data=st.data(),
        status=st.sampled_from(["completed", "cancelled", "incomplete", "failed"]),
        heard=st.none() | st.integers(0, 20),
    )
    def finish(self, data: st.DataObject, status: str, heard: int | None) -> None:
        self.stop(data.draw(st.sampled_from(self.writers)), status, heard)

    @precondition(lambda self: self.marks)
    @rule(data=st.data())
    def truncate(self, data: st.DataObject) -> None:
        """At one of the marks, where it is exact how much was said."""
        item = data.draw(st.sampled_from(sorted(self.marks)))
        samples, chars = data.draw(st.sampled_from(self.marks[item]))
        known = self.made.conversation.get(item) is not None
        before = len(self.client.errors)
        self.send(type="conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=samples // 24)
        self.client.follow(self.made.outgoing())
        assert (len(self.client.errors) == before) == known
        if known:
            self.heard[item] = min(self.heard.get(item, chars), chars)

    @rule()
    def voice(self) -> None:
        if self.turn is None:
            self.turn = self.made.speech_started(100)
        else:
            self.made.speech_stopped(self.turn, 900)
            self.made.commit_turn(self.turn, bytes(48_000))
            self.made.transcript_delta(self.turn, "he")
            self.made.transcript_completed(self.turn, "hello", 1.0)
            self.turn = None

    @rule()
    def nothing_said(self) -> None:
        self.made.timeout_triggered(0, 6_000)

    @rule(on=st.booleans(), form=st.sampled_from(["audio/pcm", "audio/pcmu", "audio/pcma"]))
    def settings(self, on: bool, form: str) -> None:
        heard = {"transcription": {"model": "m"} if on else None, "format": {"type": form}}
        said = {"format": {"type": form}}
        extension = {"events": ["floor"] if on else []}
        session = {"type": "realtime", "audio": {"input": heard, "output": said}, "duologue": extension}
        self.send(type="session.update", session=session)

    @rule()
    def show_floor(self) -> None:
        self.made.extension("floor", state="idle")

    @rule(what=st.sampled_from(["append", "commit", "clear"]))
    def audio(self, what: str) -> None:
        audio = base64.b64encode(bytes(480)).decode()
        self.send(type=f"input_audio_buffer.{what}", event_id="b", **({"audio": audio} if what == "append" else {}))

    @invariant()
    def events_are_legal_and_there_is_one_conversation(self) -> None:
        self.client.follow(self.made.outgoing())
        assert self.client.items == self.items()
        shown_as_they_are(self.made, self.client)

    @invariant()
    def history_is_what_was_heard(self) -> None:
        expected: list[Any] = []
        for item in self.made.conversation.items:
            if item.type == "function_call":
                expected.append(CallMade("f", item.call_id or "", item.arguments or ""))
            elif item.type == "function_call_output":
                expected.append(CallResult(item.call_id or "", "{}"))
            elif item.id in self.said:
                words = self.said[item.id][: self.heard.get(item.id)]
                if words:
                    expected.append(Message("assistant", words, (), True))
            else:
                words = "".join(part.text or part.transcript or "" for part in item.content)
                spoken = item.content[0].type == "input_audio"
                if words:
                    expected.append(Message(item.role or "user", words, (), spoken))
        assert list(self.made.conversation.history()) == expected


Conversing.TestCase.settings = settings(max_examples=150, stateful_step_count=60)
TestConversing = Conversing.TestCase
