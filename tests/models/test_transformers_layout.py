"""Moshi from a directory in the layout of transformers: two golden cases put together as ``kmhf/hf-moshiko`` is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from duologue.checkpoints.files import INDEX, CheckpointError
from duologue.models.moshi_files import load_moshi
from duologue.nn.rows import Rows

GOLDEN = Path(__file__).parent.parent / "golden" / "moshi"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    lm = json.loads((GOLDEN / "hf_moshi" / "case.json").read_text())["config"]["hf_config"]
    codec = json.loads((GOLDEN / "hf_mimi" / "case.json").read_text())["config"]["hf_config"]
    (tmp_path / "config.json").write_text(json.dumps({**lm, "audio_encoder_config": codec, "model_type": "moshi"}))
    words = {f"▁word{n}": n for n in range(lm["vocab_size"])}
    Tokenizer(WordLevel(words, unk_token="▁word0")).save(str(tmp_path / "tokenizer.json"))
    shards = {
        "model-00001-of-00002.safetensors": load_file(GOLDEN / "hf_moshi" / "weights.safetensors"),
        "model-00002-of-00002.safetensors": {
            f"audio_encoder.{name}": tensor
            for name, tensor in load_file(GOLDEN / "hf_mimi" / "weights.safetensors").items()
        },
    }
    for name, tensors in shards.items():
        save_file(tensors, tmp_path / name)
    places = {tensor: name for name, tensors in shards.items() for tensor in tensors}
    (tmp_path / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return tmp_path


def test_it_is_the_same_model(directory: Path) -> None:
    moshi = load_moshi(directory, dtype=torch.float32)
    given = load_file(GOLDEN / "hf_moshi" / "io.safetensors")
    with torch.inference_mode():
        hidden = moshi.dialogue.lm.hidden(_given(given, "sequence"))
        assert torch.allclose(hidden, _given(given, "transformer_out"), atol=1e-4)
        wave = _given(load_file(GOLDEN / "hf_mimi" / "io.safetensors"), "audio")
        codes = moshi.mimi.encode(wave, levels=5)
        assert codes.shape[1] == 5
        assert moshi.text(5) == " word5"


def test_it_talks(directory: Path) -> None:
    moshi = load_moshi(directory, dtype=torch.float32)
    state, rows = moshi.state(1), Rows.of([0])
    moshi.reset(state, rows, [1])
    with torch.inference_mode():
        said = [moshi.step(state, rows, torch.zeros(1, moshi.frame)) for _ in range(6)]
    assert said[-1].ready == (True,)
    assert said[-1].wave.isfinite().all()


def test_what_is_missing_is_named(directory: Path) -> None:
    (directory / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match="model-00002-of-00002"):
        load_moshi(directory)
    index = json.loads((directory / INDEX).read_text())
    index["weight_map"] = {"nothing.weight": "model-00001-of-00002.safetensors"}
    (directory / INDEX).write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"nothing\.weight"):
        load_moshi(directory)
    (directory / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="tokenizer"):
        load_moshi(directory)


def _given(tensors: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    return next(tensor for key, tensor in tensors.items() if key.rpartition("/")[2].rpartition(".")[2] == name)
