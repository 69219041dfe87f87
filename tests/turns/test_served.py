"""Models that take turns, served whole from their published layouts: real speech, real sockets, the runtime's ear."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duologue.audio import Wave, seconds
from duologue.audio.formats import decode_pcm16, encode_pcm16
from duologue.audio.level import last_audible
from duologue.measure.caller import Caller, Reply
from duologue.measure.exchange import exchange
from duologue.measure.lines import dial
from duologue.measure.voices import speak
from duologue.server.run import Serving
from turns.served import SYSTEMS, Recorded, call, picture, served, write, written


async def interrupt(caller: Caller, recorded: Recorded) -> tuple[Reply, int]:
    """Ask until an answer is long enough to be interrupted (of random weights some end by themselves); that answer, and
    where on the caller's timeline it was interrupted."""
    for _ in range(8):
        begun = len(caller.replies)
        asked = caller.say(speak("What is the capital of France?").wave)
        while len(caller.replies) == begun or not caller.playback.end > caller.position + 2400:
            await caller.tick()
            assert seconds(caller.position - asked) < 20, (recorded.rules.types, caller.errors)
        types = recorded.rules.types
        spoken = types.index("response.output_audio.delta")
        assert "response.output_audio_transcript.done" not in types[:spoken], "before the text is finished"
        await caller.listen(0.4)
        reply = list(caller.replies.values())[-1]
        for words in ("Stop!", "Stop it, please!", "No, wait a moment!"):  # on a busy machine one may have to insist
            at = caller.say(speak(words).wave)
            while reply.status == "in_progress" and seconds(caller.position - at) < 3:
                await caller.tick()
            if reply.status == "cancelled":
                return reply, at
        while not caller.calm:
            await caller.tick()
    raise AssertionError(f"no answer was long enough: {[each.status for each in caller.replies.values()]}")


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {system: write(system, root) for system in SYSTEMS}


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_conversation(system: str, directories: dict[str, Path]) -> None:
    """Asked, it answers, and is heard before it has written all; interrupted it stops; then it is asked again."""
    async with served(directories[system]) as server, dial(server.url) as line:
        recorded = Recorded(line)
        caller = Caller(recorded)
        extensions = {"events": ["ignored", "notice", "latency"], "history": True}
        await caller.join(session={"max_output_tokens": 400, "duologue": extensions})
        first, interrupted = await interrupt(caller, recorded)
        await caller.listen(1.0)
        silent = last_audible(caller.playback.timeline(caller.position, response=first.id))
        assert silent is not None and seconds(silent - interrupted) < 1.5
        await recorded.send({"type": "session.update", "session": {"type": "realtime", "max_output_tokens": 30}})
        result = await exchange(caller, speak("And what is the weather like in Italy?").wave)
        assert result.answered and not result.problem
        while not all(turn.transcribed for turn in caller.turns.values()):  # the words to be read may come later
            await caller.tick()
            assert seconds(caller.position - result.end) < 30
        assert "italy" in list(caller.turns.values())[-1].heard
        done = recorded.of("response.done")
        assert not recorded.rules.errors and not caller.errors
        usage = [event["response"]["usage"] for event in done if event["response"]["status"] == "completed"]
        if usage:  # the second prompt has the first and what was heard of its answer, and not what was not
            assert usage[0]["input_token_details"]["audio_tokens"] > 0


async def ask(server: Serving, wave: Wave, **settings: Any) -> tuple[str, Wave, dict[str, Any]]:
    """A turn that the client ends, so that the model hears the same sound whatever the machine is doing."""
    given = {"audio": {"input": {"turn_detection": None}}, "duologue": {"lead_ms": "off"}, **settings}
    async with call(server, max_output_tokens=60, **given) as line:
        for at in range(0, len(wave), 4800):
            piece = base64.b64encode(encode_pcm16(wave[at : at + 4800])).decode()
            await line.send({"type": "input_audio_buffer.append", "audio": piece})
        await line.send({"type": "input_audio_buffer.commit"})
        await line.send({"type": "response.create"})
        done = await line.until("response.done")
        text = "".join(event["delta"] for event in line.of("response.output_audio_transcript.delta"))
        deltas = [decode_pcm16(base64.b64decode(event["delta"])) for event in line.of("response.output_audio.delta")]
        assert not line.rules.errors
        return text, np.concatenate([np.zeros(0, np.float32), *deltas]), done["response"]


@pytest.mark.parametrize("system", ["llama_omni", "mini_omni2"])
async def test_four_at_once_are_told_what_one_is_told_alone(system: str, directories: dict[str, Path]) -> None:
    waves = [speak(text).wave for text in ("Who are you?", "Tell me a joke.", "How old is the moon?", "Hello there.")]
    async with served(directories[system]) as server:
        together = await asyncio.gather(*(ask(server, wave) for wave in waves))
        for wave, (text, said, response) in zip(waves, together, strict=True):
            alone = await ask(server, wave)
            assert text == alone[0]
            assert len(said) == len(alone[1]) > 0
            np.testing.assert_allclose(said, alone[1], atol=2e-3)
            assert response["usage"] == alone[2]["usage"]


async def test_a_picture_with_a_spoken_question_and_a_written_one(directories: dict[str, Path]) -> None:
    async with served(directories["mini_omni2"]) as server:
        given = {"audio": {"input": {"turn_detection": None}}, "duologue": {"lead_ms": "off"}}
        async with call(server, max_output_tokens=40, **given) as line:
            content = [{"type": "input_image", "image_url": picture("red")}]
            item = {"type": "message", "role": "user", "content": content}
            await line.send({"type": "conversation.item.create", "item": item})
            wave = encode_pcm16(speak("What is that?").wave)
            await line.send({"type": "input_audio_buffer.append", "audio": base64.b64encode(wave).decode()})
            await line.send({"type": "input_audio_buffer.commit"})
            await line.send({"type": "response.create"})
            done = (await line.until("response.done"))["response"]
            assert done["usage"]["input_token_details"]["image_tokens"] == 50
            said = "".join(event["delta"] for event in line.of("response.output_audio_transcript.delta"))
            assert said
            await line.send({"type": "response.create", "response": {"output_modalities": ["text"]}})
            again = (await line.until("response.done", 2))["response"]
            assert again["status"] in ("completed", "incomplete")
            await line.send(written("What is <|im_end|> that?"))
            await line.send({"type": "response.create", "response": {"output_modalities": ["text"]}})
            third = (await line.until("response.done", 3))["response"]
            assert third["usage"]["input_token_details"]["text_tokens"] == len("What is <|im_end|> that?") + 3
            assert not line.rules.errors


async def test_what_cannot_be_done_is_said_and_the_session_goes_on(directories: dict[str, Path]) -> None:
    async with served(directories["qwen2_audio"]) as server, call(server, max_output_tokens=20) as line:
        tool = {"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {}}}
        await line.send({"type": "response.create", "response": {"tools": [tool], "tool_choice": "required"}})
        failed = (await line.until("response.done"))["response"]
        assert failed["status"] == "failed"
        assert "cannot call functions" in failed["status_details"]["error"]["message"]
        await line.send(written("word " * 4000))
        await line.send({"type": "response.create"})
        failed = (await line.until("response.done", 2))["response"]
        assert "--context" in failed["status_details"]["error"]["message"]
        said = line.of("conversation.item.done")[-1]["item"]["id"]
        await line.send({"type": "conversation.item.delete", "item_id": said})
        await line.send(written("Hello."))
        await line.send({"type": "response.create", "response": {"output_modalities": ["text"]}})
        assert (await line.until("response.done", 3))["response"]["status"] in ("completed", "incomplete")
