"""The page and the real server: `duologue serve`, a microphone that speaks, ears that listen."""

from __future__ import annotations

import base64
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import duologue.server

from .conftest import OpenPage
from .scripted import until
from .seen import entries, levels, loudness, marks, sounds

TOKEN = "s3cret"

PICTURE = Path(duologue.server.__file__).parent / "page" / "icon.svg"

INTERRUPTERS = (("slt", "stop"), ("rms", "wait a moment"), ("awb", "stop it please"), ("kal16", "hold on"))
"""(flite's voice, words) of people who want the floor."""

SPEAKING_MICROPHONE = """
    let context, wire;
    navigator.mediaDevices.getUserMedia = async () => {
        context = new AudioContext();
        wire = context.createMediaStreamDestination();
        return wire.stream;
    };
    window.speak = async (clip) => {
        const bytes = Uint8Array.from(atob(clip), (letter) => letter.charCodeAt(0));
        const buffer = await context.decodeAudioData(bytes.buffer);
        const voice = new AudioBufferSourceNode(context, { buffer });
        voice.connect(wire);
        voice.start();
    };
"""
"""A microphone that speaks when it is told to."""


class Served:
    """`duologue serve` with a token and one place, on a port of its own."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.start()

    def start(self) -> None:
        options = ["--port", str(self.port), "--token", TOKEN, "--sessions", "1"]
        self._process = subprocess.Popen([sys.executable, "-m", "duologue", "serve", *options])
        until(self._healthy, "the server to be ready", seconds=20)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _healthy(self) -> bool:
        assert self._process.poll() is None, "the server has ended"
        try:
            with urllib.request.urlopen(f"{self.url}healthz", timeout=1):
                return True
        except urllib.error.URLError:
            return False


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.kill()


def call(page: Page) -> None:
    """Start, and show the token."""
    page.click("#start")
    page.fill("#token", TOKEN)
    page.press("#token", "Enter")
    expect(page.locator("#model")).to_have_text("pocket")


def test_a_spoken_question_and_its_answer(served: Served, open_page: OpenPage) -> None:
    page = open_page(served.url)
    call(page)
    until(lambda: len(entries(page)) >= 2 and not entries(page)[1]["partial"], "the answer", 12)
    you, it = entries(page)[:2]
    assert (you["side"], you["partial"]) == ("you", False)
    assert "time" in you["words"], "how well the ear spells is measured elsewhere"
    assert it["side"] == "duologue"
    waited = re.search(r"answered after (\d+) ms", it["notes"])
    assert waited, it["notes"]
    assert int(waited[1]) < 1500
    expect(page.locator("#latency span")).to_have_text(f"answers after {waited[1]} ms (median of 1)")
    assert max(loudness(page, 3.0)) > 0.05, "the answer must have sounded"


def test_an_interrupted_story_falls_silent_within_250_ms(served: Served, open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(served.url, script=SPEAKING_MICROPHONE)
    call(page)
    waited = []
    for voice, words in INTERRUPTERS:
        clip = tmp_path / "clip.wav"
        subprocess.run(["flite", "-voice", voice, "-t", words, str(clip)], check=True)
        waited.append(interrupt_a_story(page, clip.read_bytes()))
    *good, worst = sorted(waited)
    assert max(good) < 0.25, waited
    assert worst < 0.4, waited  # the browser, its fake microphone, ears and mouth share a machine that may be busy
    assert [mark["kind"] for mark in marks(page) if mark["kind"] in ("cut", "barge-in")].count("cut") >= 2
    assert "barge-in" in {mark["kind"] for mark in marks(page)}


def interrupt_a_story(page: Page, clip: bytes) -> float:
    """Seconds from when the interrupter is heard until the story is silent."""
    before = len(entries(page))
    page.fill("#text", "tell me a story")
    page.press("#text", "Enter")
    until(lambda: len(loud := loudness(page, 0.5)) > 20 and min(loud[-10:]) > 0.01, "the story in full flow")
    page.evaluate("clip => speak(clip)", base64.b64encode(clip).decode())
    until(lambda: "interrupted" in entries(page)[before + 1]["notes"], "the interrupter to be taken up")
    onset = sounds(levels(page, "heard", 8.0), 0.02)[-1][0]
    # Whatever comes within half a second of the onset is still the story.
    story = [at for at, peak in levels(page, "said", 8.0) if onset < at < onset + 0.5 and peak > 0.003]
    until(lambda: entries(page)[-1]["side"] == "duologue" and not entries(page)[-1]["partial"], "the answer to it")
    expect(page.locator("#interrupt")).to_be_disabled()  # the answer has been spoken
    return max(story, default=onset) - onset


def test_full_house_and_then_a_free_place(served: Served, open_page: OpenPage) -> None:
    first = open_page(served.url, microphone=False)
    call(first)
    second = open_page(served.url, microphone=False)
    second.click("#start")
    second.fill("#token", TOKEN)
    second.press("#token", "Enter")
    expect(second.locator("#problems")).to_contain_text(re.compile(r"All 1 sessions .* Trying again in 3 s\."))
    first.click("#stop")
    expect(second.locator("#model")).to_have_text("pocket")


def test_typed_turns_before_and_after_the_server_was_killed(served: Served, open_page: OpenPage) -> None:
    page = open_page(served.url, microphone=False)
    call(page)
    page.fill("#text", "what is twelve times twelve")
    page.press("#text", "Enter")
    until(lambda: len(entries(page)) == 2 and not entries(page)[1]["partial"], "the answer")
    assert re.search("144|hundred and forty.four", entries(page)[1]["words"])
    assert max(loudness(page, 3.0)) > 0.05, "it is spoken, too"
    page.set_input_files("#picture-file", PICTURE)
    until(lambda: len(entries(page)) == 3, "the picture")

    page.fill("#text", "hello")
    page.press("#text", "Enter")
    until(lambda: len(entries(page)) == 5 and not entries(page)[4]["partial"], "an answer after the picture")
    expect(page.locator("#problems p")).to_have_count(1)  # it says that there is no microphone

    served.kill()
    expect(page.locator("#problems")).to_contain_text("The server is gone. Trying again in")
    served.start()
    expect(page.locator("#problems")).not_to_contain_text("The server is gone", timeout=10_000)
    page.fill("#text", "hello")
    page.press("#text", "Enter")
    until(lambda: len(entries(page)) == 7 and not entries(page)[6]["partial"], "the next answer")
    expect(page.locator("#problems p")).to_have_count(1)
