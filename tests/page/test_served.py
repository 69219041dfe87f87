"""The page and the real server: `duologue serve`, a microphone that speaks, ears that listen."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from .conftest import SPOKEN, OpenPage
from .scripted import until
from .seen import entries, levels, loudness, sounds

TOKEN = "s3cret"


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


def test_a_spoken_conversation_with_an_interruption(served: Served, open_page: OpenPage) -> None:
    page = open_page(served.url)
    call(page)
    stop_at, stop = SPOKEN[-1]
    begin = time.monotonic()

    until(lambda: len(entries(page)) >= 2 and not entries(page)[1]["partial"], "the first answer", 12)
    you, it = entries(page)[:2]
    assert (you["side"], you["partial"]) == ("you", False)
    assert "time" in you["words"], "how well the ear spells is measured elsewhere"
    assert it["side"] == "duologue"
    waited = re.search(r"answered after (\d+) ms", it["notes"])
    assert waited, it["notes"]
    assert int(waited[1]) < 1500
    assert max(loudness(page, 3.0)) > 0.05, "the answer must have sounded"

    until(lambda: len(entries(page)) >= 4 and max(loudness(page, 0.2)) > 0.02, "the story", 12)
    assert "story" in entries(page)[2]["words"]
    until(lambda: len(entries(page)) >= 5 and not entries(page)[4]["partial"], stop, 14)
    time.sleep(0.5)
    assert "interrupted" in entries(page)[3]["notes"]
    onset = sounds(levels(page, "heard", 25.0), 0.02)[2][0]
    silent = next(end for start, end in sounds(levels(page, "said", 25.0), 0.003) if start < onset < end)
    assert silent - onset < 0.4, "it falls silent while the interrupter still speaks"
    assert time.monotonic() - begin < stop_at + 6


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

    served.kill()
    expect(page.locator("#problems")).to_contain_text("The server is gone. Trying again in")
    served.start()
    expect(page.locator("#problems")).not_to_contain_text("The server is gone", timeout=10_000)
    page.fill("#text", "hello")
    page.press("#text", "Enter")
    until(lambda: len(entries(page)) == 4 and not entries(page)[3]["partial"], "the next answer")
