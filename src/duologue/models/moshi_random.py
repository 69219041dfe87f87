"""A random Moshi, or PersonaPlex, in the published layout: for tests, load tests and a first try without downloads.

Its sizes are given under the published names, as ``config.json`` has them; the codec's under ``mimi``. What is not
given is small: 20 MB that run many times faster than real time on one core.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from duologue.checkpoints.files import CheckpointError
from duologue.checkpoints.keys import KeyTable, unfilled
from duologue.checkpoints.pieces import plain_model
from duologue.codecs import mimi as codec
from duologue.codecs.mimi import Mimi, MimiConfig
from duologue.models import moshi as system
from duologue.models.moshi import Dialogue, Moshi, MoshiLM
from duologue.models.moshi_config import MoshiConfig
from duologue.models.moshi_files import LM_FILE, MIMI_FILE, TEXT_FILE, sampling
from duologue.models.personaplex import personaplex as as_personaplex
from duologue.nn.linear import pack, quantize

LM: Mapping[str, Any] = {
    "dim": 128, "text_card": 1000, "existing_text_padding_id": 3, "n_q": 16, "dep_q": 8, "card": 256,
    "num_heads": 4, "num_layers": 4, "hidden_scale": 4.125, "causal": True, "layer_scale": None, "context": 3000,
    "max_period": 10000, "gating": "silu", "norm": "rms_norm_f32", "positional_embedding": "rope",
    "depformer_dim": 64, "depformer_dim_feedforward": 264, "depformer_num_heads": 4, "depformer_num_layers": 2,
    "depformer_layer_scale": None, "depformer_multi_linear": True, "depformer_gating": "silu",
    "depformer_pos_emb": "none", "depformer_weights_per_step": True, "delays": [0, *[0, *[1] * 7] * 2],
}  # fmt: skip
CODEC: Mapping[str, Any] = {
    "sample_rate": 24000, "channels": 1, "frame_rate": 12.5,
    "seanet": {
        "channels": 1, "dimension": 64, "causal": True, "n_filters": 4, "n_residual_layers": 1, "activation": "ELU",
        "compress": 2, "dilation_base": 2, "disable_norm_outer_blocks": 0, "kernel_size": 7, "residual_kernel_size": 3,
        "last_kernel_size": 3, "norm": "none", "pad_mode": "constant", "ratios": [8, 6, 5, 4], "true_skip": True,
    },
    "quantizer": {"dimension": 32, "n_q": 8, "bins": 256},
    "transformer": {
        "num_heads": 4, "num_layers": 2, "causal": True, "layer_scale": 0.01, "context": 250, "conv_layout": True,
        "max_period": 10000, "gating": "none", "norm": "layer_norm", "positional_embedding": "rope",
        "dim_feedforward": 128,
    },
}  # fmt: skip
VOICE_STEPS = 20
"""Frames of the packed voices."""

LOUDNESS = 0.05
"""Root mean square of what the random codec says."""


def write(system_name: str, directory: Path, *, seed: int = 0, sizes: Mapping[str, Any] | None = None) -> None:
    """Write a random ``moshi`` or ``personaplex`` into ``directory``. Raises :class:`CheckpointError`."""
    given = dict(sizes or {})
    codec_sizes = _merged(CODEC, given.pop("mimi", {}))
    personaplex = system_name == "personaplex"
    lm_sizes = {**LM, **({"dep_q": LM["n_q"]} if personaplex else {}), **given}
    try:
        lm_config, mimi_config = MoshiConfig.from_published(lm_sizes), MimiConfig.from_published(codec_sizes)
        text = plain_model(lm_config.text_card)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"sizes that make no model: {error}") from error
    if mimi_config.entries != lm_config.card or mimi_config.levels < max(lm_config.heard, lm_config.spoken):
        raise CheckpointError(
            f"a codec of {mimi_config.levels} codebooks of {mimi_config.entries} entries does not go with a language "
            f"model of {lm_config.heard} codebooks of {lm_config.card}"
        )
    directory.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    lm = unfilled(lambda: MoshiLM(lm_config), "cpu", torch.bfloat16)
    mimi = unfilled(lambda: Mimi(mimi_config), "cpu", torch.float32)
    _fill(lm, generator)
    _fill(mimi, generator)
    _soften(mimi)
    _save(lm, system.KEYS, directory / LM_FILE)
    _save(mimi, codec.KEYS, directory / MIMI_FILE, beside=_initialised(mimi_config))
    (directory / TEXT_FILE).write_bytes(text)
    about = {"model_type": system_name, "mimi_config_name": "mimi.json"}
    (directory / "config.json").write_text(json.dumps({**lm_sizes, **about}, indent=1))
    (directory / "mimi.json").write_text(json.dumps(_whole(codec_sizes), indent=1))
    if personaplex:
        _save_voices(lm_config, directory / "voices.tgz", generator)


def in_memory(
    system_name: str,
    *,
    device: torch.device | str,
    dtype: torch.dtype,
    bits: int | None = None,
    seed: int = 0,
    config: MoshiConfig | None = None,
    codec_config: MimiConfig | None = None,
) -> Moshi:
    """``moshi`` or ``personaplex``, of the published size unless told otherwise, with random weights, made where it
    will run: for measuring what a machine holds, without a download. It has no text tokenizer and no voices."""
    config = config or MoshiConfig()
    if system_name == "personaplex":
        config = as_personaplex(replace(config, dep_q=config.n_q))
    generator = torch.Generator(device).manual_seed(seed)
    lm = unfilled(lambda: MoshiLM(config), device, dtype)
    mimi = unfilled(lambda: Mimi(codec_config or MimiConfig()), device, torch.float32)
    _fill(lm, generator)
    _fill(mimi, generator)
    mimi.quantizer.settle()
    quantize(lm) if bits == 8 else pack(lm)
    pack(mimi)
    return Moshi(mimi, Dialogue(lm, *sampling({})))


def _whole(codec: Mapping[str, Any]) -> Mapping[str, Any]:
    """With all the widths that Kyutai's loader wants to be told, as it takes the file for the whole configuration."""
    dim = codec["seanet"]["dimension"]
    widths = {
        "quantizer": {"input_dimension": dim, "output_dimension": dim},
        "transformer": {"d_model": dim, "input_dimension": dim, "output_dimensions": [dim]},
    }
    return _merged(codec, widths)


