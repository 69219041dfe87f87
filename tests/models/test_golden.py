"""The reference implementations' numbers, and that a verification can fail."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from duologue.measure.models import manifest
from duologue.measure.models import verify as main
from duologue.measure.verify import verify
from duologue.nn.cache import Cache
from duologue.nn.decoder import Decoder

from .tiny import GOLDEN

CASES = sorted(str(path.parent.relative_to(GOLDEN.parent)) for path in GOLDEN.parent.glob("*/*/case.json"))


@pytest.mark.parametrize("name", CASES)
def test_a_case_holds(name: str) -> None:
    outcome = verify(GOLDEN.parent / name)
    assert outcome.holds, outcome


STREAMS = [name for name in CASES if name.startswith(("moshi/lmgen", "moshi/mimi_", "moshi/server", "moshi/persona"))]


@pytest.mark.parametrize("name", STREAMS)
def test_a_case_holds_also_as_a_gpu_attends(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To whole rings under a mask, with positions on the device."""
    usual, whole = Decoder.cache, []

    def cache(self: Decoder, rows: int, **how: Any) -> Cache:
        whole.append(usual(self, rows, **how | {"whole": True}))
        return whole[-1]

    monkeypatch.setattr(Decoder, "cache", cache)
    assert verify(GOLDEN.parent / name).holds
    assert whole or name.endswith(("mimi_offline", "mimi_resample", "mimi_transformer"))


def test_all_kinds_are_here() -> None:
    """Of Moshi all cases, of the others those that together exercise everything."""
    assert Counter(name.partition("/")[0] for name in CASES) == {
        "moshi": 22, "llama_omni": 7, "mini_omni2": 10, "qwen2_audio": 5
    }  # fmt: skip


@pytest.mark.parametrize("system", ["llama_omni", "mini_omni2", "qwen2_audio"])
def test_what_is_loaded_agrees_with_the_published_checkpoint(system: str) -> None:
    result = CliRunner().invoke(manifest, [system])
    assert result.exit_code == 0, result.output
    ours = json.loads(result.output)
    theirs = json.loads((GOLDEN.parent / system / "tensors.json").read_text())
    assert ours.keys() == theirs.keys()
    for file, tensors in ours.items():
        assert {name: theirs[file].get(name) for name in tensors} == tensors


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A case that may be spoilt, under another name: its component says what it is."""
    return Path(shutil.copytree(GOLDEN / "split_rvq", tmp_path / "renamed"))


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.output


def test_the_command_says_how_far_off_each_output_is(copy: Path) -> None:
    code, text = run(str(copy))
    assert code == 0
    assert "quantized" in text
    assert "1 of 1 cases hold" in text


def spoil(folder: Path, output: str, change: float | int) -> None:
    tensors = load_file(folder / "io.safetensors")
    tensors[output].view(-1)[3] += change
    save_file(tensors, folder / "io.safetensors")


@pytest.mark.parametrize(
    ("output", "change"), [("out.quantized", 0.05), ("out.codes", 1), ("out.quantized", float("nan"))]
)
def test_one_wrong_number_fails(copy: Path, output: str, change: float) -> None:
    spoil(copy, output, change)
    code, text = run(str(copy), str(GOLDEN / "mimi_resample"), "--json")
    assert code == 1
    report = json.loads(text)
    assert (report["held"], report["of"]) == (1, 2)
    wrong = [c["output"] for c in report["cases"][0]["comparisons"] if not c["holds"]]
    assert wrong == [output.removeprefix("out.")]


def test_noise_within_the_tolerance_holds(copy: Path) -> None:
    spoil(copy, "out.quantized", 5e-5)
    assert verify(copy).holds


def test_an_output_nobody_computes_fails(copy: Path) -> None:
    tensors = load_file(copy / "io.safetensors")
    save_file(tensors | {"out.more": torch.zeros(1)}, copy / "io.safetensors")
    outcome = verify(copy)
    assert not outcome.holds
    assert [c.output for c in outcome.comparisons if not c.holds] == ["more"]


@pytest.mark.parametrize(("field", "value"), [("component", "a lyre"), ("system", "lyra")])
def test_an_unknown_component_fails(copy: Path, field: str, value: str) -> None:
    about = json.loads((copy / "case.json").read_text())
    (copy / "case.json").write_text(json.dumps(about | {field: value}))
    outcome = verify(copy)
    assert not outcome.holds
    assert "no check" in outcome.problem


def test_a_case_that_cannot_run_fails_and_the_others_go_on(copy: Path) -> None:
    (copy / "weights.safetensors").write_bytes((copy / "weights.safetensors").read_bytes()[:-40])
    code, text = run(str(copy), str(GOLDEN / "mimi_resample"))
    assert code == 1
    assert "not a whole safetensors file" in text
    assert "1 of 2 cases hold" in text


def test_a_folder_without_cases_is_an_error(tmp_path: Path) -> None:
    code, text = run(str(tmp_path))
    assert code == 2
    assert "no case.json" in text


def test_a_spoilt_wire_fails(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(GOLDEN / "ws_session", tmp_path / "ws_session"))
    tensors = load_file(copy / "io.safetensors")
    tensors["out.decoded_agent_pcm"] = tensors["out.decoded_agent_pcm"].flip(0)
    save_file(tensors, copy / "io.safetensors")
    wrong = [c.output for c in verify(copy).comparisons if not c.holds]
    assert wrong == ["decoded_agent_pcm", "server_bytes", "server_lengths"]


@pytest.mark.parametrize(("options", "most"), [(("--dtype", "bfloat16"), 0.03), (("--quantize", "int8"), 0.05)])
def test_less_precision_is_measured_against_the_golden_loop(options: tuple[str, str], most: float) -> None:
    code, text = run(str(GOLDEN / "lmgen_greedy"), *options, "--json")
    assert code == 0, text
    found = {c["output"]: c for c in json.loads(text)["cases"][0]["comparisons"]}
    assert 1e-3 < found["text_logits"]["error"] < most
    assert 1e-3 < found["audio_logits"]["error"] < most
    assert found["lm_input"]["note"] == "100.0% equal", "it was made to say what the reference said"
    assert found["audio_sampled"]["error"] < 0.1
