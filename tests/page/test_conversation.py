"""The page in conversation with a server that follows a script."""

from __future__ import annotations

import base64
import time

import numpy as np
from playwright.sync_api import Page, expect

from .scripted import ScriptedServer, tone, until
from .seen import entries, loudness, marks


def test_asks_for_transcription_and_the_extension_events(live: Page, server: ScriptedServer) -> None:
    session = server.wait_for("session.update")["session"]
    assert session["type"] == "realtime"
    assert session["audio"]["input"]["transcription"] == {"model": "pocket"}
    assert set(session["duologue"]["events"]) == {"floor", "partial", "pause", "ignored", "latency", "notice"}
    expect(live.locator("#model")).to_have_text("scripted")


def test_sends_the_microphone_as_20_ms_chunks_in_real_time(live: Page, server: ScriptedServer) -> None:
    first, begin = len(server.received), time.monotonic()
    time.sleep(2.0)
    audio = [e["audio"] for e in server.received[first:] if e["type"] == "input_audio_buffer.append"]
    elapsed = time.monotonic() - begin
    chunks = [np.frombuffer(base64.b64decode(chunk), "<i2") for chunk in audio]
    assert {len(chunk) for chunk in chunks} == {480}
    assert abs(len(chunks) * 0.02 - elapsed) < 0.25
    levels = [float(np.sqrt(np.mean(np.square(chunk.astype(float))))) for chunk in chunks]
    assert max(levels) > 3000, "flite's words should have come through"
    assert min(levels) < 30, "and the silence around them"


def test_words_of_both_sides_in_the_order_they_began(live: Page, server: ScriptedServer) -> None:
    server.emit("input_audio_buffer.speech_started", item_id="turn_1", audio_start_ms=0)
    server.emit("duologue.partial", item_id="turn_1", text="what")
    until(lambda: entries(live), "the hypothesis")
    assert entries(live) == [{"side": "you", "words": "what", "notes": "", "partial": True, "alone": False}]

    server.emit("duologue.latency", response_id="resp_1", ms=312.4)
    server.reply(1, tone(0.3), "It is noon.")
    server.emit(
        "conversation.item.input_audio_transcription.completed",
        item_id="turn_1",
        content_index=0,
        transcript="what time is it",
    )
    until(lambda: len(entries(live)) == 2 and not entries(live)[0]["partial"], "both texts")
    you, it = entries(live)
    assert (you["side"], you["words"]) == ("you", "what time is it")
    assert (it["side"], it["words"], it["partial"]) == ("duologue", "It is noon.", False)
    assert it["notes"] == "answered after 312 ms"
    expect(live.locator("#announcer")).to_have_text("you: what time is it")


def test_a_reply_is_really_played(live: Page, server: ScriptedServer) -> None:
    server.reply(1, tone(1.0), "la")
    time.sleep(1.5)
    loud = [peak for peak in loudness(live, 2.0) if peak > 0.4]
    assert 0.9 < len(loud) * 512 / 24000 < 1.1
    assert max(loud) < 0.51


def test_an_interruption_silences_it_at_once_and_tells_what_was_heard(live: Page, server: ScriptedServer) -> None:
    server.reply(1, tone(5.0), "once upon a time", done=False)
    until(lambda: max(loudness(live, 0.1), default=0) > 0.4, "sound")
    time.sleep(1.0)
    server.emit("input_audio_buffer.speech_started", item_id="turn_2", audio_start_ms=0)
    truncate = server.wait_for("conversation.item.truncate")
    # What is still on its way of the cancelled reply must not sound either.
    place = {"response_id": "resp_1", "item_id": "reply_1", "output_index": 0, "content_index": 0}
    server.emit("response.output_audio.delta", **place, delta=base64.b64encode(b"\x00\x40" * 4800).decode())
    server.end(1, "cancelled")
    time.sleep(0.5)
    assert max(loudness(live, 0.3)) == 0
    assert (truncate["item_id"], truncate["content_index"]) == ("reply_1", 0)
    heard = len([peak for peak in loudness(live, 6.0) if peak > 0.01]) * 512 / 24
    assert abs(truncate["audio_end_ms"] - heard) < 80
    assert len([e for e in server.received if e["type"] == "conversation.item.truncate"]) == 1
    assert entries(live)[0]["notes"] == "interrupted"
    assert {(mark["lane"], mark["kind"]) for mark in marks(live)} == {("said", "cut"), ("heard", "barge-in")}

    server.reply(2, tone(0.5), "sorry")
    until(lambda: max(loudness(live, 0.2), default=0) > 0.4, "the next reply")


def test_a_pause_holds_the_reply_and_nothing_of_it_is_lost(live: Page, server: ScriptedServer) -> None:
    server.reply(1, tone(1.0), "la la")
    until(lambda: max(loudness(live, 0.1), default=0) > 0.4, "sound")
    server.emit("duologue.pause", response_id="resp_1", paused=True)
    time.sleep(0.5)
    assert max(loudness(live, 0.3)) == 0
    server.emit("duologue.pause", response_id="resp_1", paused=False)
    until(lambda: max(loudness(live, 0.1), default=0) > 0.4, "sound again")
    time.sleep(1.3)
    loud = [peak for peak in loudness(live, 4.0) if peak > 0.01]
    assert 0.95 < len(loud) * 512 / 24000 < 1.15
    (mark,) = marks(live)
    assert (mark["lane"], mark["kind"]) == ("said", "paused")
    assert mark["until"] is not None
    assert 0.4 < mark["until"] - mark["at"] < 1.0  # either message may be handled some frames late
    assert not [e for e in server.received if e["type"] == "conversation.item.truncate"]


