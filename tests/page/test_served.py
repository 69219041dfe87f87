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
from .seen import entries, levels, loudness

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
    (_, question), (_, wish), (stop_at, stop) = SPOKEN
    begin = time.monotonic()

    until(lambda: len(entries(page)) >= 2 and not entries(page)[1]["partial"], "the first answer", 12)
    you, it = entries(page)[:2]
    assert (you["side"], you["words"], you["partial"]) == ("you", question, False)
    assert it["side"] == "duologue"
    waited = re.search(r"answered after (\d+) ms", it["notes"])
    assert waited, it["notes"]
    assert int(waited[1]) < 1500
    assert max(loudness(page, 3.0)) > 0.05, "the answer must have sounded"

    until(lambda: len(entries(page)) >= 4 and max(loudness(page, 0.2)) > 0.02, "the story", 12)
    assert entries(page)[2]["words"] == wish
    until(lambda: len(entries(page)) >= 5 and not entries(page)[4]["partial"], stop, 14)
    time.sleep(0.5)
    assert "interrupted" in entries(page)[3]["notes"]
    heard, said = levels(page, "heard", 12.0), levels(page, "said", 12.0)
    story = next(at for at, peak in said if peak > 0.02)
    onset = next(at for at, peak in heard if peak > 0.05 and at > story)
    silent = max(at for at, peak in said if peak > 0.003 and at < onset + 2.5)
    assert silent - onset < 0.4, "it must fall silent soon after the interrupter begins"
    assert time.monotonic() - begin < stop_at + 6


def test_a_typed_turn_is_answered_aloud(served: Served, open_page: OpenPage) -> None:
    page = open_page(served.url, microphone=False)
    call(page)
    page.fill("#text", "what is twelve times twelve")
    page.press("#text", "Enter")
    until(lambda: len(entries(page)) == 2 and not entries(page)[1]["partial"], "the answer")
    assert re.search("144|hundred and forty.four", entries(page)[1]["words"])
    assert max(loudness(page, 3.0)) > 0.05


def test_full_house_and_then_a_free_place(served: Served, open_page: OpenPage) -> None:
    first = open_page(served.url, microphone=False)
    call(first)
    second = open_page(served.url, microphone=False)
    second.click("#start")
    second.fill("#token", TOKEN)
    second.press("#token", "Enter")
    expect(second.locator("#problems")).to_contain_text("Trying again in 3 s.")
    first.click("#stop")
    expect(second.locator("#model")).to_have_text("pocket")


def test_killed_and_restarted(served: Served, open_page: OpenPage) -> None:
    page = open_page(served.url, microphone=False)
    call(page)
    page.fill("#text", "my name is Ada")
    page.press("#text", "Enter")
    until(lambda: len(entries(page)) == 2 and not entries(page)[1]["partial"], "the answer")
    served.kill()
    expect(page.locator("#problems")).to_contain_text("The server is gone. Trying again in")
    served.start()
    page.locator("#problems").get_by_text("gone").wait_for(state="detached", timeout=10_000)
    page.fill("#text", "hello")
    page.press("#text", "Enter")
    until(lambda: len(entries(page)) == 4 and not entries(page)[3]["partial"], "the next answer")
