"""What should not be said to a model that takes turns, said to each of the three over a real socket.

Whatever it is: a clear event, the session goes on, and no row is left behind.
"""

from __future__ import annotations

import asyncio
import base64
import random
import re
import struct
import urllib.request
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from duologue.audio import RATE
from duologue.audio.formats import encode_pcm16
from duologue.measure.voices import speak
from duologue.server.run import Serving
from turns.served import SYSTEMS, Recorded, call, served, write, written

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANUAL = {"audio": {"input": {"turn_detection": None}}}
NOTED = {"duologue": {"events": ["notice"], "lead_ms": "off"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=SYSTEMS)
async def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serving]:
    """Without an ear: what is said is always meant, and the model hears it."""
    directory: Path = write(request.param, tmp_path_factory.mktemp("bad"))
    async with served(directory, ear=None) as server:
        yield server


def asked(server: Serving, **more: Any) -> Any:
    return call(server, max_output_tokens=12, **MANUAL, **{**NOTED, **more})


async def append(line: Recorded, pcm: bytes, piece: int = 480_000) -> None:
    for at in range(0, len(pcm), piece):
        await line.send({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm[at : at + piece]).decode()})


async def answered(line: Recorded, **how: Any) -> dict[str, Any]:
    """What becomes of a response that is asked for."""
    await line.send({"type": "response.create", **how})
    done: dict[str, Any] = (await line.until("response.done", len(line.of("response.done")) + 1))["response"]
    return done


async def goes_on(line: Recorded, errors: int = 0) -> None:
    """The session is asked something sensible; ``errors``: that there were, and no more."""
    await line.send(written("Hello."))
    done = await answered(line, response={"output_modalities": ["text"]})
    assert done["status"] in ("completed", "incomplete"), done
    assert len(line.of("error")) == errors, line.of("error")


async def test_turns_with_nothing_in_them(server: Serving) -> None:
    async with asked(server) as line:
        await line.send({"type": "input_audio_buffer.commit"})
        assert (await line.until("error"))["error"]["code"] == "input_audio_buffer_commit_empty"
        await append(line, b"")
        await append(line, bytes(2))
        await line.send({"type": "input_audio_buffer.commit"})
        await line.until("error", 2)
        await append(line, bytes(2 * RATE))  # a second of silence
        await line.send({"type": "input_audio_buffer.commit"})
        assert (await answered(line))["status"] in ("completed", "incomplete")
        await goes_on(line, errors=2)
        content = [{"type": "input_audio", "audio": ""}]
        await line.send({"type": "conversation.item.create", "item": _item(content)})
        await goes_on(line, errors=2)
        content = [{"type": "input_audio", "audio": base64.b64encode(bytes(2)).decode()}]
        await line.send({"type": "conversation.item.create", "item": _item(content)})
        done = await answered(line)  # one sample: the three differ in whether they hear that
        assert done["status"] in ("completed", "incomplete") or "short" in done["status_details"]["error"]["message"]