def test_what_was_heard_and_left_alone_is_shown_so(live: Page, server: ScriptedServer) -> None:
    server.emit("duologue.partial", item_id="turn_1", text="pass me")
    server.emit("duologue.ignored", item_id="turn_1", text="pass me the salt")
    server.emit("duologue.ignored", item_id="turn_2", text="")
    until(lambda: len(entries(live)) == 2, "both turns")
    assert [(e["words"], e["notes"], e["alone"], e["partial"]) for e in entries(live)] == [
        ("pass me the salt", "heard, left alone", True, False),
        ("(sound without words)", "heard, left alone", True, False),
    ]


def test_an_overlap_is_an_interruption_or_was_left_alone(live: Page, server: ScriptedServer) -> None:
    server.reply(1, tone(0.2), "once upon a time", done=False)
    server.emit("duologue.floor", state="contested", audio_ms=0)
    server.emit("duologue.partial", item_id="", text="yeah")  # no item yet, and never
    server.emit("duologue.floor", state="replying", audio_ms=0)
    server.emit("duologue.floor", state="contested", audio_ms=0)
    server.emit("duologue.partial", item_id="", text="no")
    server.emit("input_audio_buffer.speech_started", item_id="turn_2", audio_start_ms=0)
    server.end(1, "cancelled")
    server.emit("duologue.floor", state="hearing", audio_ms=0)
    server.emit("duologue.partial", item_id="turn_2", text="no wait")
    server.emit("input_audio_buffer.committed", item_id="turn_2", previous_item_id=None)
    server.emit("duologue.floor", state="replying", audio_ms=0)
    expect(live.locator("#floor")).to_have_text("replying")
    assert [(e["words"], e["alone"]) for e in entries(live)[1:]] == [("yeah", True), ("no wait", False)]


def test_the_floor_is_told(live: Page, server: ScriptedServer) -> None:
    for state in ("hearing", "speculating", "replying", "contested", "overlapped", "idle"):
        server.emit("duologue.floor", state=state, audio_ms=0)
        expect(live.locator("#floor")).to_have_text(state)
        colour = live.evaluate('getComputedStyle(document.getElementById("floor"), "::before").backgroundColor')
        assert colour not in ("", "rgba(0, 0, 0, 0)")


def test_a_typed_turn(live: Page, server: ScriptedServer) -> None:
    live.fill("#text", "  hello  ")
    live.press("#text", "Enter")
    item = server.wait_for("conversation.item.create")["item"]
    assert (item["type"], item["role"]) == ("message", "user")
    assert item["content"] == [{"type": "input_text", "text": "hello"}]
    assert len(item["id"]) <= 32
    server.wait_for("response.create")
    assert live.input_value("#text") == ""
    assert [(e["side"], e["words"], e["partial"]) for e in entries(live)] == [("you", "hello", False)]


def test_a_typed_turn_over_a_reply_takes_the_floor(live: Page, server: ScriptedServer) -> None:
    server.reply(1, tone(4.0), "once upon a time", done=False)
    until(lambda: max(loudness(live, 0.1), default=0) > 0.4, "sound")
    live.fill("#text", "enough")
    live.press("#text", "Enter")
    server.wait_for("conversation.item.create")
    kinds = [e["type"] for e in server.received if e["type"] != "input_audio_buffer.append"]
    assert kinds == [
        "session.update",
        "response.cancel",
        "conversation.item.truncate",
        "conversation.item.create",
    ], "response.create would be an error while the reply is active"
    server.end(1, "cancelled")
    server.wait_for("response.create")


def test_escape_and_the_button_interrupt(live: Page, server: ScriptedServer) -> None:
    expect(live.locator("#interrupt")).to_be_disabled()
    server.reply(1, tone(4.0), "once upon a time", done=False)
    until(lambda: max(loudness(live, 0.1), default=0) > 0.4, "sound")
    live.keyboard.press("Escape")
    server.wait_for("response.cancel")
    server.wait_for("conversation.item.truncate")
    server.end(1, "cancelled")

    server.reply(2, tone(4.0), "as I was saying")  # made whole, still sounding: nothing is left to cancel
    until(lambda: max(loudness(live, 0.1), default=0) > 0.4, "sound")
    before = len(server.received)
    live.click("#interrupt")
    assert server.wait_for("conversation.item.truncate", after=before)["item_id"] == "reply_2"
    assert not [e for e in server.received[before:] if e["type"] == "response.cancel"]
    expect(live.locator("#interrupt")).to_be_disabled()


def test_muted_it_sends_silence(live: Page, server: ScriptedServer) -> None:
    live.click("#mute")
    expect(live.locator("#mute")).to_have_attribute("aria-pressed", "true")
    time.sleep(0.2)
    first = len(server.received)
    time.sleep(1.5)  # the fake microphone says its first words meanwhile
    audio = "".join(e["audio"] for e in server.received[first:] if e["type"] == "input_audio_buffer.append")
    assert len(audio) > 1.2 * 64000
    assert set(audio) == {"A"}  # base64 of zeros
    live.click("#mute")
    expect(live.locator("#mute")).to_have_text("Mute")


def test_stop_hangs_up_and_the_words_stay(live: Page, server: ScriptedServer) -> None:
    server.reply(1, tone(4.0), "once upon a time", done=False)
    until(lambda: entries(live), "words")
    live.click("#stop")
    until(lambda: not server.connected, "the page to hang up")
    expect(live.locator("#again")).to_be_visible()
    assert [e["words"].strip() for e in entries(live)] == ["once upon a time"]

    live.click("#again")
    until(lambda: server.connected, "a new call")
    assert entries(live) == []
