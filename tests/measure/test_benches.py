"""The benchmarks measure what a server with known figures has; and figures are what they say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from click.testing import CliRunner, Result
from starlette.requests import Request

from duologue.engine.messages import Pulse
from duologue.measure import bargein, latency, speculation
from duologue.measure.cli import bench
from duologue.measure.figures import Spread
from duologue.measure.lines import LineError
from duologue.server.metrics import Metrics
from measure.scripted import ENDPOINT, Scripted, ScriptedLine

FRAME = 20


def scripted(monkeypatch: pytest.MonkeyPatch, **script: Any) -> None:
    """Calls go to a scripted server on virtual time."""

    @asynccontextmanager
    async def dial(url: str, **options: Any) -> AsyncIterator[ScriptedLine]:
        yield ScriptedLine(Scripted(**script))

    for module in (latency, bargein):
        monkeypatch.setattr(module, "dial", dial)


def test_percentiles() -> None:
    assert Spread.of([]) is None
    assert Spread.of([0.1]) == Spread(1, 100, 100, 100, 100)
    spread = Spread.of([0.001 * n for n in range(101)])
    assert spread == Spread(101, 50, 95, 99, 100)
    assert "p95 95 ms" in str(spread)


async def test_latency_is_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, delay=0.25)
    told: list[latency.Answer] = []
    run = await latency.latency("", questions=10, sessions=2, voices=("slt", "espeak:en-us"), told=told.append)
    assert (run.model, run.sessions, run.asked, run.unanswered) == ("scripted", 2, 10, 0)
    assert len(told) == 10
    assert {answer.voice for answer in run.answers} == {"slt", "espeak:en-us"}
    assert run.first_response is not None
    # Where flite's last word ends and where the scripted ear hears no more differ by a weak consonant.
    assert abs(run.first_response.p50 - 1000 * (ENDPOINT + 0.25)) <= 2 * FRAME
    assert run.to_json()["first_response"]["p95"] == run.first_response.p95


async def test_latency_counts_what_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, does="ignore")
    run = await latency.latency("", questions=3, voices=("slt",))
    assert (run.asked, run.unanswered, run.first_response, run.voices) == (3, 3, None, {"slt": None})


def test_every_voice_puts_every_question() -> None:
    many = len(latency.QUESTIONS) * 2
    put = [(s.voice, s.text) for s in latency._questions(("slt", "rms"), 0, many)]
    assert len(set(put)) == many


async def test_barge_in_is_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent after the onset plus what it takes to be obeyed; what a lead has sent already is flushed."""
    scripted(monkeypatch, reply=20.0, lead=1.0, obeys_after=0.2)
    run = await bargein.barge_in("", trials=6, voices=("slt", "rms"))
    assert (run.model, run.trials, run.obeyed) == ("scripted", 6, 6)
    assert run.silent is not None
    assert 200 <= run.silent.p50 <= 200 + 3 * FRAME
    assert {trial.words for trial in run.each} == set(bargein.INTERRUPTERS)
    assert all(500 <= trial.after_ms <= 5000 + FRAME for trial in run.each)


async def test_disobedience_does_not_improve_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, reply=20.0, obeys_after=None)
    run = await bargein.barge_in("", trials=2, voices=("slt",))
    assert run.obeyed == 0
    assert run.silent is not None
    assert run.silent.p50 == pytest.approx(1000 * bargein.WATCHED, abs=FRAME)


async def test_no_story_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, does="fail")
    with pytest.raises(LineError, match="no story"):
        await bargein.barge_in("", trials=1)


class Speculating(Scripted):
    """Begins late where it shall not speculate."""

    def receive(self, event: dict[str, Any], now: float) -> None:
        wanted = event.get("session", {}).get("duologue", {}).get("speculate")
        self.delay = self.delay if wanted is None else 0.1 if wanted else 0.4
        super().receive(event, now)


async def test_the_gain_of_speculation_is_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def dial(url: str, **options: Any) -> AsyncIterator[ScriptedLine]:
        yield ScriptedLine(Speculating())

    lost = iter([(2, 1.0), (2, 1.0), (2, 1.0), (5, 1.75)])

    async def figures(url: str, token: str | None) -> tuple[int, float]:
        return next(lost)

    monkeypatch.setattr(speculation, "dial", dial)
    monkeypatch.setattr(speculation, "_lost", figures)
    told: list[None] = []
    run = await speculation.speculation("", questions=3, told=lambda: told.append(None))
    straight, paused = run.kinds
    assert (run.model, len(told), straight.asked, straight.taken_back) == ("scripted", 12, 3, 0)
    assert straight.at_pause.first_response is not None and straight.at_endpoint.first_response is not None
    assert abs(straight.at_pause.first_response.p50 - 1000 * (ENDPOINT + 0.1)) <= 2 * FRAME
    assert straight.gain_ms == pytest.approx(300, abs=FRAME)
    assert (paused.taken_back, paused.lost_s) == (3, 0.75)
    assert paused.at_pause.cut_in == 3, "a server that takes every pause for the end cuts in"


async def test_what_was_taken_back_is_read_off_the_servers_metrics() -> None:
    metrics = Metrics("scripted")
    assert await _read(metrics) is None, "no engine"
    metrics.watch(lambda: Pulse(1, 0, 0.0, 0.0, 1, taken_back=3, lost_s=1.5))
    assert await _read(metrics) == (3, 1.5)
    assert await speculation._lost("http://127.0.0.1:9", None) is None


async def _read(metrics: Metrics) -> tuple[int, float] | None:
    page = (await metrics.page(Request({"type": "http"}))).body

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + bytes(page))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        return await speculation._lost(f"http://127.0.0.1:{port}", None)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(bench, arguments)


def test_commands_print_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, reply=10.0, lead=1.0)
    result = invoke("bargein", "--url", "http://host", "--trials", "3", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert (told["trials"], told["obeyed"], len(told["each"])) == (3, 3, 3)
    scripted(monkeypatch)
    told = json.loads(invoke("latency", "--url", "http://host", "--questions", "3", "--json").stdout)
    assert (told["asked"], told["first_response"]["count"], len(told["answers"])) == (3, 3, 3)


def test_commands_print_words(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch)
    result = invoke("latency", "--url", "http://host", "--sessions", "2", "--questions", "4")
    assert result.exit_code == 0
    assert "scripted: first response, 2 at once" in result.stdout
    assert "asked 4, unanswered 0, cut in 0" in result.stdout
    scripted(monkeypatch, reply=10.0, obeys_after=None)
    result = invoke("bargein", "--url", "http://host", "--trials", "1")
    assert "interrupted 1, obeyed 0" in result.stdout
    scripted(monkeypatch, does="ignore")
    result = invoke("latency", "--url", "http://host", "--questions", "1")
    assert "no figure" in result.stdout
    assert "unanswered 1" in result.stdout


def test_several_callers_fail_for_one_reason() -> None:
    result = invoke("latency", "--url", "http://127.0.0.1:9", "--sessions", "3", "--questions", "3")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("cannot connect") == 1


def test_a_server_that_does_not_start_says_why() -> None:
    result = invoke("footprint", "--model", "eliza", "--sessions", "2", "--talking", "1", "--seconds", "1")
    assert result.exit_code == 1
    assert "duologue serve stopped at once" in result.stderr
    assert "eliza" in result.stderr
    assert invoke("footprint", "--sessions", "2", "--talking", "3").exit_code == 2
