"""What a person chooses: language, microphone, voice, and when a turn is over. It is remembered in the browser."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from playwright.sync_api import Page, expect

from .conftest import OpenPage
from .scripted import PAGE, ScriptedServer, tone, until
from .seen import entries, loudness

MOVING_MICROPHONE = """
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    window.wishes = [];
    navigator.mediaDevices.getUserMedia = (wish) => {
        wishes.push(wish.audio.deviceId?.ideal ?? "");
        return open(wish);
    };
"""

LABELS = """
    const draw = CanvasRenderingContext2D.prototype.fillText;
    window.labels = [];
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
        labels.push({ text, x, y, width: this.measureText(text).width });
        draw.call(this, text, x, y);
    };
    CanvasRenderingContext2D.prototype.clearRect = () => { window.labels = []; };
"""


def updates(server: ScriptedServer) -> list[dict[str, Any]]:
    return [event["session"] for event in server.received if event["type"] == "session.update"]


def test_chinese_and_english(server: ScriptedServer, open_page: OpenPage) -> None:
    page = open_page(server.url, locale="zh-CN", viewport={"width": 360, "height": 740})
    expect(page.locator("#start")).to_have_text("开始")
    expect(page.locator("footer")).to_contain_text("pocket 只听得懂英语")
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    page.click("#start")
    server.wait_for("input_audio_buffer.append")
    server.emit("duologue.floor", state="hearing", audio_ms=0)
    server.emit("duologue.ignored", item_id="turn_1", text="")
    server.emit("duologue.latency", response_id="resp_1", ms=312.4)
    server.reply(1, tone(0.2), "Hello.")
    until(lambda: len(entries(page)) == 2 and not entries(page)[1]["partial"], "both turns")
    assert [(e["side"], e["words"], e["notes"]) for e in entries(page)] == [
        ("您", "（没有话语的声音）", "听到了，未理会"),
        ("duologue", "Hello.", "312 毫秒后回答"),
    ]
    english = set(re.findall(r"[A-Za-z]{3,}", shown(page)))
    assert english <= {"duologue", "scripted", "pocket", "Hello", "Esc", "JSON", "Show", "English"}
    assert page.evaluate("document.documentElement.scrollWidth") <= 360

    page.click("#language")
    expect(page.locator("#floor")).to_have_text("hearing")
    expect(page.locator("footer")).to_contain_text("understands English only")
    assert [(e["side"], e["words"], e["notes"]) for e in entries(page)] == [
        ("you", "(sound without words)", "heard, left alone"),
        ("duologue", "Hello.", "answered after 312 ms"),
    ]
    page.reload()
    expect(page.locator("#start")).to_have_text("Start")


def test_whose_weights_they_are_is_said(server: ScriptedServer, open_page: OpenPage) -> None:
    server.model = {"id": "omni", "voices": ["own"], "title": "LLaMA-Omni (omni)", "licence": "academic research only"}
    page = open_page(server.url)
    page.click("#start")
    server.wait_for("session.update")
    expect(page.locator("footer")).to_contain_text("LLaMA-Omni (omni). Licence of its weights: academic research only.")
    page.click("#language")
    expect(page.locator("footer")).to_contain_text("权重许可：academic research only")


def shown(page: Page) -> str:
    """All the words of the page, with those in attributes and closed dialogs."""
    words: str = page.evaluate(
        """() => [...document.body.querySelectorAll("*")].flatMap((element) => [
            element.closest("noscript, svg") || element.children.length ? "" : element.textContent,
            element.title ?? "", element.ariaLabel ?? "", element.placeholder ?? "",
        ]).join(" ")"""
    )
    return words


def test_every_text_is_there_in_both_languages() -> None:
    table = dict(re.findall(r'^  "?([\w ,-]+?)"?: \[(".*")\],$', (PAGE / "texts.js").read_text(), re.MULTILINE))
    assert len(table) > 80
    for key, pair in table.items():
        english, chinese = re.findall(r'"((?:[^"\\]|\\.)*)"', pair)
        assert sorted(re.findall(r"\{\d\}", english)) == sorted(re.findall(r"\{\d\}", chinese)), key
    wanted = re.findall(r'data-text(?:-\w+)?="([^"]+)"', (PAGE / "index.html").read_text())
    assert set(wanted) <= set(table)


def test_settings_hold_now_and_next_time(server: ScriptedServer, open_page: OpenPage) -> None:
    page = open_page(server.url, script=MOVING_MICROPHONE)
    page.click("#start")
    server.wait_for("input_audio_buffer.append")
    assert updates(server)[0]["audio"]["input"]["turn_detection"] == {"type": "semantic_vad", "eagerness": "auto"}
    assert "voice" not in updates(server)[0]["audio"].get("output", {})
    assert page.evaluate("localStorage.length") == 0, "nothing was chosen"

    page.click("#settings-open")
    expect(page.locator("#voice option")).to_have_text(["The model's own", "ada", "grace"])
    page.select_option("#voice", "grace")
    page.select_option("#turns", "low")
    page.select_option("#turns", "silence")
    page.locator("#silence").fill("900")
    page.select_option("#strictness", "strict")
    until(lambda: len(updates(server)) == 6, "five updates")
    assert updates(server)[5]["duologue"] == {"strictness": "strict"}
    assert [update["audio"] for update in updates(server)[1:5]] == [
        {"output": {"voice": "grace"}},
        {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}},
        {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500}}},
        {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 900}}},
    ]

    microphones = page.locator("#microphone option").all_text_contents()
    assert len(microphones) > 2
    assert microphones[0] == "The browser's choice"
    page.select_option("#microphone", index=2)
    until(lambda: len(page.evaluate("wishes")) == 2, "the other microphone")
    other = page.input_value("#microphone")
    assert page.evaluate("wishes") == ["", other]
    before = len(server.received)
    server.wait_for("input_audio_buffer.append", after=before)

    server.reply(1, tone(3.0), "as I was saying", done=False)
    until(lambda: max(loudness(page, 0.1), default=0) > 0.4, "sound")
    page.select_option("#voice", "ada")  # the session has spoken: its voice is settled
    page.keyboard.press("Escape")
    expect(page.locator("#settings")).to_be_hidden()
    assert not [e for e in server.received if e["type"] == "response.cancel"], "that Escape closed the dialog"
    page.click("#stop")
    assert len(updates(server)) == 6

    page.reload()
    before = len(server.received)
    page.click("#start")
    session = server.wait_for("session.update", after=before)["session"]
    assert session["audio"]["output"] == {"voice": "ada"}
    assert session["audio"]["input"]["turn_detection"] == {"type": "server_vad", "silence_duration_ms": 900}
    until(lambda: page.evaluate("wishes") == [other], "the microphone chosen before")


def test_marks_that_fall_together_can_be_read(server: ScriptedServer, open_page: OpenPage) -> None:
    page = open_page(server.url, script=LABELS)
    page.click("#start")
    server.wait_for("input_audio_buffer.append")
    for number in range(3):
        server.emit("duologue.latency", response_id=f"resp_{number}", ms=1000 + number)
        server.reply(number, tone(1.0), "la", done=False)
        until(lambda: max(loudness(page, 0.05), default=0) > 0.4, "sound")
        server.emit("duologue.pause", response_id=f"resp_{number}", paused=True)
        server.emit("input_audio_buffer.speech_started", item_id=f"turn_{number}", audio_start_ms=0)
        server.end(number, "cancelled")
        server.emit("duologue.ignored", item_id=f"other_{number}", text="")
    expect(page.locator("#latency span")).to_have_text("answers after 1001 ms (median of 3)")
    assert page.locator("#latency rect").count() == 3
    until(lambda: sum(label["text"] == "cut" for label in page.evaluate("labels")) == 3, "marks")
    rows: dict[float, list[dict[str, Any]]] = {}
    for label in page.evaluate("labels"):
        rows.setdefault(label["y"], []).append(label)
    for row in rows.values():
        row.sort(key=lambda label: label["x"])
        for one, next_one in pairwise(row):
            assert one["x"] + one["width"] < next_one["x"], (one, next_one)
