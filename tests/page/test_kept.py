"""What a person may keep of a conversation, and the pictures they show in it."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from .conftest import OpenPage
from .scripted import ScriptedServer, tone, until
from .seen import entries, levels, sounds

RED_DISC = """<svg xmlns="http://www.w3.org/2000/svg" width="1600" height="800">
    <circle cx="800" cy="400" r="300" fill="#ff0000"/></svg>"""


def test_both_channels_and_the_words_can_be_kept(
    live: Page, server: ScriptedServer, spoken: Path, tmp_path: Path
) -> None:
    until(lambda: max(loudness_heard(live), default=0) > 0.1, "the fake microphone's first words")
    server.emit("duologue.floor", state="hearing", audio_ms=1000)
    server.emit("input_audio_buffer.speech_started", item_id="turn_1", audio_start_ms=700)
    words = {"item_id": "turn_1", "content_index": 0, "transcript": "what time is it"}
    server.emit("conversation.item.input_audio_transcription.completed", **words)
    time.sleep(1.0)
    server.emit("duologue.latency", response_id="resp_1", ms=312.4)
    server.reply(1, tone(0.5), "It is noon.")
    time.sleep(1.2)
    live.fill("#text", "thanks")
    live.press("#text", "Enter")
    server.wait_for("response.create")
    seen = {lane: sounds(levels(live, lane, 10.0), 0.02)[0] for lane in ("heard", "said")}
    live.click("#stop")

    with live.expect_download() as download:
        live.click("#save-sound")
    assert download.value.suggested_filename.startswith("duologue-20")
    assert download.value.suggested_filename.endswith(".wav")
    download.value.save_as(tmp_path / "kept.wav")
    wave, rate = soundfile.read(tmp_path / "kept.wav")
    assert rate == 24000
    assert wave.shape[1] == 2
    begins, ends = zip(*(stretch(wave[:, side], rate) for side in (0, 1)), strict=True)
    asked = stretch(*soundfile.read(spoken))[0]
    assert abs(begins[0] - asked) < 0.15, "you on the left, from when the microphone was opened"
    assert abs(ends[1] - begins[1] - 0.5) < 0.02, "duologue on the right, whole"
    assert abs((begins[1] - begins[0]) - (seen["said"][0] - seen["heard"][0])) < 0.06, "on one timeline"
    tone_kept = wave[int((begins[1] + 0.1) * rate) :][: rate // 4, 1]
    spectrum = np.abs(np.fft.rfft(tone_kept))
    assert abs(int(np.argmax(spectrum)) * 4 - 440) <= 4
    assert abs(np.abs(tone_kept).max() - 0.5) < 0.01

    with live.expect_download() as download:
        live.click("#save-words")
    kept = json.loads(Path(download.value.path()).read_text())
    assert kept["model"] == "scripted"
    assert [(t["side"], t["text"], t["answered_after_ms"]) for t in kept["turns"]] == [
        ("you", "what time is it", None),
        ("duologue", "It is noon.", 312),
        ("you", "thanks", None),
    ]
    you, it, typed = (t["at_s"] for t in kept["turns"])
    assert abs(it - begins[1]) < 0.06
    assert abs(you - 1.0) < 0.06, "the server counted 700 ms and reaches back 300"
    assert typed is None, "it has no sound"


def loudness_heard(page: Page) -> list[float]:
    return [peak for _, peak in levels(page, "heard", 1.0)]


def stretch(channel: NDArray[np.float64], rate: int) -> tuple[float, float]:
    """(begin, end) in seconds of the first sound, gaps of up to 0.25 s included."""
    hop = rate // 100
    peaks = np.abs(channel[: len(channel) // hop * hop]).reshape(-1, hop).max(axis=1)
    return sounds([(i / 100, float(peak)) for i, peak in enumerate(peaks)], 0.02)[0]


def test_pictures_from_a_file_and_from_the_camera(server: ScriptedServer, open_page: OpenPage) -> None:
    page = open_page(server.url, permissions=["microphone", "camera"])
    expect(page.locator("#picture")).to_be_disabled()
    page.click("#start")
    server.wait_for("input_audio_buffer.append")
    disc = {"name": "disc.svg", "mimeType": "image/svg+xml", "buffer": RED_DISC.encode()}
    with page.expect_file_chooser() as chooser:
        page.click("#picture")
    chooser.value.set_files(disc)  # type: ignore[arg-type]
    item = server.wait_for("conversation.item.create")["item"]
    assert (item["type"], item["role"]) == ("message", "user")
    pixels = opened(page, item["content"])
    assert pixels["size"] == [768, 384], "small enough to be sent while sound waits"
    assert near(pixels["middle"], (255, 0, 0))
    assert near(pixels["corner"], (255, 255, 255)), "what was transparent is paper, not night"
    assert entries(page)[0]["notes"] == "ask about it"
    expect(page.locator("#transcript img")).to_have_attribute("alt", "The picture you showed")
    assert page.locator("#transcript img").evaluate("image => image.naturalWidth") == 768
    assert not [e for e in server.received if e["type"] == "response.create"], "nothing was asked yet"

    before = len(server.received)
    page.click("#snapshot")
    expect(page.locator("#viewfinder")).to_be_visible()
    page.click("#take")
    item = server.wait_for("conversation.item.create", after=before)["item"]
    red, green, blue = opened(page, item["content"])["middle"]
    assert green > max(red, blue) + 60, "Chromium's fake camera shows green"
    expect(page.locator("#camera")).to_be_hidden()
    expect(page.locator("#transcript img")).to_have_count(2)
    page.wait_for_function('document.getElementById("viewfinder").srcObject === null')  # the camera is off

    page.set_input_files("#picture-file", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"})
    expect(page.locator("#problems")).to_contain_text("notes.txt is no picture that this browser can read")


def opened(page: Page, content: list[dict[str, str]]) -> dict[str, list[int]]:
    """The size of a message's one picture and two of its pixels."""
    (part,) = content
    assert part["type"] == "input_image"
    head, _, data = part["image_url"].partition(",")
    assert head == "data:image/jpeg;base64"
    assert base64.b64decode(data)[:2] == b"\xff\xd8"
    found: dict[str, list[int]] = page.evaluate(
        """async (url) => {
            const image = new Image();
            image.src = url;
            await image.decode();
            const pen = new OffscreenCanvas(image.width, image.height).getContext("2d");
            pen.drawImage(image, 0, 0);
            const pixel = (x, y) => [...pen.getImageData(x, y, 1, 1).data].slice(0, 3);
            const middle = pixel(image.width >> 1, image.height >> 1);
            return { size: [image.width, image.height], middle, corner: pixel(2, 2) };
        }""",
        part["image_url"],
    )
    return found


def near(colour: list[int], wanted: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 12 for one, other in zip(colour, wanted, strict=True))


def test_a_camera_that_may_not_be_used(live: Page) -> None:
    live.click("#snapshot")
    expect(live.locator("#problems")).to_contain_text("The browser may not use the camera")
    expect(live.locator("#snapshot")).to_be_enabled()
