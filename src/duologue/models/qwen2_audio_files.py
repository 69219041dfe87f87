"""Qwen2-Audio from its published directory, and small random ones in its layout.

``Qwen/Qwen2-Audio-7B-Instruct``: ``config.json``, shards with their index, ``tokenizer.json``, and perhaps a
``generation_config.json``, which says how tokens are drawn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from duologue.checkpoints.files import CheckpointError, open_directory, read_json
from duologue.checkpoints.keys import unfilled
from duologue.models.catalogue import System
from duologue.models.qwen2_audio import Qwen2AudioConfig, Qwen2AudioNet, keys, manifest
from duologue.models.qwen2_audio_turns import PUBLISHED, Qwen2Audio
from duologue.models.text import Vocabulary
from duologue.models.tiny import byte_level, fill
from duologue.nn.linear import pack, quantize
from duologue.nn.sampling import Sampling

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")
"""In the order of their ids."""

SIZES: Mapping[str, Any] = {
    "model_type": "qwen2_audio",
    "audio_config": {
        "num_mel_bins": 128, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 64, "d_model": 32,
        "max_source_positions": 1500, "activation_function": "gelu", "scale_embedding": False,
    },
    "text_config": {
        "vocab_size": 264, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 4, "rms_norm_eps": 1e-5, "max_position_embeddings": 2048, "rope_theta": 10000.0,
        "tie_word_embeddings": False, "hidden_act": "silu", "use_sliding_window": False,
    },
}  # fmt: skip


def load(directory: Path, *, device: torch.device, dtype: torch.dtype, bits: int | None = None) -> Qwen2Audio:
    """See :class:`duologue.models.catalogue.Load`."""
    raw = read_json(directory / "config.json")
    try:
        config = Qwen2AudioConfig.from_published(raw)
    except ValueError as error:
        raise CheckpointError(f"{directory}: {error}") from error
    vocabulary = Vocabulary(directory / "tokenizer.json")
    if vocabulary.size > config.vocabulary:
        raise CheckpointError(
            f"{directory}: the tokenizer has {vocabulary.size} tokens, the model {config.vocabulary}: they do not agree"
        )
    if vocabulary.control("<|AUDIO|>")["<|AUDIO|>"] != config.placeholder:
        raise CheckpointError(f"{directory}: config.json and tokenizer.json disagree about <|AUDIO|>")
    net = unfilled(lambda: Qwen2AudioNet(config), device, dtype)
    keys(config).load(net, open_directory(directory), source=str(directory))
    net.tower.float()  # the spectrogram's range asks for it, and it is a twelfth of the weights
    quantize(net) if bits == 8 else pack(net)
    return Qwen2Audio(net, vocabulary, _sampling(directory))


def _sampling(directory: Path) -> Sampling:
    path = directory / "generation_config.json"
    raw = read_json(path) if path.is_file() else {}
    if not raw.get("do_sample", True):
        return Sampling(0.0, repetition=raw.get("repetition_penalty", PUBLISHED.repetition))
    return Sampling(
        raw.get("temperature", PUBLISHED.temperature),
        raw.get("top_k", PUBLISHED.top_k),
        raw.get("top_p", PUBLISHED.top_p),
        raw.get("repetition_penalty", PUBLISHED.repetition),
    )


def recognised(directory: Path) -> bool:
    """Whether a directory is laid out like it."""
    path = directory / "config.json"
    return path.is_file() and read_json(path).get("model_type") == "qwen2_audio"


def write(directory: Path, *, seed: int, sizes: Mapping[str, Any]) -> None:
    """See :class:`duologue.models.catalogue.Write`."""
    raw = {key: {**value, **sizes.get(key, {})} if isinstance(value, dict) else sizes.get(key, value)
           for key, value in SIZES.items()}  # fmt: skip
    tokenizer = byte_level(CONTROL)
    raw["audio_token_index"] = tokenizer.token_to_id("<|AUDIO|>")
    try:
        config = Qwen2AudioConfig.from_published(raw)
        net = unfilled(lambda: Qwen2AudioNet(config), "cpu", torch.float32)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"sizes that make no model: {error}") from error
    if config.vocabulary < tokenizer.get_vocab_size():
        raise CheckpointError(f"a vocabulary of {config.vocabulary} is too small; bytes alone are 256")
    directory.mkdir(parents=True, exist_ok=True)
    fill(net, torch.Generator().manual_seed(seed))
    published = {name: view.contiguous().clone() for name, view in keys(config).published(net).items()}
    save_file(published, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps(raw, indent=1))
    tokenizer.save(str(directory / "tokenizer.json"))


SYSTEM = System(
    name="qwen2_audio",
    title="Qwen2-Audio",
    languages=("en", "zh"),
    licence="Apache-2.0",
    repositories=("Qwen/Qwen2-Audio-7B-Instruct",),
    recognises=recognised,
    load=load,
    write=write,
    manifest=manifest,
)
