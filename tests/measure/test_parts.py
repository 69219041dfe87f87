"""``duologue bench parts``, a short one."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner

from duologue.measure import parts
from duologue.measure.cli import bench


def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "SPEECH", (1, 64, 4, 96))
    monkeypatch.setattr(parts, "FRAMES", 8)
    monkeypatch.setattr(parts, "UNITS", 20)
    told = CliRunner().invoke(bench, ["parts", "--tokens", "12", "--json"])
    assert told.exit_code == 0, told.output
    run = json.loads(told.stdout)
    assert run["tokens"] == 12
    assert run["times_faster"] == pytest.approx(run["recomputed_ms"] / run["incremental_ms"])
    assert 0 < run["snac"] < 20
    assert 0 < run["units"] < 20
    words = CliRunner().invoke(bench, ["parts", "--tokens", "2"])
    assert "for a second of speech" in words.stdout


def test_without_transformers_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    told = CliRunner().invoke(bench, ["decoding"])
    assert told.exit_code == 1
    assert "pip install transformers" in told.output
