"""The measuring on the real thing: pocket in this process, and pocket served by a process of its own."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from click.testing import CliRunner

from duologue.audio.files import read_wave, write_wave
from duologue.audio.level import last_audible
from duologue.measure.ask import ask
from duologue.measure.cli import ask as command
from duologue.measure.serving import own_server
from duologue.measure.voices import noise, speak


def test_two_turns_on_virtual_time(tmp_path: Path) -> None:
    """What is heard is what was said, the reply is audible, and no latency is made up."""
    files = []
    for text in ("What time is it?", "What is seven times eight?"):
        files.append(str(tmp_path / f"{len(files)}.wav"))
        write_wave(files[-1], speak(text, "slt").wave)
    out = tmp_path / "reply.wav"
    result = CliRunner().invoke(command, [*files, "--fast", "--json", "--out", str(out)])
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    clock, sum_ = told["turns"]
    assert told["model"] == "pocket"
    assert (clock["heard"], sum_["heard"]) == ("what time is it", "what is seven times eight")
    assert clock["said"].startswith(("It is ", "It's "))
    assert "fifty six" in sum_["said"]
    assert clock["first_response_ms"] is None
    assert last_audible(read_wave(out)) is not None


async def test_noise_is_not_answered() -> None:
    asked = await ask([noise(72_000, -30.0)], fast=True)
    assert not asked.turns[0].answered


async def test_a_served_pocket_in_real_time() -> None:
    """The server is ready when it is said to be, answers in real time, and is gone afterwards."""
    async with own_server(sessions=2) as server:
        asked = await ask([speak("What time is it?", "slt").wave], url=server.url)
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    assert asked.turns[0].heard == "what time is it"
    assert asked.turns[0].latency is not None
    assert 0.05 < asked.turns[0].latency < 3.0  # how quick it is, the benchmark says; machines of tests are shared
    assert 0 < server.ready_after < 60
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=1)
