"""Published directories: loaded as they are, or refused with what is wrong by name."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from sentencepiece import SentencePieceTrainer
from torch import Tensor

from duologue.checkpoints.files import CheckpointError, open_safetensors
from duologue.checkpoints.keys import stored, unfilled
from duologue.codecs.mimi import KEYS as MIMI_KEYS
from duologue.codecs.mimi import Mimi, MimiConfig
from duologue.models import moshi_files
from duologue.models.moshi import KEYS, MoshiLM
from duologue.models.moshi_config import MoshiConfig
from duologue.models.moshi_files import load_lm, load_mimi, load_moshi
from duologue.models.personaplex import personaplex
from duologue.nn.rows import Rows

from .tiny import GOLDEN, LM, MIMI, lm, mimi

PUBLISHED_LM: dict[str, Any] = {
    "dim": 32,
    "text_card": 40,
    "existing_text_padding_id": 3,
    "n_q": 6,
    "dep_q": 3,
    "card": 24,
    "num_heads": 4,
    "num_layers": 2,
    "hidden_scale": 2.25,
    "causal": True,
    "context": 7,
    "max_period": 10000,
    "gating": "silu",
    "norm": "rms_norm_f32",
    "positional_embedding": "rope",
    "depformer_dim": 16,
    "depformer_dim_feedforward": 36,
    "depformer_num_heads": 2,
    "depformer_num_layers": 2,
    "depformer_multi_linear": True,
    "depformer_pos_emb": "none",
    "depformer_weights_per_step": True,
    "delays": [0, 0, 1, 1, 0, 1, 1],
    "mimi_config_name": "mimi.json",
    # Without effect, or options that are off:
    "depformer_context": 3,
    "demux_second_stream": False,
    "conditioners": {},
}
PUBLISHED_MIMI: dict[str, Any] = {
    "sample_rate": 600,
    "channels": 1,
    "frame_rate": 25.0,
    "seanet": {"dimension": 16, "n_filters": 2, "ratios": [3, 2, 2], "causal": True},
    "quantizer": {"dimension": 8, "n_q": 4, "bins": 24},
    "transformer": {
        "num_heads": 2,
        "num_layers": 1,
        "context": 6,
        "max_period": 10000,
        "dim_feedforward": 32,
    },
}


def tensors_of(model: MoshiLM | Mimi) -> dict[str, Tensor]:
    table = KEYS if isinstance(model, MoshiLM) else MIMI_KEYS
    return {name: view.contiguous().clone() for name, view in table.published(model).items()}


@pytest.fixture(scope="module")
def tokenizer() -> bytes:
    """A SentencePiece model of 40 pieces."""
    model = io.BytesIO()
    words = ["the cat sat on a mat", "dogs and cats", "a big red dog ran", "we met at ten"]
    SentencePieceTrainer.train(
        sentence_iterator=iter(words), model_writer=model, vocab_size=40, model_type="bpe", minloglevel=3
    )
    return model.getvalue()


@pytest.fixture
def directory(tmp_path: Path, tokenizer: bytes) -> Path:
    """A small model in the published layout."""
    save_file(tensors_of(lm()), tmp_path / "model.safetensors")
    save_file(tensors_of(mimi()), tmp_path / moshi_files.MIMI_FILE)
    (tmp_path / moshi_files.TEXT_FILE).write_bytes(tokenizer)
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED_LM))
    (tmp_path / "mimi.json").write_text(json.dumps(PUBLISHED_MIMI))
    return tmp_path


def test_published_configurations_are_understood() -> None:
    assert MoshiConfig.from_published(PUBLISHED_LM) == LM
    assert MimiConfig.from_published(PUBLISHED_MIMI) == MIMI
    full = json.loads((GOLDEN / "lm_config.moshi_7b_202409.json").read_text())
    assert MoshiConfig.from_published(full) == MoshiConfig()
    assert MimiConfig.from_published(json.loads((GOLDEN / "mimi_config.json").read_text())) == MimiConfig()


def test_the_full_size_model_has_the_published_tensors() -> None:
    published = json.loads((GOLDEN / "tensors.json").read_text())
    full = unfilled(lambda: MoshiLM(MoshiConfig()), "meta", torch.bfloat16)
    codec = unfilled(lambda: Mimi(MimiConfig()), "meta", torch.float32)
    ours = {**KEYS.manifest(full), **MIMI_KEYS.manifest(codec)}
    theirs = {name: shape for file in published.values() for name, shape in file.items()}
    unread = {name for name in theirs.keys() - ours.keys() if not name.endswith("_codebook._initialized")}
    assert not unread
    assert {name: theirs[name] for name in ours} == ours


def test_a_directory_talks(directory: Path) -> None:
    moshi = load_moshi(directory, dtype=torch.float32)
    state, row = moshi.state(1), Rows.of([0])
    wave = torch.randn(6, 1, moshi.frame, generator=torch.Generator().manual_seed(0)) * 0.2
    said = [moshi.step(state, row, frame) for frame in wave]
    assert [frames.ready[0] for frames in said] == [False] + [True] * 5
    assert torch.cat([frames.wave for frames in said[1:]]).isfinite().all()
    assert moshi.text(20) == moshi.pieces(20).replace("▁", " ")


def test_bfloat16_is_close(directory: Path) -> None:
    exact, short = (
        load_moshi(directory, dtype=dtype).dialogue.lm for dtype in (torch.float32, torch.bfloat16)
    )
    columns = torch.randint(0, 24, (1, 7, 6), generator=torch.Generator().manual_seed(0))
    a, b = (model.text_logits(model.hidden(columns)) for model in (exact, short))
    assert b.dtype == torch.bfloat16
    assert (a - b.float()).abs().max() < 0.05 * a.abs().max()


def test_personaplex_is_recognised(directory: Path) -> None:
    model = lm(replace(LM, dep_q=6))
    save_file(tensors_of(model), directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps(PUBLISHED_LM | {"dep_q": 6}))
    (directory / "voices").mkdir()
    loaded = load_moshi(directory, dtype=torch.float32)
    assert loaded.dialogue.lm.config == personaplex(replace(LM, dep_q=6))


def test_newer_spellings_are_the_same() -> None:
    plain = tensors_of(lm())
    newer: dict[str, Tensor] = {}
    for name, tensor in plain.items():
        if not name.startswith("depformer.") or "self_attn" not in name:
            newer[name.replace("in_proj_weight", "in_proj.weight")] = tensor
        elif name.endswith("in_proj_weight"):
            newer |= {
                name.replace("in_proj_weight", f"in_projs.{s}.weight"): t
                for s, t in enumerate(tensor.chunk(3))
            }
        else:
            newer |= {name.replace("out_proj.", f"out_projs.{s}."): t for s, t in enumerate(tensor.chunk(3))}
    assert newer.keys() != plain.keys()
    columns = torch.randint(0, 24, (1, 7, 4), generator=torch.Generator().manual_seed(0))
    loaded = [load_lm(LM, {n: stored(t) for n, t in names.items()}, "here") for names in (plain, newer)]
    text, audio = zip(*(model(columns) for model in loaded), strict=True)
    assert torch.equal(*text)
    assert torch.equal(*(part.nan_to_num() for part in audio))


def test_newer_and_older_spellings_of_the_codec_are_the_same() -> None:
    plain = tensors_of(mimi())
    names = {
        "in_proj_weight": "in_projs.0.weight",
        "out_proj.weight": "out_projs.0.weight",
        "cluster_usage": "cluster_size",
        "embedding_sum": "embed_avg",
    }
    other = {}
    for name, tensor in plain.items():
        for ours, theirs in names.items():
            name = name.replace(f"self_attn.{ours}", f"self_attn.{theirs}").replace(
                f"_codebook.{ours}", f"_codebook.{theirs}"
            )
        other[name] = tensor
    assert len(other.keys() & plain.keys()) < len(plain)
    wave = torch.randn(1, 1, MIMI.frame * 3, generator=torch.Generator().manual_seed(0))
    loaded = [
        load_mimi(MIMI, {n: stored(t) for n, t in tensors.items()}, "here") for tensors in (plain, other)
    ]
    assert torch.equal(*(codec.encode(wave, 3) for codec in loaded))


def test_all_that_does_not_fit_is_listed() -> None:
    tensors = tensors_of(lm())
    del tensors["linears.1.weight"], tensors["out_norm.alpha"]
    tensors["depformer_emb.9.weight"] = torch.zeros(1)
    tensors["emb.0.weight"] = torch.zeros(3, 2)
    with pytest.raises(CheckpointError) as caught:
        load_lm(LM, {name: stored(t) for name, t in tensors.items()}, "the file")
    text = str(caught.value)
    assert text.startswith("the file does not hold this model's tensors")
    assert "missing (2): linears.1.weight, out_norm.alpha" in text
    assert "surplus (1): depformer_emb.9.weight" in text
    assert "emb.0.weight is [3, 2], not [25, 32]" in text


def test_a_long_list_is_cut() -> None:
    with pytest.raises(CheckpointError, match=r"missing \(\d+\): .* and \d+ more"):
        load_lm(LM, {}, "nothing")


@pytest.mark.parametrize("keep", [0, 5, 2000, -1])
def test_a_file_cut_short_is_refused(directory: Path, keep: int) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not a whole safetensors file"):
        load_moshi(directory)


def test_another_file_is_refused(directory: Path) -> None:
    path = directory / "model.safetensors"
    path.write_text("<html>Not found</html>")
    with pytest.raises(CheckpointError, match="fetch it again"):
        open_safetensors(path)


@pytest.mark.parametrize(
    "name", ["model.safetensors", moshi_files.MIMI_FILE, moshi_files.TEXT_FILE, "mimi.json"]
)
def test_a_missing_file_is_named(directory: Path, name: str) -> None:
    (directory / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        load_moshi(directory)


def test_no_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere is no directory"):
        load_moshi(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"norm": "layer_norm"}, "norm='layer_norm'"),
        ({"cross_attention": True}, "cross_attention=True"),
        ({"delays": [0, 1]}, "7 streams"),
    ],
)
def test_what_the_model_does_not_do_is_refused(directory: Path, change: dict[str, Any], message: str) -> None:
    (directory / "config.json").write_text(json.dumps(PUBLISHED_LM | change))
    with pytest.raises(CheckpointError, match=message):
        load_moshi(directory)


def test_a_tokenizer_of_another_model_is_refused(directory: Path) -> None:
    (directory / "config.json").write_text(json.dumps(PUBLISHED_LM | {"text_card": 41}))
    with pytest.raises(CheckpointError, match="40 pieces, the model 41"):
        load_moshi(directory)
    (directory / moshi_files.TEXT_FILE).write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="not a SentencePiece model"):
        load_moshi(directory)


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_broken_configuration_is_named(directory: Path, text: str) -> None:
    (directory / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_moshi(directory)