def _merged(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` over ``base``, one level deep."""
    both = {**base, **given}
    return {
        key: {**base[key], **value} if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in both.items()
    }


def _fill(model: nn.Module, generator: torch.Generator) -> None:
    """Norms, scales and usages near one, all else so that a layer's output is about as large as its input."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator, device=parameter.device, dtype=_noise_type(parameter))
        near_one = any(part in name for part in ("norm", "scale", "usage"))
        with torch.no_grad():
            parameter.copy_(1 + 0.1 * noise if near_one else noise / parameter.shape[-1] ** 0.5)


def _noise_type(parameter: torch.Tensor) -> torch.dtype:
    """Files are the same wherever they are written, so noise is drawn in float32; a GPU need not hold that much."""
    return torch.float32 if parameter.device.type == "cpu" else parameter.dtype


def _soften(mimi: Mimi) -> None:
    """Let it be about as loud as a person: noise that a wave can hold."""
    mimi.quantizer.settle()
    codes = torch.arange(50).remainder(mimi.config.entries).expand(1, mimi.config.levels, 50)
    with torch.no_grad():
        loud = mimi.decode(codes).square().mean().sqrt()
        last = list(mimi.decoder.parameters())[-2:]  # of the last convolution: weight and bias
        for parameter in last:
            parameter.mul_(LOUDNESS / loud)


def _save(model: nn.Module, table: KeyTable, path: Path, *, beside: Mapping[str, torch.Tensor] | None = None) -> None:
    published = {name: view.contiguous().clone() for name, view in table.published(model).items()}
    save_file({**published, **(beside or {})}, path)


def _initialised(config: MimiConfig) -> dict[str, torch.Tensor]:
    """What is in the published file and nobody reads, but Kyutai's loader misses."""
    books = [("first", 0), *(("rest", level) for level in range(config.levels - 1))]
    return {f"quantizer.rvq_{half}.vq.layers.{n}._codebook._initialized": torch.ones(1) for half, n in books}


def _save_voices(config: MoshiConfig, path: Path, generator: torch.Generator) -> None:
    """Two packed voices, as PersonaPlex publishes them."""
    slots = config.columns.max_delay + 3
    with tarfile.open(path, "w:gz") as tar:
        for name in ("NATF0", "NATM0"):
            packed = {
                "embeddings": torch.randn(VOICE_STEPS, 1, 1, config.dim, generator=generator).bfloat16(),
                "cache": torch.randint(0, 4, (1, 1 + config.n_q, slots), generator=generator),
            }
            data = io.BytesIO()
            torch.save(packed, data)
            member = tarfile.TarInfo(f"voices/{name}.pt")
            member.size = data.tell()
            data.seek(0)
            tar.addfile(member, data)
