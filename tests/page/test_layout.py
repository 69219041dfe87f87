"""By keyboard, on a phone's width, in light and dark; nothing from outside."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Page, expect

from .conftest import OpenPage
from .scripted import PAGE, ScriptedServer, tone, until
from .seen import entries, loudness


def test_keyboard_alone(server: ScriptedServer, open_page: OpenPage) -> None:
    page = open_page(server.url)
    expect(page.locator("#start")).to_be_focused()
    ring = page.evaluate('getComputedStyle(document.getElementById("start")).outlineStyle')
    assert ring == "solid"
    page.keyboard.press("Space")
    server.wait_for("input_audio_buffer.append")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.type("hello")
    page.keyboard.press("Enter")
    server.wait_for("response.create")
    server.reply(1, tone(3.0), "hello", done=False)
    until(lambda: max(loudness(page, 0.1), default=0) > 0.4, "sound")
    page.keyboard.press("Escape")
    server.wait_for("conversation.item.truncate")
    server.end(1, "cancelled")
    expect(page.locator("#interrupt")).to_be_disabled()

    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached[:3] == ["send", "mute", "stop"]
    page.locator("#stop").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#again")).to_be_focused()


def test_phone_width(server: ScriptedServer, open_page: OpenPage) -> None:
    page = open_page(server.url, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)

    def fits() -> bool:
        width, height = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        return bool(width <= 360 and height <= 740)

    assert fits()
    page.tap("#start")
    server.wait_for("input_audio_buffer.append")
    assert page.evaluate("document.activeElement.id") != "text", "the keyboard would cover the conversation"
    for number in range(8):
        server.reply(number, tone(0.1), f"{number} Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch, a word")
    server.emit("duologue.floor", state="speculating", audio_ms=0)
    server.emit("error", error={"code": "invalid_value", "message": "x" * 120})
    until(lambda: len(entries(page)) == 8, "replies")
    assert fits()
    time.sleep(0.1)
    newest = page.locator("#transcript li").last
    expect(newest).to_be_in_viewport(ratio=0.9)
    for control in ("#mute", "#stop", "#send", "#text"):
        box = page.locator(control).bounding_box()
        assert box is not None
        assert box["height"] >= 40, "a thumb must hit it"

    page.locator("#transcript").evaluate("list => { list.scrollTop = 0; }")
    time.sleep(0.1)
    server.reply(9, tone(0.1), "one more")
    until(lambda: len(entries(page)) == 9, "the last reply")
    assert page.locator("#transcript").evaluate("list => list.scrollTop") == 0, "the reader had scrolled back"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(server: ScriptedServer, open_page: OpenPage, scheme: str) -> None:
    page = open_page(server.url, color_scheme=scheme)
    colours: dict[str, str] = page.evaluate(
        """() => {
            const style = getComputedStyle(document.documentElement);
            const value = (name) => [name, style.getPropertyValue(`--${name}`).trim()];
            const names = "paper sheet ink quiet heard said heard-tint said-tint mark warn warn-tint";
            return Object.fromEntries(names.split(" ").map(value));
        }"""
    )
    pairs = [
        ("ink", "paper"), ("ink", "sheet"), ("ink", "heard-tint"), ("ink", "said-tint"),
        ("quiet", "paper"), ("quiet", "sheet"), ("quiet", "heard-tint"), ("quiet", "said-tint"),
        ("heard", "heard-tint"), ("said", "said-tint"), ("paper", "heard"),
        ("mark", "sheet"), ("warn", "warn-tint"),
    ]  # fmt: skip
    poor = {pair: round(ratio, 2) for pair in pairs if (ratio := contrast(*(colours[c] for c in pair))) < 4.5}
    assert not poor, "WCAG 2 asks for 4.5 : 1"


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio of two ``#rrggbb`` colours, 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_nothing_is_loaded_from_outside() -> None:
    for file in PAGE.iterdir():
        addresses = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"')]*", file.read_text())
        assert [a for a in addresses if a != "http://www.w3.org/2000/svg"] == [], file.name


def test_a_calm_picture_for_who_asked_for_it(server: ScriptedServer, open_page: OpenPage) -> None:
    count = """const draw = CanvasRenderingContext2D.prototype.clearRect;
        window.drawn = 0;
        CanvasRenderingContext2D.prototype.clearRect = function (...box) {
            window.drawn += 1;
            draw.apply(this, box);
        };"""
    page = open_page(server.url, script=count, reduced_motion="reduce")
    page.click("#start")
    server.wait_for("input_audio_buffer.append")
    before: int = page.evaluate("drawn")
    time.sleep(1.5)
    assert 2 <= page.evaluate("drawn") - before <= 4


def test_both_waveforms_are_drawn(live: Page, server: ScriptedServer) -> None:
    count = """(lane) => {
        const canvas = document.getElementById("timeline");
        const { width, height } = canvas;
        const half = Math.floor((height - 16) / 2);
        const top = lane === "heard" ? 6 : half + 10;
        const { data } = canvas.getContext("2d").getImageData(width - 150, top, 150, half - 36);
        const wanted = getComputedStyle(canvas).getPropertyValue(`--${lane}`);
        const colour = [1, 3, 5].map((i) => parseInt(wanted.slice(i, i + 2), 16));
        let found = 0;
        for (let i = 0; i < data.length; i += 4)
            if (colour.every((value, k) => Math.abs(value - data[i + k]) < 4)) found += 1;
        return found / (data.length / 4);
    }"""
    server.reply(1, tone(3.0), "la", done=False)
    time.sleep(1.6)  # the fake microphone spoke, and so did the reply
    assert live.evaluate(count, "heard") > 0.1
    assert live.evaluate(count, "said") > 0.4
