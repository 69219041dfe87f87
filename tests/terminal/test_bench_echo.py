"""``duologue bench echo``, a short one: pocket does not stop itself, and does stop for somebody else."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner

from duologue.measure import echo as measure
from duologue.measure.cli import bench
from duologue.measure.echo import Alone, Echo, Level, Stop, Stops, echo


async def test_pocket_is_stopped_by_others_and_not_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LESSON", "Count to three.")
    monkeypatch.setattr(measure, "WATCHED", 1.5)
    monkeypatch.setattr(measure, "VOICES", ("kal16",))
    passed: list[float] = []
    run = await echo(minutes=0.1, trials=1, at=(-6.0,), told=passed.append)
    (level,) = run.levels
    assert level.alone.minutes == 0.1
    assert level.alone.spoken_s > 3
    assert (level.alone.false_stops, level.alone.false_turns, level.alone.false_pauses) == (0, 0, 0)
    for stops in (level.first, level.later):
        assert (stops.trials, stops.obeyed) == (1, 1)
        assert stops.each[0].silent_ms <= 400
    assert sum(passed) > 60 * 0.1


async def test_without_a_canceller_it_stops_itself() -> None:
    run = await echo(minutes=0.25, trials=0, at=(0.0,), cancel=False)
    assert run.levels[0].alone.false_stops > 0


def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Stop("rms", 2000, 250, 240, "stop", True)
    alone = Alone(minutes=1.0, spoken_s=48.2, replies=2, false_stops=0, false_turns=1, false_pauses=2)
    levels = (Level(-6.0, alone, Stops.of([stop, stop]), Stops.of([])),)

    async def measured(**options: object) -> Echo:
        assert (options["minutes"], options["trials"], options["seed"], options["model"]) == (1.0, 2, 3, "pocket")
        return Echo("pocket", True, levels)

    monkeypatch.setattr(measure, "echo", measured)
    arguments = ["echo", "--minutes", "1", "--trials", "2", "--seed", "3"]
    told = CliRunner().invoke(bench, arguments)
    assert told.exit_code == 0, told.output
    assert "echo at -6 dB, 1 min, 48 s of them speech" in told.stdout
    assert "false turns       1" in told.stdout
    assert '"stop", first story  obeyed 2 of 2, silent p50 250 ms' in told.stdout
    assert '"stop", later story  obeyed 0 of 0, silent no figure' in told.stdout
    as_json = CliRunner().invoke(bench, [*arguments, "--json"])
    assert json.loads(as_json.stdout)["levels"][0]["first"]["each"][0]["heard"] == "stop"


def test_without_livekit_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "livekit", None)
    told = CliRunner().invoke(bench, ["echo", "--minutes", "0.1", "--trials", "0"])
    assert told.exit_code == 1
    assert 'pip install "duologue[terminal]"' in told.stderr
