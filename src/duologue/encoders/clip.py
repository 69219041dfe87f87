"""CLIP's picture encoder (arXiv 2103.00020), all tokens of it, as Mini-Omni2's fork of CLIP gives them.

    picture → 224 × 224 → patches of 32 → class token and 49 patches → blocks → norm → projection, each token

OpenAI's own keeps the class token only.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from duologue.checkpoints.keys import Key, KeyTable
from duologue.nn.cache import Around
from duologue.nn.decoder import Decoder, DecoderConfig

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class ClipConfig:
    """The encoder's shape; the defaults are ViT-B/32's."""

    size: int = 224
    patch: int = 32
    dim: int = 768
    layers: int = 12
    heads: int = 12
    out: int = 512

    @property
    def tokens(self) -> int:
        return 1 + (self.size // self.patch) ** 2

    @property
    def blocks(self) -> DecoderConfig:
        return DecoderConfig(
            self.dim, self.layers, self.heads, 4 * self.dim, norm="layer", eps=1e-5, gated=False, activation="quick",
            biases="all", rope=None,
        )  # fmt: skip


class Clip(nn.Module):
    """The encoder."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.patches = nn.Conv2d(3, config.dim, config.patch, config.patch, bias=False)
        self.first = nn.Parameter(torch.empty(config.dim))
        self.positions = nn.Parameter(torch.empty(config.tokens, config.dim))
        self.norm_before = nn.LayerNorm(config.dim, eps=1e-5)
        self.blocks = Decoder(config.blocks)
        self.norm_after = nn.LayerNorm(config.dim, eps=1e-5)
        self.projection = nn.Parameter(torch.empty(config.dim, config.out))

    def forward(self, pixels: Tensor) -> Tensor:
        """[N, 3, size, size] → [N, tokens, out]."""
        x = self.patches(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(len(x), 1, -1), x], dim=1) + self.positions
        x = self.blocks(self.norm_before(x), Around(x.shape[1], None, x.device))
        out: Tensor = self.norm_after(x) @ self.projection
        return out


def pixels(picture: Image.Image, size: int = 224) -> Tensor:
    """A picture as the encoder is given it: [3, size, size]. Its shorter side fills the square, its middle is taken."""
    width, height = picture.size
    short, long = min(width, height), max(width, height)
    other = int(size * long / short)
    new = (size, other) if width <= height else (other, size)
    resized = picture.convert("RGB").resize(new, Image.Resampling.BICUBIC)
    left, top = round((new[0] - size) / 2), round((new[1] - size) / 2)
    cut = np.asarray(resized.crop((left, top, left + size, top + size)), np.float32) / 255
    values = (cut - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))


def read(file: bytes, size: int = 224) -> Tensor:
    """The same from a PNG or JPEG, turned as its camera was held. Raises ``ValueError`` for what is neither."""
    try:
        with Image.open(io.BytesIO(file), formats=("PNG", "JPEG")) as image:
            return pixels(ImageOps.exif_transpose(image), size)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"that is no picture that can be read: {error}") from error


def _keys() -> KeyTable:
    block, own = "visual.transformer.resblocks.{i}.", "blocks.layers.{i}."
    pairs = {"attn.out_proj": "out", "ln_1": "norm_attn", "ln_2": "norm_mlp", "mlp.c_fc": "up", "mlp.c_proj": "down"}
    return KeyTable(
        Key("visual.conv1.weight", "patches.weight"),
        Key("visual.class_embedding", "first"),
        Key("visual.positional_embedding", "positions"),
        Key("visual.ln_pre.{p}", "norm_before.{p}"),
        Key("visual.ln_post.{p}", "norm_after.{p}"),
        Key("visual.proj", "projection"),
        Key(f"{block}attn.in_proj_weight", f"{own}qkv.weight"),
        Key(f"{block}attn.in_proj_bias", f"{own}qkv.bias"),
        *(Key(f"{block}{theirs}.{{p}}", f"{own}{ours}.{{p}}") for theirs, ours in pairs.items()),
    )


KEYS = _keys()
"""OpenAI's names."""
