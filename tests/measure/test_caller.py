"""The caller: what is sent, when, and how a stock client reacts."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from duologue.audio import samples, seconds
from duologue.audio.formats import decode_pcm16
from duologue.audio.level import STEP
from duologue.measure.caller import Caller
from duologue.measure.lines import LineError
from measure.scripted import Scripted, ScriptedLine, tone


async def call(script: Scripted) -> Caller:
    caller = Caller(ScriptedLine(script))
    await caller.join()
    return caller


async def test_joining_asks_for_transcripts_and_knows_the_model() -> None:
    script = Scripted()
    caller = await call(script)
    assert caller.model == "scripted"
    update = script.received[0]
    assert update["type"] == "session.update"
    assert update["session"]["audio"]["input"]["transcription"]
    assert "turn_detection" not in update["session"]["audio"]["input"]  # the server's default is measured


async def test_a_server_that_says_nothing() -> None:
    class Mute(ScriptedLine):
        async def wait(self, until: float) -> list:  # type: ignore[type-arg]
            await super().wait(until)
            return []

    with pytest.raises(LineError, match=r"no session\.created within 2 s"):
        await Caller(Mute(Scripted())).join(patience=2.0)


async def test_the_microphone_sends_what_is_said_where_it_is_said() -> None:
    script = Scripted(does="nothing")
    caller = await call(script)
    await caller.listen(0.1)
    rng = np.random.default_rng(0)
    first = rng.uniform(-0.5, 0.5, 1234).astype(np.float32)
    second = rng.uniform(-0.5, 0.5, 777).astype(np.float32)
    start = caller.say(first)
    assert caller.say(second) == start + 1234  # one after the other, also within a frame
    await caller.listen(0.2)
    sent = [event["audio"] for event in script.received if event["type"] == "input_audio_buffer.append"]
    wave = np.concatenate([decode_pcm16(base64.b64decode(audio)) for audio in sent])
    assert start == samples(0.1)
    assert len(wave) == caller.position == samples(0.3)
    expected = np.zeros(len(wave), np.float32)
    expected[start : start + 2011] = np.concatenate([first, second])
    assert np.abs(wave - expected).max() < 1e-4
    assert np.array_equal(caller.heard, expected)


async def test_a_frame_is_sent_once_it_is_spoken() -> None:
    """No microphone sends what has not been said yet."""

    class Watch(Scripted):
        def receive(self, event: dict, now: float) -> None:  # type: ignore[type-arg]
            super().receive(event, now)
            if event["type"] == "input_audio_buffer.append":
                times.append(now)

    times: list[float] = []
    caller = await call(Watch())
    began = caller.line.now()
    await caller.listen(0.1)
    assert [round(at - began, 6) for at in times] == [0.02, 0.04, 0.06, 0.08, 0.1]


async def test_a_room_is_under_everything() -> None:
    caller = Caller(ScriptedLine(Scripted()), room=tone(0.03, amplitude=0.001))
    await caller.join()
    await caller.listen(0.06)
    assert np.array_equal(caller.heard, np.concatenate([caller.room, caller.room]))


async def test_an_interruption_silences_the_loudspeaker_and_tells_what_was_heard() -> None:
    """The reply is far ahead of its playback; on speech_started the rest is dropped and truncated."""
    script = Scripted(reply=3.0, lead=2.0, obeys_after=0.1)
    caller = await call(script)
    await caller.write("tell me a story")
    await caller.listen(1.0)
    began = caller.playback.pieces[0].start
    onset = caller.say(tone(0.5))
    await caller.listen(1.0)
    (truncate,) = [event for event in script.received if event["type"] == "conversation.item.truncate"]
    heard = caller.playback.heard(truncate["item_id"])
    assert truncate["audio_end_ms"] == heard * 1000 // 24000
    silent = began + heard
    assert seconds(silent - onset) == pytest.approx(0.1 + seconds(STEP), abs=0.001)
    assert not caller.playback.timeline(caller.position)[silent:].any()
    assert next(iter(caller.replies.values())).status == "cancelled"


async def test_a_reply_that_ran_dry_is_truncated_too() -> None:
    """A paced server stops sending first; all that came was heard, and the client still says so."""
    script = Scripted(reply=3.0, obeys_after=0.1)
    caller = await call(script)
    await caller.write("tell me a story")
    await caller.listen(1.0)
    caller.say(tone(0.5))
    await caller.listen(0.5)
    (truncate,) = [event for event in script.received if event["type"] == "conversation.item.truncate"]
    assert truncate["audio_end_ms"] == caller.playback.heard(truncate["item_id"]) * 1000 // 24000
