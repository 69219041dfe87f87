"""``duologue ask``: what it prints, writes and exits with."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from duologue.audio import RATE
from duologue.audio.files import read_wave, write_wave
from duologue.measure import opening
from duologue.measure.cli import ask
from duologue.measure.voices import speak
from measure.parrot import Parrot
from measure.scripted import ENDPOINT, Scripted, ScriptedLine, tone


@pytest.fixture
def question(tmp_path: Path) -> Path:
    path = tmp_path / "question.wav"
    write_wave(path, tone(0.6))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(ask, [str(argument) for argument in arguments])


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """--url leads to a scripted server on virtual time; the fixture's dict says what it does."""
    script: dict[str, Any] = {}

    @asynccontextmanager
    async def dial(url: str, **options: Any) -> AsyncIterator[ScriptedLine]:
        script["dialled"] = (url, options)
        yield ScriptedLine(Scripted(**{key: script[key] for key in script if key != "dialled"}))

    monkeypatch.setattr(opening, "dial", dial)
    return script


def test_in_words(scripted: dict[str, Any], question: Path) -> None:
    result = run(question, question, "--url", "http://host")
    assert result.exit_code == 0
    assert result.stdout.count("  heard  what time is it\n  said   it is noon\n") == 2
    assert "first response after 5" in result.stdout  # 500 ms and up to one frame
    assert "reply of 0.5 s" in result.stdout
    assert result.stderr == ""


def test_as_json(scripted: dict[str, Any], question: Path) -> None:
    result = run(question, "--url", "http://host", "--token", "secret", "--model", "moshi", "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    (turn,) = told["turns"]
    latency = turn.pop("first_response_ms")
    assert told["model"] == "scripted"
    assert turn == {
        "heard": "what time is it",
        "said": "it is noon",
        "answered": True,
        "reply_seconds": 0.5,
    }
    assert latency == pytest.approx(1000 * (ENDPOINT + 0.3), abs=21)
    assert scripted["dialled"] == ("http://host", {"model": "moshi", "token": "secret"})


def test_silence_is_an_answer_too(scripted: dict[str, Any], question: Path, tmp_path: Path) -> None:
    scripted["does"] = "ignore"
    out = tmp_path / "reply.wav"
    result = run(question, "--url", "http://host", "--json", "--out", out)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["turns"] == [
        {
            "heard": "what time is it",
            "said": "",
            "first_response_ms": None,
            "answered": False,
            "reply_seconds": 0.0,
        }
    ]
    assert not out.exists()
    assert "no reply was heard" in result.stderr
    assert "silence was the answer" in run(question, "--url", "http://host").stdout


def test_the_replies_audio_is_written(scripted: dict[str, Any], question: Path, tmp_path: Path) -> None:
    out = tmp_path / "reply.wav"
    assert run(question, question, "--url", "http://host", "--out", out).exit_code == 0
    expected = np.concatenate([tone(0.5), np.zeros(RATE // 2, np.float32), tone(0.5)])
    assert np.abs(read_wave(out) - expected).max() < 1e-3


def test_a_failure_is_told_and_the_status_says_so(scripted: dict[str, Any], question: Path) -> None:
    scripted["does"] = "fail"
    result = run(question, "--url", "http://host", "--json")
    assert result.exit_code == 1
    assert result.stderr == "turn 1: the mouth broke\n"
    assert json.loads(result.stdout)["turns"][0]["answered"] is False


def test_no_server(question: Path) -> None:
    result = run(question, "--url", "http://127.0.0.1:9", "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "is the server running there?" in result.stderr


def test_files_that_cannot_be_read_are_told_before_anything_starts(question: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.wav"
    cut.write_bytes(question.read_bytes()[:5000])
    notes = tmp_path / "notes.wav"
    notes.write_text("not audio at all\n" * 100)
    for path, cause in (
        (cut, "cut off"),
        (notes, "not an audio file"),
        (tmp_path / "absent.wav", "No such file"),
        (tmp_path, "directory"),
    ):
        result = run(question, path, "--json")
        assert result.exit_code == 2
        assert result.stdout == ""
        assert str(path) in result.stderr
        assert cause in result.stderr


def test_usage(question: Path, tmp_path: Path) -> None:
    assert run().exit_code == 2
    fast = run(question, "--fast", "--url", "http://host")
    assert fast.exit_code == 2
    assert "leave --url out" in fast.stderr
    unknown = run(question, "--model", "eliza")
    assert unknown.exit_code == 2
    assert "eliza" in unknown.stderr
    assert "pocket" in unknown.stderr


def test_a_reply_that_cannot_be_written(scripted: dict[str, Any], question: Path, tmp_path: Path) -> None:
    result = run(question, "--url", "http://host", "--out", tmp_path / "absent" / "reply.wav")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
    assert "it is noon" in result.stdout  # the conversation is not lost


def test_a_model_that_cannot_start_says_why(question: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Parrot):
        async def start(self) -> None:
            raise OSError("there is no synthesizer; install flite")

    monkeypatch.setattr(opening, "load", lambda name, **_: Broken())
    result = run(question, "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "Error: the model 'parrot' cannot start: there is no synthesizer; install flite\n"


def test_in_process_on_virtual_time(question: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No latency is told then, for there is none."""
    monkeypatch.setattr(opening, "load", lambda name, **_: Parrot(says=3.0))
    spoken = tmp_path / "hello.wav"
    write_wave(spoken, speak("Hello, how are you?", "slt").wave)
    result = run(spoken, "--json", "--fast")
    (turn,) = json.loads(result.stdout)["turns"]
    assert turn == {
        "heard": "hello",
        "said": "hello",
        "first_response_ms": None,
        "answered": True,
        "reply_seconds": 3.0,
    }
    assert "first response" not in run(spoken, "--fast").stdout
