"""The verbs of models: tiny, manifest, verify, bench engine; and what they write and say can be served."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner, Result

from duologue import cli
from duologue.checkpoints.keys import unfilled
from duologue.codecs.mimi import MimiConfig
from duologue.engine import loading
from duologue.engine.fit import TooLarge
from duologue.measure import ticking
from duologue.measure.ticking import Tick, held, highest
from duologue.models.contract import Prompted
from duologue.models.moshi import Dialogue, Moshi, MoshiLM
from duologue.models.moshi_config import MoshiConfig
from duologue.models.moshi_files import load_moshi
from duologue.models.moshi_random import CODEC, LM, in_memory
from duologue.nn.rows import Rows
from engine.tape import Tape
from models.tiny import GOLDEN


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments, prog_name="duologue")


@pytest.fixture(scope="module")
def personaplex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models") / "personaplex"
    result = call("tiny", "personaplex", str(directory))
    assert result.exit_code == 0, result.output
    return directory


def test_a_tiny_model_talks_and_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        assert call("tiny", "moshi", str(tmp_path / name), "--seed", seed).exit_code == 0
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c
    model = load_moshi(tmp_path / "a", dtype=torch.float32)
    state, row = model.state(1), Rows.of([0])
    model.reset(state, row, [1])
    said = [model.step(state, row, 0.1 * torch.randn(1, model.frame)) for _ in range(8)]
    loud = torch.cat([frames.wave for frames in said[1:]]).abs().max()
    assert 0.01 < loud < 1, "as loud as a person"
    assert any(frames.text[0] is not None for frames in said)


def test_the_example_of_the_documentation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("tiny", "moshi", str(tmp_path / "tiny")).exit_code == 0
    page = (Path(__file__).parents[2] / "docs" / "moshi.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(example.replace("/tmp/tiny", str(tmp_path / "tiny")), "docs/moshi.md", "exec"), {})
    assert capsys.readouterr().out.count("torch.Size([2, 1920])") == 25


def test_other_sizes_in_the_published_names(tmp_path: Path) -> None:
    sizes = {"dim": 64, "num_heads": 2, "context": 50, "mimi": {"seanet": {"n_filters": 2}}}
    (tmp_path / "sizes.json").write_text(json.dumps(sizes))
    result = call("tiny", "moshi", str(tmp_path / "m"), "--config", str(tmp_path / "sizes.json"))
    assert result.exit_code == 0, result.output
    config = load_moshi(tmp_path / "m", dtype=torch.float32).dialogue.lm.config
    assert (config.dim, config.heads, config.context, config.layers) == (64, 2, 50, 4)


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ({"dim": "many"}, "sizes that make no model"),
        ({"card": 100}, "does not go with a language model"),
        ({"text_card": 3}, "no room for any text"),
        ({"cross_attention": True}, "asks for what this model does not do"),
    ],
)
def test_sizes_that_make_no_model(tmp_path: Path, sizes: dict[str, object], says: str) -> None:
    (tmp_path / "sizes.json").write_text(json.dumps(sizes))
    result = call("tiny", "moshi", str(tmp_path / "m"), "--config", str(tmp_path / "sizes.json"))
    assert result.exit_code == 2
    assert says in " ".join(result.output.split())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    result = call("tiny", "moshi", str(tmp_path))
    assert result.exit_code == 2
    assert "is not empty" in result.output


def test_a_persona_is_primed_in_pieces(personaplex: Path) -> None:
    model = load_moshi(personaplex, dtype=torch.float32)
    assert isinstance(model, Prompted)
    assert model.voices == ("NATF0", "NATM0")
    replies = {}
    for voice, text in (("", ""), ("NATM0", ""), ("", "You are a pirate.")):
        state, row = model.state(2), Rows.of([1])
        model.reset(state, row, [5])
        pieces = sum(1 for _ in model.prime(state, row, voice, text))
        assert pieces >= 3
        said = [model.step(state, row, torch.zeros(1, model.frame)).wave for _ in range(5)]
        replies[voice, text] = torch.cat(said)
    a, b, c = replies.values()
    assert not torch.equal(a, b)
    assert not torch.equal(a, c)
    with pytest.raises(ValueError, match="no voice 'NATX9'; there are: NATF0, NATM0"):
        next(model.prime(model.state(1), Rows.of([0]), "NATX9", ""))


def test_the_manifest_agrees_with_the_published_checkpoint() -> None:
    result = call("manifest", "moshi")
    assert result.exit_code == 0
    ours, theirs = json.loads(result.output), json.loads((GOLDEN / "tensors.json").read_text())
    assert ours.keys() == theirs.keys()
    for file, tensors in ours.items():
        assert {name: theirs[file][name] for name in tensors} == tensors
    persona = json.loads(call("manifest", "personaplex").output)["lm"]
    assert len([name for name in persona if name.startswith("linears.")]) == 16


def test_verify_is_a_verb() -> None:
    result = call("verify", str(GOLDEN / "split_rvq"), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["held"] == 1


@pytest.mark.parametrize("system", ["qwen2_audio", "llama_omni", "mini_omni2"])
def test_bench_engine_measures_models_that_take_turns(system: str, tmp_path: Path) -> None:
    assert call("tiny", system, str(tmp_path / system)).exit_code == 0
    how = ("--sessions", "1,3", "--ticks", "6", "--dtype", "float32", "--context", "512", "--json")
    result = call("bench", "engine", "--model", str(tmp_path / system), *how)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [tick["sessions"] for tick in told["ticks"]] == [1, 3]
    assert told["response"]["steps"] >= 1
    assert min(told["response"].values()) > 0
    in_words = call("bench", "engine", "--model", str(tmp_path / system), "--sessions", "1", "--ticks", "5")
    assert "first response" in in_words.output


def test_bench_engine_measures(personaplex: Path) -> None:
    how = ("--dtype", "float32", "--threads", "1", "--ticks", "5", "--sessions", "1,3", "--json")
    result = call("bench", "engine", "--model", str(personaplex), *how)
    assert result.exit_code == 0, result.output
    figures = json.loads(result.output)
    assert [tick["sessions"] for tick in figures["ticks"]] == [1, 3]
    assert all(0 < tick["median_ms"] <= tick["p99_ms"] for tick in figures["ticks"])
    assert figures["frame_ms"] == 80
    assert figures["session_mb"] > 1
    assert call("bench", "engine", "--model", str(personaplex), "--sessions", "1,x").exit_code == 2
    refused = call("bench", "engine", "--model", str(personaplex), "--quantize", "int8", "--dtype", "float32")
    assert "give --dtype bfloat16" in " ".join(refused.output.split())


def test_how_many_are_held_is_read_off_a_line() -> None:
    ticks = [Tick(1, 20, 20, 0.25), Tick(4, 40, 40, 0.5), Tick(8, 80, 80, 1.0)]
    assert held(ticks, 60) == 6
    assert held(ticks, 100) == 8
    assert held(ticks, 10) == 0


@pytest.mark.parametrize(
    ("tried", "room", "holds", "measured"),
    [
        ([1, 8], 100, 37, [16, 32, 64, 48, 40, 36, 38, 37]),
        ([1, 64], 100, 37, [32, 48, 40, 36, 38, 37]),
        ([1, 8], 20, 37, [16, 20]),
        ([4, 8], 100, 2, [2, 3]),
        ([1], 100, 0, []),
    ],
)
def test_how_many_are_held_is_measured(tried: list[int], room: int, holds: int, measured: list[int]) -> None:
    """None is claimed that was not measured, and one more was measured too, or has no room."""
    seen = []

    def measure(count: int) -> Tick:
        seen.append(count)
        if count > 60:
            raise TooLarge("no memory for a step")
        return tick(count)

    def tick(count: int) -> Tick:
        took = 50.0 if count <= holds else 70.0
        return Tick(count, took, took, took / 80)

    found = highest(measure, [tick(count) for count in tried], 68.0, room)
    assert found == min(holds, room)
    assert seen == measured
    assert {found, *([found + 1] if found < room else [])} - {0} <= {*seen, *tried}


def test_bench_engine_says_how_it_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With graphs or without, what they take, and how a number of sessions is known."""
    assert call("tiny", "moshi", str(tmp_path / "tiny")).exit_code == 0
    tapes: list[Tape] = []

    def recorder(device: torch.device, graphs: bool) -> Tape | None:
        if not graphs:
            return None
        tapes.append(Tape())
        return tapes[-1]

    monkeypatch.setattr(ticking, "recorder", recorder)
    monkeypatch.setattr(ticking, "most_rows", lambda each, device: 3)
    how = ("bench", "engine", "--model", str(tmp_path / "tiny"), "--dtype", "float32", "--ticks", "5", "--json")
    captured = json.loads(call(*how, "--sessions", "2", "--most").stdout)
    assert [(tick["sessions"], tick["graphs"]) for tick in captured["ticks"]] == [(2, True), (3, True)]
    assert [tick["graphs_mb"] for tick in captured["ticks"]] == [tape.bytes / 1e6 for tape in tapes]
    assert min(tape.bytes for tape in tapes) > 0
    assert captured["graphs"]
    assert (captured["held"], captured["held_is"]) == (3, "measured")
    assert captured["ticks"][0]["least_ms"] is None, "it is not of the published size"
    assert captured["room"] == 3
    plain = json.loads(call(*how, "--sessions", "2,4", "--no-graphs").stdout)
    assert [(tick["graphs"], tick["graphs_mb"], tick["used_mb"]) for tick in plain["ticks"]] == [(False, 0.0, None)]
    assert not plain["graphs"]
    assert (plain["held"], plain["held_is"]) == (2, "all that were tried")


