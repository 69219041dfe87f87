"""One headless Chromium for all; its fake microphone speaks a WAV, from the beginning in every call."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Page, sync_playwright

from .scripted import ScriptedServer

OpenPage: TypeAlias = Callable[..., Page]


@pytest.fixture(scope="package")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake microphone's WAV: after a second, flite asks what time it is."""
    flite = shutil.which("flite")
    assert flite, "flite is missing: `make test` installs it (Debian: apt-get install flite)"
    folder = tmp_path_factory.mktemp("spoken")
    clip = folder / "clip.wav"
    subprocess.run([flite, "-voice", "slt", "-t", "what time is it", str(clip)], check=True)
    samples, rate = soundfile.read(clip)
    wave = np.concatenate([np.zeros(rate), samples, np.zeros(20 * rate)])
    whole = folder / "spoken.wav"
    soundfile.write(whole, wave, rate)
    return whole


@pytest.fixture(scope="package")
def browser(spoken: Path) -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = os.environ.get("DUOLOGUE_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    assert chromium, "no Chromium: `make test` installs it, or set DUOLOGUE_CHROMIUM to its path"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=[
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={spoken}%noloop",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
                "--disable-quic",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """``open_page(url, microphone=True, **context options)``: a page in a fresh context.

    A script error or a breach of the content security policy fails the test.
    """
    contexts = []
    broken: list[str] = []

    def open_page(url: str, *, microphone: bool = True, script: str = "", **options: Any) -> Page:
        permissions = ["microphone"] if microphone else []
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}, "permissions": permissions} | options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("console", lambda line: broken.append(line.text) if "Security Policy" in line.text else None)
        if script:
            page.add_init_script(script)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not broken


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.stop()


@pytest.fixture
def live(server: ScriptedServer, open_page: OpenPage) -> Page:
    """A page in conversation with the scripted server."""
    page = open_page(server.url)
    page.click("#start")
    server.wait_for("input_audio_buffer.append")
    return page
