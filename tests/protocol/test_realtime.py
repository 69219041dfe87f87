"""The conversation of client and server, case by case, as the stock clients need it."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import numpy as np
import pytest
from realtime_rules import Client

from duologue.audio import RATE
from duologue.backends.contract import CallMade, CallResult, Message, Usage
from duologue.protocol import conversation as rooms
from duologue.protocol.realtime import MAX_FRAME, MAX_UPDATE, RealtimeConnection, random_id
from duologue.protocol.requests import (
    AudioAppended,
    CancelAsked,
    ClearAsked,
    CommitAsked,
    ItemAdded,
    ItemDeleted,
    ResponseAsked,
    SettingsChanged,
    Truncated,
)


class Line:
    """A connection with its client at the other end."""

    def __init__(self, **session: Any) -> None:
        numbers = itertools.count(1)
        self.server = RealtimeConnection(
            model="pocket",
            voices=["slt", "rms"],
            initial=session or None,
            make_id=lambda kind: f"{kind}_{next(numbers)}",
        )
        self.client = Client()
        self.server.open()
        self.events()

    def events(self) -> list[dict[str, Any]]:
        return self.client.follow(self.server.outgoing())

    def send(self, type: str, **fields: Any) -> list[Any]:
        return self.server.receive(json.dumps({"type": type, **fields}))

    def refused(self, type: str, **fields: Any) -> dict[str, Any]:
        """Sends an event that must be answered by an error carrying its id, and by nothing else."""
        assert self.send(type, event_id="evt_client", **fields) == []
        (event,) = self.events()
        assert event["error"]["event_id"] == "evt_client"
        assert event["error"]["type"] == "invalid_request_error"
        return event["error"]

    def write(self, text: str, **fields: Any) -> str:
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        (added,) = self.send("conversation.item.create", item=item, **fields)
        return added.item_id

    def types(self) -> list[str]:
        return [event["type"] for event in self.events()]


def said(seconds: float) -> Any:
    return np.full(int(seconds * RATE), 0.1, dtype=np.float32)


def delivered(events: list[dict[str, Any]]) -> bytes:
    return b"".join(base64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta")


# -- the order of things --------------------------------------------------------------------------------------


def test_a_spoken_turn_and_its_spoken_answer() -> None:
    line = Line(audio={"input": {"transcription": {"model": "whisper-1"}}})
    item = line.server.speech_started(120)
    line.server.speech_stopped(item, 1_400)
    assert line.server.commit_turn(item, bytes(4_800)) == item
    line.server.transcript_delta(item, "what ")
    line.server.transcript_completed(item, "what time is it", 1.3)
    writer = line.server.begin_response()
    writer.transcript_delta("It is ")
    writer.audio(said(0.3), 6)
    writer.transcript_delta("noon.")
    writer.audio(said(0.2), 11)
    writer.finish("completed", usage=Usage(input_audio=13, output_text=4, output_audio=5))
    assert line.types() == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    done = line.client.events[-1]["response"]
    assert done["usage"]["total_tokens"] == 22
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": "It is noon."}]
    assert line.server.conversation.history() == (
        Message("user", "what time is it", (), True),
        Message("assistant", "It is noon.", (), True),
    )
    assert line.server.conversation.history(until=writer.item_id) == (Message("user", "what time is it", (), True),)
    assert line.server.active is None


def test_the_first_items_predecessor_is_an_explicit_null() -> None:
    line = Line()
    line.server.commit_turn(None, b"")
    events = line.events()
    assert [event.get("previous_item_id", "absent") for event in events] == [None, None, None]


def test_a_function_call_closes_the_message_before_it() -> None:
    line = Line()
    writer = line.server.begin_response()
    writer.transcript_delta("Let me look.")
    writer.audio(said(0.1), 12)
    call_id = writer.call("weather", '{"city": "Oslo"}')
    writer.finish("completed")
    types = line.types()
    call = types[types.index("response.output_item.done") + 1 :]
    assert call == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    item = line.client.events[-2]["item"]
    assert item["call_id"] == call_id
    assert item["status"] == "completed"
    assert item["arguments"] == '{"city": "Oslo"}'
    output = {"type": "function_call_output", "call_id": call_id, "output": "snow"}
    assert len(line.send("conversation.item.create", item=output)) == 1
    assert line.server.conversation.history()[1:] == (
        CallMade("weather", call_id, '{"city": "Oslo"}'),
        CallResult(call_id, "snow"),
    )


def test_a_written_answer() -> None:
    line = Line(output_modalities=["text"])
    writer = line.server.begin_response()
    assert not writer.params.speech
    writer.text("No")
    writer.text("on.")
    writer.finish("completed")
    types = line.types()
    assert types.count("response.output_text.delta") == 2
    assert not any("audio" in each for each in types)
    assert line.server.conversation.history() == (Message("assistant", "Noon."),)


@pytest.mark.parametrize(
    ("status", "reason", "details"),
    [
        ("cancelled", "turn_detected", {"type": "cancelled", "reason": "turn_detected"}),
        ("cancelled", None, {"type": "cancelled", "reason": "client_cancelled"}),
        ("incomplete", None, {"type": "incomplete", "reason": "max_output_tokens"}),
        (
            "failed",
            "backend_died",
            {"type": "failed", "error": {"type": "server_error", "code": "backend_died", "message": "sorry"}},
        ),
    ],
)
def test_however_it_ends_all_is_closed(status: Any, reason: str | None, details: dict[str, Any]) -> None:
    line = Line()
    writer = line.server.begin_response()
    writer.transcript_delta("Once upon")
    writer.finish(status, reason=reason, message="sorry" if status == "failed" else None)
    done = line.events()[-1]["response"]
    assert done["status"] == status
    assert done["status_details"] == details
    assert done["output"][0]["status"] == "incomplete"
    assert writer.finished
    for late in (lambda: writer.text("x"), lambda: writer.audio(said(0.1), 1), lambda: writer.call("f", "{}")):
        with pytest.raises(RuntimeError, match="finished"):
            late()
    assert line.events() == []


def test_an_answer_of_nothing_is_still_an_answer() -> None:
    line = Line()
    line.server.begin_response().finish("cancelled", reason="turn_detected")
    assert line.types() == ["response.created", "response.done"]


def test_idle_timeout_commits_an_empty_item() -> None:
    line = Line()
    item = line.server.timeout_triggered(0, 6_000)
    assert line.types() == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert line.client.items == [item]
    assert line.server.conversation.history() == ()


# -- responses on request -----------------------------------------------------------------------------------


def test_response_create_overrides_the_session_and_brings_its_metadata_back() -> None:
    tool = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}
    line = Line(instructions="be brief", tools=[tool])
    (asked,) = line.send(
        "response.create",
        event_id="e",
        response={
            "instructions": "greet",
            "metadata": {"client_event_id": "abc"},
            "tool_choice": {"type": "function", "name": "f"},
            "max_output_tokens": 50,
            "audio": {"output": {"voice": "rms", "format": {"type": "audio/pcmu"}}},
        },
    )
    assert isinstance(asked, ResponseAsked)
    ask = asked.params.ask()
    assert (ask.instructions, ask.voice, ask.speech) == ("greet", "rms", True)
    assert (ask.tool_choice, ask.max_tokens) == ("function:f", 50)
    assert ask.tools[0].parameters == {"type": "object"}
    line.server.begin_response(asked.params).finish("completed")
    for event in line.events():
        assert event["response"]["metadata"] == {"client_event_id": "abc"}
        assert event["response"]["audio"]["output"] == {"format": {"type": "audio/pcmu"}, "voice": "rms"}
        assert event["response"]["max_output_tokens"] == 50
    assert line.server.settings.instructions == "be brief"


def test_only_one_at_a_time_but_any_number_out_of_band() -> None:
    line = Line()
    line.write("the secret word is plum")
    writer = line.server.begin_response()
    line.events()
    assert line.refused("response.create")["code"] == "conversation_already_has_active_response"
    with pytest.raises(RuntimeError, match="still active"):
        line.server.begin_response()
    question = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "classify"}]}
    (asked,) = line.send(
        "response.create", response={"conversation": "none", "output_modalities": ["text"], "input": [question]}
    )
    aside = line.server.begin_response(asked.params)
    assert line.server.conversation.history(params=aside.params) == (Message("user", "classify"),)
    aside.text("fruit")
    (cancel,) = line.send("response.cancel", response_id=aside.id)
    assert cancel == CancelAsked(None, aside)
    aside.finish("completed")
    writer.transcript_delta("plum")
    writer.finish("completed")
    events = line.events()
    of_aside = [e for e in events if (e.get("response") or {}).get("id", e.get("response_id")) == aside.id]
    assert of_aside[0]["response"]["conversation_id"] is None
    assert not any(e["type"].startswith("conversation.item") for e in of_aside)
    assert [m.text for m in line.server.conversation.history()] == ["the secret word is plum", "plum"]


def test_explicit_input_may_refer_to_items() -> None:
    line = Line()
    first, _second = line.write("one"), line.write("two")
    reference = {"type": "item_reference", "id": first}
    (asked,) = line.send("response.create", response={"input": [reference]})
    assert line.server.conversation.history(params=asked.params) == (Message("user", "one"),)
    (asked,) = line.send("response.create", response={"input": []})
    assert line.server.conversation.history(params=asked.params) == ()
    line.events()
    error = line.refused("response.create", response={"input": [reference, {"type": "item_reference", "id": "no"}]})
    assert error["param"] == "response.input[1].id"


def test_a_tool_that_is_not_there_cannot_be_demanded() -> None:
    line = Line(tool_choice="required")
    (asked,) = line.send("response.create")
    assert asked.params.tool_choice == "auto"  # the session's choice waits for its tools
    error = line.refused("response.create", response={"tool_choice": {"type": "function", "name": "f"}})
    assert error["param"] == "response.tool_choice"


def test_cancel_with_nothing_to_cancel() -> None:
    line = Line()
    error = line.refused("response.cancel")
    assert error["code"] == "response_cancel_not_active"
    assert error["message"].startswith("Cancellation failed")
    writer = line.server.begin_response()
    line.events()
    assert line.refused("response.cancel", response_id="resp_other")["code"] == "response_cancel_not_active"
    assert line.send("response.cancel", event_id="e") == [CancelAsked("e", writer)]


# -- items ----------------------------------------------------------------------------------------------------


def test_items_go_where_they_are_put() -> None:
    line = Line()
    b = line.write("b")
    line.write("c")
    line.write("a", previous_item_id="root")
    line.write("b2", previous_item_id=b)
    line.events()
    assert [m.text for m in line.server.conversation.history()] == ["a", "b", "b2", "c"]
    assert line.client.items == [item.id for item in line.server.conversation.items]
    item = {"type": "message", "role": "user", "content": []}
    error = line.refused("conversation.item.create", item=item, previous_item_id="nowhere")
    assert error["param"] == "previous_item_id"


def test_items_keep_the_clients_id_and_only_once() -> None:
    line = Line()
    item = {"id": "0" * 32, "type": "message", "role": "system", "content": [{"type": "input_text", "text": "x"}]}
    assert line.send("conversation.item.create", item=item) == [ItemAdded("0" * 32)]
    line.events()
    assert line.refused("conversation.item.create", item=item)["code"] == "item_create_duplicate_item_id"
    output = {"type": "function_call_output", "call_id": "unknown", "output": "4"}
    assert line.refused("conversation.item.create", item=output)["code"] == "invalid_tool_call_id"


def test_a_replayed_conversation_is_taken_whole() -> None:
    """LiveKit sends the whole history anew when it reconnects."""
    line = Line()
    text = {"type": "output_text", "text": "Four."}
    for item in (
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "s"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": "two and two"}]},
        {"type": "function_call", "name": "add", "call_id": "c1", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "4"},
        {"type": "message", "role": "assistant", "content": [text], "status": "incomplete"},
    ):
        assert len(line.send("conversation.item.create", item=item)) == 1
    line.events()
    assert line.server.conversation.history() == (
        Message("system", "s"),
        Message("user", "two and two", (), True),
        CallMade("add", "c1", "{}"),
        CallResult("c1", "4"),
        Message("assistant", "Four."),
    )


def test_retrieve_has_the_audio_and_nothing_else_has() -> None:
    line = Line()
    pcm = np.arange(2_400, dtype="<i2").tobytes()
    item = line.server.commit_turn(None, pcm)
    writer = line.server.begin_response()
    writer.transcript_delta("yes")
    writer.audio(np.full(2_400, 0.25, np.float32), 3)
    writer.finish("completed")
    line.events()
    line.send("conversation.item.retrieve", item_id=item)
    line.send("conversation.item.retrieve", item_id=writer.item_id)
    heard, answered = (event["item"]["content"][0] for event in line.events())
    assert base64.b64decode(heard["audio"]) == pcm
    assert np.unique(np.frombuffer(base64.b64decode(answered["audio"]), "<i2")).tolist() == [8_192]
    assert line.refused("conversation.item.retrieve", item_id="no")["code"] == "item_retrieve_invalid_item_id"
    assert line.refused("conversation.item.delete", item_id="no")["code"] == "item_delete_invalid_item_id"


def test_an_item_deleted_while_it_is_spoken_does_not_come_back() -> None:
    line = Line()
    writer = line.server.begin_response()
    writer.transcript_delta("Once")
    writer.audio(said(0.1), 4)
    assert line.send("conversation.item.delete", item_id=writer.item_id) == [ItemDeleted(writer.item_id)]
    writer.audio(said(0.1), 4)
    writer.finish("cancelled")
    types = line.types()
    assert "conversation.item.done" not in types
    assert types[-2:] == ["response.output_item.done", "response.done"]
    assert line.server.conversation.history() == ()


def test_a_transcript_for_a_deleted_item_is_told_to_nobody() -> None:
    line = Line(audio={"input": {"transcription": {}}})
    item = line.server.commit_turn(None, b"")
    line.send("conversation.item.delete", item_id=item)
    line.events()
    line.server.transcript_delta(item, "hel")
    line.server.transcript_completed(item, "hello", 1.0)
    line.server.transcript_failed(item, "no words")
    assert line.events() == []


def test_transcripts_are_kept_but_told_only_on_request() -> None:
    line = Line()
    item = line.server.commit_turn(None, b"")
    line.events()
    line.server.transcript_completed(item, "hello", 1.0)
    assert line.events() == []
    assert line.server.conversation.history() == (Message("user", "hello", (), True),)
    line.send("session.update", session={"type": "realtime", "audio": {"input": {"transcription": {}}}})
    line.server.transcript_failed(item, "the ear is gone")
    failed = line.events()[-1]
    assert failed["error"] == {
        "type": "server_error",
        "code": "transcription_failed",
        "message": "the ear is gone",
    }


# -- truncation -------------------------------------------------------------------------------------------------


def spoken(line: Line, *words: str) -> Any:
    """An active response that said these words, half a second each."""
    writer = line.server.begin_response()
    for word in words:
        writer.transcript_delta(word)
        writer.audio(said(0.5), len(writer.transcript))
    line.events()
    return writer


def test_history_is_what_was_heard_and_only_moves_back() -> None:
    line = Line()
    writer = spoken(line, "One, ", "two, ", "three, ", "four.")
    writer.finish("cancelled", reason="turn_detected", heard_chars=15)
    assert line.events()[-1]["response"]["output"][0]["content"][0]["transcript"] == "One, two, three, four."

    def truncate(ms: int) -> Any:
        where = {"item_id": writer.item_id, "content_index": 0, "audio_end_ms": ms}
        (truncated,) = line.send("conversation.item.truncate", **where)
        assert isinstance(truncated, Truncated)
        (event,) = line.events()
        assert {key: event[key] for key in where} == where
        return truncated.samples, truncated.chars, line.server.conversation.history()[0].text

    assert line.server.conversation.history()[0].text == "One, two, three"
    assert truncate(2_000) == (32_571, 15, "One, two, three")  # between 10 characters at 1 s and 17 at 1.5 s
    assert truncate(500) == (12_000, 5, "One, ")
    assert truncate(500) == (12_000, 5, "One, ")
    assert truncate(750) == (12_000, 5, "One, ")
    line.send("conversation.item.retrieve", item_id=writer.item_id)
    part = line.events()[0]["item"]["content"][0]
    assert part["transcript"] == "One, "
    assert len(base64.b64decode(part["audio"])) == 24_000


def test_truncating_at_zero_takes_the_message_out_of_the_history() -> None:
    line = Line()
    writer = spoken(line, "One, ", "two.")
    writer.finish("completed")
    line.send("conversation.item.truncate", item_id=writer.item_id, content_index=0, audio_end_ms=0)
    assert line.types()[-1] == "conversation.item.truncated"
    assert line.server.conversation.history() == ()


def test_between_marks_speech_is_taken_to_be_even() -> None:
    line = Line()
    writer = spoken(line, "abcdefghij")
    assert line.send("conversation.item.truncate", item_id=writer.item_id, content_index=0, audio_end_ms=250) == [
        Truncated(writer.item_id, 6_000, 5)
    ]


def test_heard_samples_alone_will_do() -> None:
    line = Line()
    writer = spoken(line, "One, ", "two.")
    writer.finish("cancelled", heard_samples=12_000)
    assert line.server.conversation.history() == (Message("assistant", "One, ", (), True),)


def test_truncating_what_is_still_being_said() -> None:
    """agents-js truncates at once on speech_started, before the response is closed; no closing event undoes it."""
    line = Line()
    writer = spoken(line, "One, ", "two.")
    line.send("conversation.item.truncate", item_id=writer.item_id, content_index=0, audio_end_ms=500)
    writer.finish("cancelled", reason="turn_detected", heard_chars=9)
    done = next(e for e in line.events() if e["type"] == "conversation.item.done")
    assert done["item"]["content"][0]["transcript"] == "One, "
    assert line.server.conversation.history()[0].text == "One, "


def test_what_cannot_be_truncated() -> None:
    line = Line()
    writer = spoken(line, "One.")
    written = line.write("hello")
    line.events()
    event: dict[str, Any] = {"type": "conversation.item.truncate", "content_index": 0, "audio_end_ms": 100}
    assert line.refused(**event, item_id="no")["code"] == "item_truncate_invalid_item_id"
    assert line.refused(**event, item_id=written)["code"] == "unsupported_content_type"
    error = line.refused(**{**event, "audio_end_ms": 600}, item_id=writer.item_id)
    assert error["code"] == "invalid_value"
    assert error["message"] == "Audio content of 500ms is already shorter than 600ms"
    error = line.refused(**{**event, "audio_end_ms": -1}, item_id=writer.item_id)
    assert error["param"] == "audio_end_ms"
    assert line.refused(**{**event, "content_index": 1}, item_id=writer.item_id)["param"] == "content_index"


def test_a_fraction_of_a_millisecond_is_forgiven() -> None:
    line = Line()
    writer = line.server.begin_response()
    writer.audio(np.zeros(24_001, np.float32), 0)
    line.events()
    for ms in (999.6, 1_000, 1_001):
        line.send("conversation.item.truncate", item_id=writer.item_id, content_index=0, audio_end_ms=ms)
    assert line.types() == ["conversation.item.truncated"] * 3


# -- audio ------------------------------------------------------------------------------------------------------


def test_audio_comes_in_as_waves() -> None:
    line = Line()
    pcm = np.array([0, 16_384, -32_768], "<i2").tobytes()
    (appended,) = line.send("input_audio_buffer.append", audio=base64.b64encode(pcm).decode())
    assert isinstance(appended, AudioAppended)
    assert appended.wave.tolist() == [0.0, 0.5, -1.0]
    assert line.events() == []
    assert line.send("input_audio_buffer.commit", event_id="c") == [CommitAsked("c")]
    assert line.send("input_audio_buffer.clear", event_id="d") == [ClearAsked("d")]
    line.server.input_cleared()
    assert line.types() == ["input_audio_buffer.cleared"]


@pytest.mark.parametrize("audio", ["AAA", "not base64!", base64.b64encode(b"odd").decode(), "ÄÄÄÄ", 5, ["AAAA"]])
def test_audio_that_is_none(audio: Any) -> None:
    assert Line().refused("input_audio_buffer.append", audio=audio)["param"] == "audio"


def test_telephone_audio_both_ways() -> None:
    line = Line(audio={"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcmu"}}})
    silence = base64.b64encode(b"\xff" * 160).decode()
    heard = sum(len(line.send("input_audio_buffer.append", audio=silence)[0].wave) for _ in range(100))
    assert 2 * RATE - heard <= RATE // 25
    writer = line.server.begin_response()
    for _ in range(10):
        writer.audio(said(0.1), 0)
    writer.finish("completed")
    assert len(delivered(line.events())) == pytest.approx(8_000, abs=2)


def test_long_audio_is_sent_in_pieces() -> None:
    line = Line()
    writer = line.server.begin_response()
    writer.audio(said(2.5), 0)
    assert writer.sent == 60_000
    events = line.events()
    assert [e["type"] for e in events].count("response.output_audio.delta") == 3
    assert len(delivered(events)) == 120_000


# -- settings ---------------------------------------------------------------------------------------------------


def test_a_partial_update_keeps_the_rest_and_shows_the_whole() -> None:
    line = Line()
    session = {"type": "realtime", "instructions": "hi", "model": "gpt-realtime", "tracing": "auto"}
    (changed,) = line.send("session.update", session=session)
    assert isinstance(changed, SettingsChanged)
    assert (changed.previous.instructions, changed.current.instructions) == ("", "hi")
    assert line.server.settings is changed.current
    shown = line.events()[0]["session"]
    assert shown["model"] == "pocket"
    assert shown["instructions"] == "hi"
    assert shown["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }
    assert shown["id"] == line.client.events[0]["session"]["id"]


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ("x", "session"),
        ({}, "session.type"),
        ({"type": "transcription"}, "session.type"),
        ({"type": "realtime", "output_modalities": ["audio", "text"]}, "session.output_modalities"),
        ({"type": "realtime", "turn_detection": None}, "session.turn_detection"),
        ({"type": "realtime", "max_output_tokens": 0}, "session.max_output_tokens"),
        (
            {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": "loud"}}}},
            "session.audio.input.turn_detection.threshold",
        ),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            "session.audio.input.format.rate",
        ),
        ({"type": "realtime", "audio": {"output": {"speed": 2}}}, "session.audio.output.speed"),
        ({"type": "realtime", "tools": [{"type": "mcp", "server_label": "x"}]}, "session.tools[0].type"),
        ({"type": "realtime", "duologue": {"lead_ms": -1}}, "session.duologue.lead_ms"),
        ({"type": "realtime", "duologue": {"strictness": "stern"}}, "session.duologue.strictness"),
        ({"type": "realtime", "duologue": {"speculate": "boldly"}}, "session.duologue.speculate"),
    ],
)
def test_a_wrong_update_names_the_place_and_changes_nothing(session: Any, param: str) -> None:
    line = Line()
    before = line.server.settings
    assert line.refused("session.update", session=session)["param"] == param
    assert line.server.settings is before


def test_the_voice_is_the_clients_until_it_was_heard() -> None:
    line = Line()
    line.send("session.update", session={"type": "realtime", "audio": {"output": {"voice": {"id": "marin"}}}})
    assert line.server.settings.voice == "marin"
    spoken(line, "Hello.").finish("completed")
    line.events()
    update = {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
    assert line.refused("session.update", session=update)["code"] == "cannot_update_voice"
    same = {"type": "realtime", "audio": {"output": {"voice": "marin", "speed": 1.5}}}
    assert len(line.send("session.update", session=same)) == 1


def test_extension_events_only_on_request() -> None:
    line = Line()
    line.server.extension("floor", state="idle")
    assert line.events() == []
    extension = {"events": ["floor"], "lead_ms": 200, "strictness": "strict"}
    line.send("session.update", session={"type": "realtime", "duologue": extension})
    line.server.extension("floor", state="hearing")
    line.server.extension("partial", text="he")
    updated, event = line.events()
    assert updated["session"]["duologue"] == extension
    assert (event["type"], event["state"]) == ("duologue.floor", "hearing")
    assert (line.server.settings.lead_ms, line.server.settings.strictness) == (200, "strict")


# -- bad input and bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", "invalid_json"),
        ("hello", "invalid_json"),
        ("null", "invalid_json"),
        ("[]", "invalid_json"),
        ('{"type": "response.create", "x": NaN}', "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ('{"type":' * 300 + "1" + "}" * 300, "invalid_json"),
        ('{"type": "response.create", "event_id": "\\ud800"}', "invalid_json"),
        ("\ud800", "invalid_json"),
        ("9" * 10_000, "invalid_json"),
        (b'{"type": "response.create"}', "invalid_frame"),
        ("{}", "missing_required_parameter"),
        ('{"type": "response.audio"}', "invalid_value"),
        ('{"type": "output_audio_buffer.clear"}', "unsupported_event"),
        ('{"type": "response.create", "event_id": 7}', "invalid_type"),
    ],
)
def test_frames_that_are_no_events(frame: str | bytes, code: str) -> None:
    line = Line()
    assert line.server.receive(frame) == []
    (event,) = line.events()
    assert event["error"]["code"] == code
    assert len(event["error"]["message"]) < 1_000
    assert len(line.send("response.create")) == 1, "the session goes on"


def test_numbers_that_json_cannot_write_are_not_echoed() -> None:
    line = Line()
    tool = '{"type": "function", "name": "f", "parameters": {"maximum": 1e999}}'
    assert (
        line.server.receive(f'{{"type": "session.update", "session": {{"type": "realtime", "tools": [{tool}]}}}}') == []
    )
    assert line.events()[0]["error"]["param"] == "session.tools[0].parameters"


def test_schemas_come_back_as_they_were_sent() -> None:
    line = Line()
    parameters = {"type": "object", "properties": {"a": {"enum": [None, 1.5, "x"], "default": None}}}
    tool = {"type": "function", "name": "f", "description": "", "parameters": parameters}
    line.send("session.update", session={"type": "realtime", "tools": [tool]})
    assert line.events()[0]["session"]["tools"] == [tool]


def test_oversized_messages_are_refused() -> None:
    line = Line()
    for frame in (
        json.dumps({"type": "input_audio_buffer.append", "event_id": "e", "audio": "A" * MAX_FRAME}),
        json.dumps({"type": "input_audio_buffer.append", "event_id": "e", "audio": "A" * (MAX_FRAME - 4_096)}),
        json.dumps({"type": "session.update", "session": {"type": "realtime", "instructions": "x" * MAX_UPDATE}}),
    ):
        assert line.server.receive(frame) == []
        assert line.events()[0]["type"] == "error"
    fifteen = base64.b64encode(bytes(15 * 1024 * 1024)).decode()
    (appended,) = line.send("input_audio_buffer.append", audio=fifteen)
    assert len(appended.wave) == 15 * 1024 * 512


def test_a_large_message_of_many_values_is_refused_unread() -> None:
    line = Line()
    many = json.dumps({"type": "response.create", "event_id": "e", "response": {"input": [1] * 1_000_000}})
    assert line.server.receive(many) == []
    (error,) = line.events()
    assert error["error"]["code"] == "frame_too_large" and "commas" in error["error"]["message"]
    line.send("session.update", session={"type": "realtime"})  # the session goes on
    assert line.events()[-1]["type"] == "session.updated"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.create", "response": {"metadata": {str(n): n for n in range(100_000)}}},
        {"type": "response.create", "response": {"input": [1] * 100_000}},
        {"type": "session.update", "session": {"type": "realtime", "tools": [1] * 100_000}},
        {"type": "session.update", "session": {"type": "realtime", "duologue": {"events": [1] * 100_000}}},
    ],
)
def test_a_crowd_is_counted_before_it_is_looked_at(event: dict[str, Any]) -> None:
    """Else every element's error is collected first, for seconds."""
    assert "at most" in Line().refused(**event)["message"]


