"""Whisper's encoder (arXiv 2212.04356, figure 1), all sizes, for many sounds at once.

    log-mel [mels, F] → two convolutions, the second halving the rate → + positions → blocks, each seeing everything

50 steps a second come out. It is trained, and in the references run, on windows of 30 s with silence at the end. Steps
beyond a sound's own can be kept out of sight of the others (Qwen2-Audio does, Whisper itself does not).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duologue.checkpoints.keys import Key
from duologue.nn.cache import Around
from duologue.nn.decoder import Decoder, DecoderConfig


@dataclass(frozen=True, slots=True)
class WhisperConfig:
    """An encoder's shape; the defaults are large-v3's."""

    mels: int = 128
    dim: int = 1280
    layers: int = 32
    heads: int = 20
    hidden: int = 5120
    steps: int = 1500
    """Rows of the table of positions: half the frames of a window."""

    @classmethod
    def from_openai(cls, dims: Mapping[str, int]) -> WhisperConfig:
        """From the ``dims`` in OpenAI's own files. ``KeyError`` for one that is not there."""
        dim = dims["n_audio_state"]
        return cls(dims["n_mels"], dim, dims["n_audio_layer"], dims["n_audio_head"], 4 * dim, dims["n_audio_ctx"])

    @property
    def blocks(self) -> DecoderConfig:
        return DecoderConfig(
            self.dim, self.layers, self.heads, self.hidden, norm="layer", eps=1e-5, gated=False, biases="all", rope=None
        )


class Whisper(nn.Module):
    """The encoder without its last norm, which some models put elsewhere: :attr:`norm`."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.config = config
        self.conv1 = nn.Conv1d(config.mels, config.dim, 3, padding=1)
        self.conv2 = nn.Conv1d(config.dim, config.dim, 3, stride=2, padding=1)
        self.positions = nn.Parameter(torch.empty(config.steps, config.dim))
        self.blocks = Decoder(config.blocks)
        self.norm = nn.LayerNorm(config.dim, eps=1e-5)

    def stem(self, mel: Tensor) -> Tensor:
        """[N, mels, F] → [N, F/2, dim]: what the first block reads."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        return x + self.positions[: x.shape[1]]

    def forward(self, mel: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[N, mels, F] → [N, F/2, dim], not normed. ``lengths`` int64 [N]: the steps that may be seen."""
        x = self.stem(mel)
        out: Tensor = self.blocks(x, Around(x.shape[1], lengths, x.device))
        return out


def transformers_keys(prefix: str, ours: str, dim: int) -> tuple[Key, ...]:
    """How transformers' files name the encoder's tensors, ``prefix`` before them and ``ours`` before our names.

    The keys' projection has no bias.
    """
    block, own = f"{prefix}layers.{{i}}.", f"{ours}blocks.layers.{{i}}."
    attention = f"{block}self_attn."
    return (
        Key(f"{prefix}conv1.weight",                  f"{ours}conv1.weight"),
        Key(f"{prefix}conv1.bias",                    f"{ours}conv1.bias"),
        Key(f"{prefix}conv2.weight",                  f"{ours}conv2.weight"),
        Key(f"{prefix}conv2.bias",                    f"{ours}conv2.bias"),
        Key(f"{prefix}embed_positions.weight",        f"{ours}positions"),
        Key(f"{block}self_attn_layer_norm.weight",    f"{own}norm_attn.weight"),
        Key(f"{block}self_attn_layer_norm.bias",      f"{own}norm_attn.bias"),
        Key(f"{attention}q_proj.weight",              f"{own}qkv.weight", rows=range(dim)),
        Key(f"{attention}k_proj.weight",              f"{own}qkv.weight", rows=range(dim, 2 * dim)),
        Key(f"{attention}v_proj.weight",              f"{own}qkv.weight", rows=range(2 * dim, 3 * dim)),
        Key(f"{attention}q_proj.bias",                f"{own}qkv.bias", rows=range(dim)),
        Key(f"{attention}v_proj.bias",                f"{own}qkv.bias", rows=range(2 * dim, 3 * dim)),
        Key(f"{attention}out_proj.weight",            f"{own}out.weight"),
        Key(f"{attention}out_proj.bias",              f"{own}out.bias"),
        Key(f"{block}final_layer_norm.weight",        f"{own}norm_mlp.weight"),
        Key(f"{block}final_layer_norm.bias",          f"{own}norm_mlp.bias"),
        Key(f"{block}fc1.weight",                     f"{own}up.weight"),
        Key(f"{block}fc1.bias",                       f"{own}up.bias"),
        Key(f"{block}fc2.weight",                     f"{own}down.weight"),
        Key(f"{block}fc2.bias",                       f"{own}down.bias"),
        Key(f"{prefix}layer_norm.weight",             f"{ours}norm.weight"),
        Key(f"{prefix}layer_norm.bias",               f"{ours}norm.bias"),
    )  # fmt: skip


def openai_keys(prefix: str, ours: str, dim: int) -> tuple[Key, ...]:
    """How OpenAI's own files name them (``large-v3.pt``: ``encoder.`` before them)."""
    block, own = f"{prefix}blocks.{{i}}.", f"{ours}blocks.layers.{{i}}."
    parts = {"query": range(dim), "key": range(dim, 2 * dim), "value": range(2 * dim, 3 * dim)}
    pairs = {"attn_ln": "norm_attn", "attn.out": "out", "mlp_ln": "norm_mlp", "mlp.0": "up", "mlp.2": "down"}
    kinds = ("weight", "bias")
    return (
        *(Key(f"{prefix}{each}.{kind}", f"{ours}{each}.{kind}") for each in ("conv1", "conv2") for kind in kinds),
        Key(f"{prefix}positional_embedding", f"{ours}positions"),
        *(
            Key(f"{block}attn.{part}.{kind}", f"{own}qkv.{kind}", rows=rows)
            for part, rows in parts.items()
            for kind in kinds
            if (part, kind) != ("key", "bias")
        ),
        *(Key(f"{block}{theirs}.{kind}", f"{own}{mine}.{kind}") for theirs, mine in pairs.items() for kind in kinds),
        *(Key(f"{prefix}ln_post.{kind}", f"{ours}norm.{kind}") for kind in kinds),
    )
