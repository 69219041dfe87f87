"""``duologue models``: counted, not typed in."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import pytest
from click.testing import CliRunner

from duologue.cli import main
from duologue.measure import results
from duologue.measure.figures import Spread
from duologue.models import catalogue
from duologue.models.stages import STAGES, first_response

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def test_the_page_is_what_the_command_says() -> None:
    told = CliRunner().invoke(main, ["models", "--markdown"])
    assert told.exit_code == 0, told.output
    assert told.stdout in PAGE.read_text(), "duologue models --markdown goes into docs/models.md"


def test_parameters_are_those_of_the_papers() -> None:
    told = json.loads(CliRunner().invoke(main, ["models", "--json"]).stdout)
    billions = {name: (line["llm_parameters"] or 0) / 1e9 for name, line in told.items()}
    assert billions["moshi"] == pytest.approx(7.69, abs=0.01)
    assert billions["llama_omni"] == pytest.approx(8.03, abs=0.01)
    assert billions["mini_omni2"] == pytest.approx(0.54, abs=0.05)
    assert all(line["parameters"] > line["llm_parameters"] for name, line in told.items() if name != "pocket")


@pytest.mark.parametrize(("system", "goal_ms"), [("llama_omni", 100), ("mini_omni2", 60), ("qwen2_audio", 60)])
def test_a_first_response_is_a_sum_of_stages_of_which_none_is_missing(system: str, goal_ms: float) -> None:
    tables = catalogue.system(system).manifest().items()
    sizes = {f"{file}:{tensor}": prod(shape) for file, table in tables for tensor, shape in table.items()}
    for stage in STAGES[system]:
        read = [name for name in sizes if name.startswith(stage.reads)]
        assert all(any(name.startswith(one) for name in read) for one in stage.reads), stage
    assert 0 < 1000 * sum(stage.seconds(sizes) for stage in STAGES[system]) < goal_ms, "the goal in model time"
    assert first_response(system, sizes).count(",") == len(STAGES[system]) - 1


def test_a_kept_figure_names_its_command_and_its_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results.json")
    assert results.first_responses() == {}
    results.keep_first_response("pocket", None, 1)
    assert results.first_responses() == {}
    results.keep_first_response("pocket", Spread(48, 250, 600, 900, 1000), 2)
    (kept,) = results.first_responses().values()
    assert kept.startswith("p50 250 ms, p95 600 ms")
    assert "duologue bench latency --sessions 2" in kept
    assert "20" in kept
