"""``duologue bench understanding``: what it prints of what was measured."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from duologue.ears.recognizer import EarError
from duologue.measure import understanding as measuring
from duologue.measure.cli import bench
from duologue.measure.understanding import Outcome, Row, Understanding


def outcome(said: str, heard: str, wanted: str, *, right: bool) -> Outcome:
    return Outcome(said, heard, None, 0.9, wanted, wanted if right else "", right, 0 if right else 1, right, right)


RESULT = Understanding(
    rows=(
        Row("slt", None, "known", (outcome("roll a dice", "roll a dice", "dice", right=True),) * 3
            + (outcome("flip a coin", "flip a play", "coin", right=False),)),
        Row("slt", 10.0, "other talk", (outcome("pass the salt", "pass the salt", "", right=False),)),
    ),
    people=(outcome("five five", "five five", "", right=False),),
    absent=("pico2wave is not installed",),
)  # fmt: skip


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the measuring was asked for; it answers with RESULT."""
    asked: dict[str, Any] = {}

    async def understanding(**options: Any) -> Understanding:
        asked.update(options)
        return RESULT

    monkeypatch.setattr(measuring, "understanding", understanding)
    return asked


def test_in_words(asked: dict[str, Any]) -> None:
    result = CliRunner().invoke(bench, ["understanding", "--wrong"])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].split() == ["slt", "known", "4", "75.0%", "8.3%", "100.0%"]
    assert result.stdout.splitlines()[2].split()[:5] == ["slt", "10", "dB", "other", "talk"]
    assert "a person: 'five five' was heard as 'five five'" in result.stdout
    assert "not measured: pico2wave is not installed" in result.stdout
    assert "'flip a coin' was heard as 'flip a play': nothing" in result.stdout
    assert set(asked["voices"]) >= {"slt", "rms", "awb", "kal16"}
    assert asked["noises"] == (20.0, 10.0)


def test_as_json(asked: dict[str, Any]) -> None:
    result = CliRunner().invoke(bench, ["understanding", "--json", "--clean", "--voice", "rms", "--per-skill", "2"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["rows"][0]["right"] == 0.75
    assert (asked["voices"], asked["noises"], asked["per_skill"]) == (("rms",), (), 2)


def test_an_ear_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def understanding(**options: Any) -> Understanding:
        raise EarError("the ear's worker died")

    monkeypatch.setattr(measuring, "understanding", understanding)
    result = CliRunner().invoke(bench, ["understanding"])
    assert result.exit_code == 1
    assert result.stderr == "Error: the ear's worker died\n"
