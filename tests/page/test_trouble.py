"""What the page says when something is wrong, and how it goes on."""

from __future__ import annotations

import mimetypes

from playwright.sync_api import Page, Route, expect

from .conftest import OpenPage
from .scripted import PAGE, ScriptedServer, tone, until
from .seen import entries, loudness


def test_permission_denied_leaves_typing(server: ScriptedServer, open_page: OpenPage) -> None:
    page = open_page(server.url, microphone=False)
    page.click("#start")
    expect(page.locator("#problems")).to_contain_text("may not use the microphone. Allow it")
    server.wait_for("session.update")
    page.fill("#text", "hello")
    page.press("#text", "Enter")
    server.wait_for("response.create")
    server.reply(1, tone(0.5), "hi")
    until(lambda: max(loudness(page, 0.3), default=0) > 0.4, "the answer")
    expect(page.locator("#mute")).to_be_disabled()


def test_no_microphone(server: ScriptedServer, open_page: OpenPage) -> None:
    absent = """navigator.mediaDevices.getUserMedia =
        () => Promise.reject(new DOMException("Requested device not found", "NotFoundError"));"""
    page = open_page(server.url, script=absent)
    page.click("#start")
    expect(page.locator("#problems")).to_contain_text("No microphone was found. Connect one")


def test_microphone_unplugged(server: ScriptedServer, open_page: OpenPage) -> None:
    keep = """const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (wish) => (window.stream = await open(wish));"""
    page = open_page(server.url, script=keep)
    page.click("#start")
    server.wait_for("input_audio_buffer.append")
    page.evaluate('stream.getAudioTracks()[0].dispatchEvent(new Event("ended"))')
    expect(page.locator("#problems")).to_contain_text("The microphone is gone")


def test_insecure_context(open_page: OpenPage) -> None:
    def answer(route: Route) -> None:
        path = route.request.url.removeprefix("http://duologue.test:8790/")
        file = PAGE / (path.removeprefix("static/") or "index.html")
        route.fulfill(body=file.read_bytes(), content_type=mimetypes.guess_type(file)[0] or "text/plain")

    page = open_page("about:blank")
    page.route("http://duologue.test:8790/**", answer)
    page.goto("http://duologue.test:8790/")
    page.click("#start")
    expect(page.locator("#problems")).to_contain_text("only over https or on this machine itself")
    expect(page.locator("#problems")).to_contain_text("http://localhost:8790")
    expect(page.locator("#start")).to_be_visible()


def test_server_killed_and_back_the_conversation_goes_on(server: ScriptedServer, open_page: OpenPage) -> None:
    page = open_page(server.url)
    page.click("#start")
    server.wait_for("session.update")
    server.emit(
        "conversation.item.input_audio_transcription.completed",
        item_id="turn_1",
        content_index=0,
        transcript="my name is Ada",
    )
    server.reply(1, tone(0.2), "Hello Ada.")
    server.emit("duologue.ignored", item_id="turn_2", text="pass the salt")
    server.reply(2, tone(4.0), "Once upon", done=False)
    until(lambda: len(entries(page)) == 4 and max(loudness(page, 0.1)) > 0.4, "a conversation under way")

    server.stop()
    expect(page.locator("#problems")).to_contain_text("The server is gone. Trying again in")
    expect(page.locator("#floor")).to_have_text("idle")
    expect(page.locator("#send")).to_be_disabled()
    until(lambda: max(loudness(page, 0.2)) == 0, "silence")

    again = ScriptedServer(server.port)
    try:
        again.wait_for("conversation.item.create")
        expect(page.locator("#problems")).to_be_empty()
        until(lambda: len(again.received) > 10, "audio again")
        told = [e["item"] for e in again.received if e["type"] == "conversation.item.create"]
        assert [(i["role"], i["content"][0]["type"], i["content"][0]["text"].strip()) for i in told] == [
            ("user", "input_text", "my name is Ada"),
            ("assistant", "output_text", "Hello Ada."),
            ("assistant", "output_text", "Once upon"),
        ]
        again.reply(3, tone(0.5), "where were we")
        until(lambda: entries(page)[-1]["words"] == "where were we", "the next reply")
    finally:
        again.stop()


def test_the_token_is_asked_for_and_kept(server: ScriptedServer, open_page: OpenPage) -> None:
    server.token = "s3cret"
    page = open_page(server.url)
    page.click("#start")
    expect(page.locator("#token-hint")).to_contain_text("--token")
    expect(page.locator("#token")).to_be_focused()

    page.fill("#token", "has spaces")
    page.press("#token", "Enter")
    expect(page.locator("#token-hint")).to_contain_text("needs another token")

    page.fill("#token", "wrong")
    page.press("#token", "Enter")
    expect(page.locator("#token-hint")).to_have_text("That is not this server's token.")
    assert not server.received

    page.fill("#token", "s3cret")
    page.press("#token", "Enter")
    server.wait_for("session.update")
    expect(page.locator("#token-form")).to_be_hidden()
    assert page.evaluate("sessionStorage.length") == 1
    assert page.evaluate("localStorage.length") == 0

    page.reload()
    before = len(server.received)
    page.click("#start")
    server.wait_for("session.update", after=before)
    expect(page.locator("#token-form")).to_be_hidden()


def test_errors_and_failed_replies_are_told_but_lost_races_are_not(live: Page, server: ScriptedServer) -> None:
    server.emit("error", error={"code": "response_cancel_not_active", "message": "Cancellation failed"})
    server.emit("response.created", response={"id": "resp_1"})
    failed = {"type": "failed", "error": {"message": "the mouth is broken"}}
    server.emit("response.done", response={"id": "resp_1", "status": "failed", "status_details": failed, "output": []})
    expect(live.locator("#problems")).to_have_text("The reply failed: the mouth is broken")
    server.emit("error", error={"code": "invalid_value", "message": "that was wrong"})
    expect(live.locator("#problems")).to_have_text("that was wrong")
    server.emit("duologue.notice", message="the turn is too long")
    expect(live.locator("#problems")).to_have_text("the turn is too long")