def test_without_a_gpu_bench_engine_says_so() -> None:
    result = call("bench", "engine", "--model", "random:moshi", "--device", "cuda")
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert said.startswith("Error: there is no device cuda here")
    assert "--device cpu" in said
    assert "Traceback" not in said


def test_what_a_moshi_takes_at_least_is_below_what_is_aimed_at() -> None:
    published = unfilled(lambda: MoshiLM(MoshiConfig()), "meta", torch.bfloat16)
    loaded = SimpleNamespace(model=Moshi(SimpleNamespace(), Dialogue(published)))  # type: ignore[arg-type]
    least = ticking._least(loaded)  # type: ignore[arg-type]
    assert least is not None
    assert [round(least(count), 1) for count in (1, 8, 32, 64)] == [3.5, 5.8, 14.0, 24.9]
    assert all(least(count) < goal for count, goal in ticking.GOALS.items())
    assert least(64) < 80


def test_a_model_of_the_published_size_needs_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    small, codec = MoshiConfig.from_published(LM), MimiConfig.from_published(CODEC)
    for system, bits in (("moshi", None), ("personaplex", 8)):
        model = in_memory(system, device="cpu", dtype=torch.bfloat16, bits=bits, config=small, codec_config=codec)
        state, rows = model.state(2), Rows.of([0, 1])
        model.reset(state, rows, [1, 2])
        for _ in range(3):
            said = model.step(state, rows, torch.zeros(2, model.frame))
        assert said.ready == (True, True)
        assert said.wave.isfinite().all()
    monkeypatch.setattr(loading, "free_bytes", lambda device: 10**9)
    refused = call("bench", "engine", "--model", "random:moshi")
    assert "moshi takes" in refused.output
    assert "there are random:moshi" in " ".join(call("bench", "engine", "--model", "random:vita").output.split())