def test_the_conversation_is_bounded() -> None:
    line = Line()
    first = line.server.commit_turn(None, bytes(rooms.MAX_AUDIO // 2 + 2))
    line.server.transcript_completed(first, "the first", 1.0)
    second = line.server.commit_turn(None, bytes(rooms.MAX_AUDIO // 2))
    line.send("conversation.item.retrieve", item_id=first)
    line.send("conversation.item.retrieve", item_id=second)
    old, new = (event["item"]["content"][0] for event in line.events()[-2:])
    assert old == {"type": "input_audio", "transcript": "the first"}
    assert len(new["audio"]) > 0
    for number in range(rooms.MAX_ITEMS):
        line.server.commit_turn(f"turn_{number}", b"")
    assert len(line.server.conversation.items) == rooms.MAX_ITEMS
    assert line.server.conversation.get(first) is None
    big = "x" * 1_000_000
    for _ in range(rooms.MAX_WEIGHT // 1_000_000 + 5):
        line.write(big)
    assert sum(item.weight for item in line.server.conversation.items) <= rooms.MAX_WEIGHT


def test_deleted_audio_makes_room() -> None:
    line = Line()
    most = bytes(rooms.MAX_AUDIO * 3 // 4)
    line.send("conversation.item.delete", item_id=line.server.commit_turn(None, most))
    kept = line.server.commit_turn(None, most)
    line.server.commit_turn(None, bytes(rooms.MAX_AUDIO // 4))
    line.send("conversation.item.retrieve", item_id=kept)
    assert "audio" in line.events()[-1]["item"]["content"][0]


def test_a_speech_of_minutes_keeps_its_marks_in_bounds() -> None:
    line = Line()
    writer = line.server.begin_response()
    for n in range(10_000):
        writer.transcript_delta("ab")
        writer.audio(np.zeros(240, np.float32), 2 * (n + 1))
    (truncated,) = line.send("conversation.item.truncate", item_id=writer.item_id, content_index=0, audio_end_ms=50_000)
    assert truncated == Truncated(writer.item_id, 1_200_000, 10_000)
    playback = line.server.conversation.items[0].content[0].playback
    assert playback is not None
    assert len(playback._samples) <= 4_096


def test_random_ids_are_short_and_differ() -> None:
    ids = {random_id("event") for _ in range(1_000)}
    assert len(ids) == 1_000
    assert max(len(each) for each in ids) <= 32
