"""The official ``openai`` package talks with `pocket`: by voice, barging in, by push-to-talk, with a tool."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from duologue.audio import RATE, seconds
from duologue.audio.formats import decode_pcm16
from duologue.audio.level import first_audible

from .microphone import push_to_talk
from .official import said, speaking, talking

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "The current weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


async def test_a_conversation_by_voice(url: str) -> None:
    async with speaking(url) as (talk, microphone):
        await microphone.say("what is two plus three")
        heard = await talk.until("conversation.item.input_audio_transcription.completed")
        assert "two plus three" in heard["transcript"].lower()
        answer = await talk.answer()
        assert answer["status"] == "completed"
        assert "five" in said(answer)
        wave = decode_pcm16(talk.audio(answer["id"]))
        assert first_audible(wave) is not None
        assert 0.5 < seconds(len(wave)) < 5

        await microphone.say("count to three", voice="rms")
        answer = await talk.answer()
        assert "one" in said(answer)
        assert "three" in said(answer)
        assert talk.rules.errors == []
        roles = [e["item"]["role"] for e in talk.events if e["type"] == "conversation.item.done"]
        assert roles == ["user", "assistant", "user", "assistant"]


async def test_barging_in_leaves_in_the_history_what_was_heard(url: str) -> None:
    async with speaking(url) as (talk, microphone):
        await microphone.say("tell me a story")
        item_id = (await talk.until("response.output_audio.delta"))["item_id"]
        await asyncio.sleep(2.5)
        interrupting = asyncio.create_task(microphone.say("what is five plus five", voice="rms"))
        await talk.until("input_audio_buffer.speech_started")
        heard_ms = talk.played_ms(item_id)
        await talk.connection.conversation.item.truncate(item_id=item_id, content_index=0, audio_end_ms=heard_ms)
        cancelled = await talk.answer()
        assert cancelled["status"] == "cancelled"
        assert cancelled["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        truncated = await talk.until("conversation.item.truncated", item_id=item_id)
        assert truncated["audio_end_ms"] <= heard_ms

        await talk.connection.conversation.item.retrieve(item_id=item_id)
        (kept,) = (await talk.until("conversation.item.retrieved"))["item"]["content"]
        (sent,) = cancelled["output"][0]["content"]
        assert kept["transcript"], "some of it was heard"
        assert sent["transcript"].startswith(kept["transcript"])
        audio = decode_pcm16(base64.b64decode(kept["audio"]))
        assert len(audio) * 1000 // RATE <= heard_ms

        await interrupting
        assert "ten" in said(await talk.answer())
        assert talk.rules.errors == []


async def test_push_to_talk(url: str) -> None:
    async with talking(url) as talk:
        by_hand = {"turn_detection": None, "transcription": {"model": "whisper-1"}}
        session = await talk.configure(audio={"input": by_hand})
        assert session["audio"]["input"]["turn_detection"] is None
        await talk.connection.input_audio_buffer.commit(event_id="too early")
        error = (await talk.until("error"))["error"]
        assert (error["code"], error["event_id"]) == ("input_audio_buffer_commit_empty", "too early")

        for pcm in push_to_talk("what is ten minus four"):
            await talk.hear(pcm)
        await talk.connection.input_audio_buffer.commit()
        committed = await talk.until("input_audio_buffer.committed")
        heard = await talk.until("conversation.item.input_audio_transcription.completed")
        assert heard["item_id"] == committed["item_id"]
        assert "ten minus four" in heard["transcript"].lower()
        assert "response.created" not in talk.rules.types, "a commit by itself asks for nothing"
        answer = await talk.ask()
        assert "six" in said(answer)
        assert "input_audio_buffer.speech_started" not in talk.rules.types


async def test_a_tool_that_must_be_called_and_its_result_said(url: str) -> None:
    async with speaking(url) as (talk, microphone):
        await talk.configure(tools=[WEATHER], tool_choice={"type": "function", "name": "get_weather"})
        await microphone.say("what is the weather in paris")
        done = await talk.until("response.function_call_arguments.done")
        arguments = json.loads(done["arguments"])
        assert arguments["city"].lower() == "paris"
        assert set(arguments) <= {"city", "unit"}
        answer = await talk.answer()
        (call,) = answer["output"]
        assert (call["type"], call["name"], call["status"]) == ("function_call", "get_weather", "completed")

        output: Any = {"type": "function_call_output", "call_id": call["call_id"], "output": '{"sky": "cloudy"}'}
        await talk.connection.conversation.item.create(item=output)
        answer = await talk.ask(tool_choice="auto")
        assert "cloudy" in said(answer)
        assert first_audible(decode_pcm16(talk.audio(answer["id"]))) is not None
        assert talk.rules.errors == []
