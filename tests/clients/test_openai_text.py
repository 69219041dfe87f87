"""The official ``openai`` package: text turns, responses to order, errors, names, keys."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import AsyncOpenAI

from .official import said, talking
from .test_openai_voice import WEATHER

RED_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"


async def test_a_written_question_is_answered_aloud_and_in_writing(url: str) -> None:
    async with talking(url) as talk:
        await talk.write("what is two plus three")
        aloud = await talk.ask()
        assert "five" in said(aloud)
        assert talk.audio(aloud["id"])
        await talk.write("and what is two plus two")
        written = await talk.ask(output_modalities=["text"])
        assert "four" in said(written)
        assert not talk.audio(written["id"])
        (part,) = written["output"][0]["content"]
        assert part["type"] == "output_text"
        assert talk.rules.errors == []


async def test_metadata_comes_back_and_beside_the_conversation_nothing_is_added(url: str) -> None:
    async with talking(url) as talk:
        item_id = await talk.write("count to twenty")
        await talk.connection.response.create(response={"metadata": {"client_event_id": "main"}})
        created = (await talk.until("response.created"))["response"]
        assert created["metadata"] == {"client_event_id": "main"}
        await talk.until("response.output_audio.delta")
        text = {"type": "input_text", "text": "what is five plus five"}
        beside: Any = {
            "conversation": "none",
            "metadata": {"topic": "sums"},
            "output_modalities": ["text"],
            "input": [{"type": "message", "role": "user", "content": [text]}],
        }
        aside = await talk.ask(**beside)
        assert aside["metadata"] == {"topic": "sums"}
        assert aside["conversation_id"] is None
        assert "ten" in said(aside)
        await talk.connection.response.cancel()
        cancelled = await talk.answer()
        assert cancelled["id"] == created["id"], "it was still being spoken"
        assert cancelled["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        assert cancelled["metadata"] == {"client_event_id": "main"}
        assert talk.rules.items == [item_id, cancelled["output"][0]["id"]]
        assert talk.rules.errors == []


async def test_tool_choice_is_obeyed(url: str) -> None:
    async with talking(url) as talk:
        await talk.configure(tools=[WEATHER], output_modalities=["text"])
        await talk.write("hello there")
        (call,) = (await talk.ask(tool_choice="required"))["output"]
        assert isinstance(json.loads(call["arguments"])["city"], str)
        await talk.write("what is the weather in rome")
        (message,) = (await talk.ask(tool_choice="none"))["output"]
        assert message["type"] == "message"
        (call,) = (await talk.ask(tool_choice="auto"))["output"]
        assert json.loads(call["arguments"])["city"] == "Rome"
        assert talk.rules.errors == []


async def test_mistakes_are_named_and_forgiven(url: str) -> None:
    async with talking(url) as talk:

        async def refused(kind: str, **fields: Any) -> dict[str, Any]:
            message: Any = {"type": kind, "event_id": f"mistake {len(talk.rules.errors)}", **fields}
            await talk.connection.send(message)
            error: dict[str, Any] = (await talk.until("error"))["error"]
            assert error["event_id"] == message["event_id"]
            return error

        vad = {"turn_detection": {"type": "server_vad", "threshold": "loud"}}
        error = await refused("session.update", session={"type": "realtime", "audio": {"input": vad}})
        assert error["param"] == "session.audio.input.turn_detection.threshold"
        assert (await refused("response.cancel"))["code"] == "response_cancel_not_active"
        assert (await refused("conversation.item.retrieve", item_id="x"))["code"] == "item_retrieve_invalid_item_id"
        assert (await refused("conversation.item.delete", item_id="x"))["code"] == "item_delete_invalid_item_id"
        lost = {"type": "function_call_output", "call_id": "x", "output": ""}
        assert (await refused("conversation.item.create", item=lost))["code"] == "invalid_tool_call_id"
        await refused("input_audio_buffer.append", audio="not base64!")
        await refused("no.such.event")
        await talk.connection.send_raw("no json")
        assert (await talk.until("error"))["error"]["type"] == "invalid_request_error"

        await talk.write("what is two plus three")
        assert "five" in said(await talk.ask(output_modalities=["text"]))


async def test_a_second_response_waits_for_the_first(url: str) -> None:
    async with talking(url) as talk:
        await talk.write("count to ten")
        await talk.connection.response.create()
        await talk.until("response.output_audio.delta")
        await talk.connection.response.create(event_id="impatient")
        error = (await talk.until("error"))["error"]
        assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "impatient")
        assert (await talk.answer())["status"] == "completed"


async def test_items_are_kept_placed_and_given_back(url: str) -> None:
    async with talking(url) as talk:
        picture = {"type": "input_image", "image_url": f"data:image/png;base64,{RED_PIXEL}", "detail": "low"}
        item: Any = {"id": "picture", "type": "message", "role": "user", "content": [picture]}
        await talk.connection.conversation.item.create(item=item)
        await talk.until("conversation.item.done")
        rule: Any = {
            "id": "rule",
            "type": "message",
            "role": "system",
            "content": [{"type": "input_text", "text": "Be brief."}],
        }
        await talk.connection.conversation.item.create(item=rule, previous_item_id="root")
        await talk.until("conversation.item.done")
        assert talk.rules.items == ["rule", "picture"]
        await talk.connection.conversation.item.retrieve(item_id="picture")
        retrieved = (await talk.until("conversation.item.retrieved"))["item"]
        assert retrieved["content"] == [picture]
        await talk.connection.conversation.item.delete(item_id="picture")
        await talk.until("conversation.item.deleted")
        assert talk.rules.items == ["rule"]
        assert talk.rules.errors == []


@pytest.mark.parametrize("name", ["gpt-realtime", "gpt-realtime-2.1", "pocket", "some/other model"])
async def test_any_model_name_means_the_loaded_one(url: str, name: str) -> None:
    async with talking(url, model=name) as talk:
        assert talk.events[0]["session"]["model"] == "pocket"
        assert (await talk.configure(model=name))["model"] == "pocket"
    async with AsyncOpenAI(api_key="any", base_url=url + "/v1") as client:
        assert [model.id async for model in client.models.list()] == ["pocket"]