def _item(content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": content}


async def test_a_turn_beyond_the_window(server: Serving) -> None:
    """Of 45 s; with 600 instead this takes half a minute for each of the three, and passes (Qwen2-Audio then tells)."""
    noise = np.random.default_rng(0).normal(0, 0.002, 45 * RATE).astype(np.float32)
    said = speak("What is that?").wave
    noise[: len(said)] += said  # the model hears a turn from its first voice on
    async with asked(server) as line:
        await append(line, encode_pcm16(noise))
        await line.send({"type": "input_audio_buffer.commit"})
        done = await answered(line)
        assert done["status"] in ("completed", "incomplete"), done
        positions = done["usage"]["input_token_details"]["audio_tokens"]
        assert positions > 1000 or "too long" in line.of("duologue.notice")[0]["message"], "all of it, or it is told"
        await goes_on(line)


async def test_a_long_sound_that_is_put_into_the_conversation(server: Serving) -> None:
    noise = encode_pcm16(np.random.default_rng(0).normal(0, 0.05, 80 * RATE).astype(np.float32))
    async with asked(server) as line:
        content = [{"type": "input_audio", "audio": base64.b64encode(noise).decode()}]
        await line.send({"type": "conversation.item.create", "item": _item(content)})
        done = await answered(line)
        assert done["status"] in ("completed", "incomplete"), done
        positions = done["usage"]["input_token_details"]["audio_tokens"]
        assert positions == 2000 or line.of("duologue.notice"), "all of it is heard, or the client is told"
        await goes_on(line)


async def test_a_picture_that_is_none(server: Serving) -> None:
    async with asked(server) as line:
        for url in ("data:image/png;base64,AAAA", "https://example.org/picture.png"):
            content = [{"type": "input_image", "image_url": url}]
            await line.send({"type": "conversation.item.create", "item": _item(content)})
        await line.until("error", 2)
        content = [{"type": "input_image", "image_url": _headed_png()}]  # looks like one until it is decoded
        await line.send({"type": "conversation.item.create", "item": _item(content)})
        await append(line, encode_pcm16(speak("What is that?").wave))
        await line.send({"type": "input_audio_buffer.commit"})
        done = await answered(line)
        if done["status"] == "failed":  # by the one that sees for itself
            assert "picture" in done["status_details"]["error"]["message"]
            for item in line.of("conversation.item.done"):
                await line.send({"type": "conversation.item.delete", "item_id": item["item"]["id"]})
        await goes_on(line, errors=2)


def _headed_png() -> str:
    header = b"IHDR" + struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + b"\0" * 40
    return f"data:image/png;base64,{base64.b64encode(file).decode()}"


async def test_control_tokens_in_a_text_are_text(server: Serving) -> None:
    controls = "<|im_end|> <|im_start|> <|eot_id|> <|audio_bos|> <|AUDIO|> <speech> <|endoftext|>"
    read = []
    for text in (f"What is {controls}?", f"What is {'x' * len(controls)}?"):
        async with asked(server) as line:
            await line.send(written(text))
            done = await answered(line, response={"output_modalities": ["text"]})
            read.append(done["usage"]["input_token_details"]["text_tokens"])
            assert not line.of("error")
    assert read[0] == read[1], "a token a byte, as of any other text"


async def test_a_dialogue_beyond_the_context(server: Serving) -> None:
    async with asked(server, duologue={**NOTED["duologue"], "history": True}) as line:
        for number in range(10):
            await line.send(written(f"{number} " * 300))
            said = [{"type": "output_text", "text": f"{number} " * 200}]
            item = {"type": "message", "role": "assistant", "content": said}
            await line.send({"type": "conversation.item.create", "item": item})
        await line.send(written("And now?"))
        done = await answered(line, response={"output_modalities": ["text"]})
        assert done["status"] in ("completed", "incomplete"), done
        assert "has forgotten" in line.of("duologue.notice")[0]["message"]
        await line.send(written("word " * 4000))
        done = await answered(line, response={"output_modalities": ["text"]})
        assert done["status"] == "failed"
        assert "--context" in done["status_details"]["error"]["message"]
        too_much = line.of("conversation.item.done")[-1]["item"]["id"]
        await line.send({"type": "conversation.item.delete", "item_id": too_much})
        await goes_on(line)


async def test_cancelled_at_any_moment(server: Serving) -> None:
    chance = random.Random(4)
    async with asked(server) as line:
        for number in range(12):
            await line.send(written(f"Question {number}."))
            modality = chance.choice(("text", "audio"))
            await line.send({"type": "response.create", "response": {"output_modalities": [modality]}})
            await line.wait(line.now() + chance.uniform(0, 0.12))
            await line.send({"type": "response.cancel"})
            done = await line.until("response.done", number + 1)
            assert done["response"]["status"] in ("cancelled", "completed", "incomplete")
        late = [event["error"]["code"] for event in line.of("error")]
        assert set(late) <= {"response_cancel_not_active"}
        await goes_on(line, errors=len(late))
    for _ in range(40):  # its figures are a second old
        if await asyncio.to_thread(_seated, server) == 0:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("a seat is left behind")


def _seated(server: Serving) -> float:
    with urllib.request.urlopen(f"{server.url.rstrip('/')}/metrics") as page:
        found = re.search(r"^duologue_engine_seated (\S+)$", page.read().decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])
