"""``duologue talk --terminal``, from the options to a spoken exchange in a simulated room."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from duologue import cli, logs
from duologue.backends import ModelOptions
from duologue.ears import echo
from duologue.measure import opening
from duologue.measure.inprocess import in_process
from duologue.measure.lines import LineError
from duologue.measure.voices import noise, speak
from duologue.session.options import SessionOptions
from duologue.terminal import conversation, soundcard
from duologue.terminal.conversation import converse
from duologue.terminal.device import DeviceError, Exchange
from duologue.terminal.room import Room
from measure.parrot import Parrot


class LiveRoom(Room):
    """A room in which real time passes."""

    def start(self, exchange: Exchange) -> None:
        super().start(exchange)
        self.living = asyncio.create_task(self._live())

    def stop(self) -> None:
        self.living.cancel()
        super().stop()

    async def _live(self) -> None:
        began = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(max(0.0, began + self.position / 24_000 - asyncio.get_running_loop().time()))
            self.step()


class Paper(io.StringIO):
    """Something to write on that tells when the other side's words are there."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = asyncio.Event()

    def write(self, text: str) -> int:
        if text.startswith("duologue"):
            self.answered.set()
        return super().write(text)


async def test_a_spoken_exchange() -> None:
    out = Paper()
    room = LiveRoom(echo=-6.0, noise=noise(24_000, -65))
    async with in_process(Parrot()) as line:
        talking = asyncio.create_task(converse(line, room, out))
        await asyncio.sleep(0.3)
        room.say(speak("Hello, how are you?", "rms").wave)
        async with asyncio.timeout(15):
            await out.answered.wait()
        talking.cancel()
        with suppress(asyncio.CancelledError):
            await talking
    title, you, parrot = out.getvalue().splitlines()
    assert "a simulated room" in title and "Ctrl+C" in title
    assert you == "you       hello"
    assert parrot.startswith("duologue  hello   (") and parrot.endswith(" ms)")
    assert np.abs(room.said).max() > 0.1


async def test_without_a_canceller_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "livekit", None)
    out = io.StringIO()
    room = LiveRoom(echo=None, noise=np.zeros(1, np.float32))
    room.glitches = 3
    async with in_process(Parrot()) as line:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await converse(line, room, out)
    assert echo.REMEDY in out.getvalue()
    assert "headphones" in out.getvalue()
    assert "lost 3 times" in out.getvalue()


# -- the command ------------------------------------------------------------------------------------------


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """With what a line is opened and a conversation held; nothing is."""
    seen: dict[str, Any] = {}

    @asynccontextmanager
    async def open_line(**options: Any) -> AsyncIterator[str]:
        seen.update(options)
        yield "the line"

    async def talk(line: str, device: str, out: object) -> None:
        seen.update(line=line, device=device)
        raise seen.get("raises", KeyboardInterrupt())

    monkeypatch.setattr(opening, "open_line", open_line)
    monkeypatch.setattr(conversation, "converse", talk)
    monkeypatch.setattr(soundcard, "SoundCard", lambda: "the card")
    monkeypatch.setattr(logs, "configure", lambda level, as_json: seen.update(level=level))
    monkeypatch.chdir(tmp_path)
    return seen


def call(*arguments: str, **environment: str | None) -> Result:
    return CliRunner().invoke(cli.main, ["talk", *arguments], env={"DUOLOGUE_TOKEN": None, **environment})


def test_it_talks_in_this_process(told: dict[str, Any]) -> None:
    result = call("--terminal", "--lead-ms", "80", "--log-level", "warning")
    assert result.exit_code == 0, result.output  # Ctrl+C is the way to end it
    assert told.pop("options") == ModelOptions(sessions=1)
    assert told == {
        "model": None, "url": None, "token": None, "session": SessionOptions(lead_ms=80), "level": "warning",
        "line": "the line", "device": "the card",
    }  # fmt: skip


def test_it_talks_with_a_server(told: dict[str, Any]) -> None:
    result = call("--terminal", "--url", "http://host", "--token", "secret", "--model", "moshi")
    assert result.exit_code == 0, result.output
    assert (told["url"], told["token"], told["model"]) == ("http://host", "secret", "moshi")


@pytest.mark.parametrize("error", [LineError("the server closed"), DeviceError("no microphone")])
def test_what_goes_wrong_is_one_sentence(told: dict[str, Any], error: Exception) -> None:
    told["raises"] = error
    result = call("--terminal")
    assert result.exit_code == 1
    assert result.output == f"Error: {error}\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--url", "http://host"], "--url goes with --terminal"),
        (["--terminal", "--port", "1"], "--port is about serving"),
        (["--terminal", "--allow-origin", "*"], "--allow-origin is about serving"),
        (["--terminal", "--url", "http://host", "--lead-ms", "80"], "--lead-ms is about serving"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    told: dict[str, Any], arguments: list[str], complaint: str
) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert complaint in " ".join(result.output.split())
    assert not told


def test_what_a_file_says_to_all_commands_is_not_refused(told: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "duologue.toml").write_text('port = 1001\nmodel = "moshi"')
    result = call("--terminal")
    assert result.exit_code == 0, result.output
    assert told["model"] == "moshi"
