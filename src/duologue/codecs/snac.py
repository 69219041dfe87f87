"""SNAC: a wave as three rows of codes, each twice as fine as the one before (arXiv 2410.14411; hubertsiuzdak/snac).

    wave → strided convolutions → residual quantizers at 1/4, 1/2 and all of the latent rate → codes [F], [2F], [4F]
    codes → their vectors, repeated to one rate and added → transposed convolutions → wave

At 24 kHz a step of the coarsest row is 2048 samples (85 ms). Nothing in it is causal: a latent step reaches 4757
samples to either side, so a stream needs three coarse steps of context on both. The decoder mixes in noise, which the
reference draws anew at every call; here it is given, or none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duologue.checkpoints.keys import Key, KeyTable

CONTEXT = 3
"""Coarse steps on either side that a step's samples depend on."""


@dataclass(frozen=True, slots=True)
class SnacConfig:
    """Sizes under the published names; the defaults are ``snac_24khz``'s."""

    sampling_rate: int = 24_000
    encoder_dim: int = 48
    encoder_rates: tuple[int, ...] = (2, 4, 8, 8)
    decoder_dim: int = 1024
    decoder_rates: tuple[int, ...] = (8, 8, 4, 2)
    codebook_size: int = 4096
    codebook_dim: int = 8
    vq_strides: tuple[int, ...] = (4, 2, 1)

    @property
    def latent(self) -> int:
        return self.encoder_dim << len(self.encoder_rates)

    @property
    def frame(self) -> int:
        """Samples of a step of the coarsest row."""
        return prod(self.encoder_rates) * self.vq_strides[0]

    @classmethod
    def from_published(cls, raw: Mapping[str, Any]) -> SnacConfig:
        """From ``config.json``. ``ValueError`` for a codec of another kind."""
        wanted = {"attn_window_size": None, "noise": True, "depthwise": True}
        if wrong := [f"{key}={raw[key]!r}" for key, value in wanted.items() if raw.get(key, value) != value]:
            raise ValueError(f"a SNAC with {', '.join(wrong)} is not supported")
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items() if k in known}
        return cls(**values)


class Snake(nn.Module):
    """x + sin²(a·x)/a, a for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.empty(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + (self.alpha * x).sin().square() / (self.alpha + 1e-9)
        return out


class ResidualUnit(nn.Module):
    """A depthwise convolution and one of width 1, each with a Snake before."""

    def __init__(self, dim: int, dilation: int) -> None:
        super().__init__()
        wide = nn.Conv1d(dim, dim, 7, dilation=dilation, padding=3 * dilation, groups=dim)
        self.block = nn.Sequential(Snake(dim), wide, Snake(dim), nn.Conv1d(dim, dim, 1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.block(x)
        return out


def _units(dim: int) -> list[ResidualUnit]:
    return [ResidualUnit(dim, dilation) for dilation in (1, 3, 9)]


class Shorten(nn.Module):
    """A block of the encoder: the rate falls by ``stride``, the channels double."""

    def __init__(self, dim: int, stride: int) -> None:
        super().__init__()
        strided = nn.Conv1d(dim, 2 * dim, 2 * stride, stride, padding=-(-stride // 2))
        self.block = nn.Sequential(*_units(dim), Snake(dim), strided)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block(x)
        return out


class Noise(nn.Module):
    """One channel of noise, shaped by what it is added to."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(dim, dim, 1, bias=False)

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        return x if noise is None else x + noise * self.linear(x)


class Lengthen(nn.Module):
    """A block of the decoder: the rate rises by ``stride``."""

    def __init__(self, dim: int, out: int, stride: int) -> None:
        super().__init__()
        up = nn.ConvTranspose1d(dim, out, 2 * stride, stride, padding=-(-stride // 2), output_padding=stride % 2)
        self.block = nn.ModuleList([Snake(dim), up, Noise(out), *_units(out)])

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        for layer in self.block:
            x = layer(x, noise) if isinstance(layer, Noise) else layer(x)
        return x


class Encoder(nn.Module):
    def __init__(self, config: SnacConfig) -> None:
        super().__init__()
        dim = config.encoder_dim
        layers: list[nn.Module] = [nn.Conv1d(1, dim, 7, padding=3)]
        for stride in config.encoder_rates:
            layers.append(Shorten(dim, stride))
            dim *= 2
        self.block = nn.Sequential(*layers, nn.Conv1d(dim, dim, 7, padding=3, groups=dim))

    def forward(self, wave: Tensor) -> Tensor:
        out: Tensor = self.block(wave)
        return out


class Decoder(nn.Module):
    def __init__(self, config: SnacConfig) -> None:
        super().__init__()
        latent, dim = config.latent, config.decoder_dim
        layers: list[nn.Module] = [nn.Conv1d(latent, latent, 7, padding=3, groups=latent), nn.Conv1d(latent, dim, 1)]
        for stride in config.decoder_rates:
            layers.append(Lengthen(dim, dim // 2, stride))
            dim //= 2
        self.model = nn.ModuleList([*layers, Snake(dim), nn.Conv1d(dim, 1, 7, padding=3)])

    def forward(self, z: Tensor, noise: Sequence[Tensor] | None) -> Tensor:
        left = list(noise) if noise is not None else None
        for layer in self.model:
            noisy = isinstance(layer, Lengthen)
            z = layer(z, left.pop(0) if left is not None else None) if noisy else layer(z)
        return z.tanh()


class Quantizer(nn.Module):
    """One row of codes, ``stride`` latent steps each."""

    def __init__(self, config: SnacConfig, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.in_proj = nn.Conv1d(config.latent, config.codebook_dim, 1)
        self.out_proj = nn.Conv1d(config.codebook_dim, config.latent, 1)
        self.codebook = nn.Embedding(config.codebook_size, config.codebook_dim)

    def encode(self, z: Tensor) -> Tensor:
        """[N, latent, T] → codes [N, T / stride]: the nearest by angle."""
        x = self.in_proj(F.avg_pool1d(z, self.stride, self.stride)) if self.stride > 1 else self.in_proj(z)
        likeness = F.normalize(x.transpose(1, 2), dim=-1) @ F.normalize(self.codebook.weight, dim=-1).T
        return likeness.argmax(-1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [N, T / stride] → [N, latent, T]."""
        out: Tensor = self.out_proj(self.codebook(codes).transpose(1, 2))
        return out.repeat_interleave(self.stride, dim=-1)


class Quantizers(nn.Module):
    """All rows, each for what the ones before it left."""

    def __init__(self, config: SnacConfig) -> None:
        super().__init__()
        self.quantizers = nn.ModuleList(Quantizer(config, stride) for stride in config.vq_strides)

    @property
    def _rows(self) -> list[Quantizer]:
        return [each for each in self.quantizers if isinstance(each, Quantizer)]

    def encode(self, z: Tensor) -> list[Tensor]:
        codes = []
        for quantizer in self._rows:
            codes.append(quantizer.encode(z))
            z = z - quantizer.decode(codes[-1])
        return codes

    def decode(self, codes: Sequence[Tensor]) -> Tensor:
        return torch.stack([q.decode(row) for q, row in zip(self._rows, codes, strict=True)]).sum(0)


class Snac(nn.Module):
    """The codec."""

    def __init__(self, config: SnacConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quantizer = Quantizers(config)
        self.decoder = Decoder(config)

    def latent(self, wave: Tensor) -> Tensor:
        """[N, 1, samples] → [N, latent, T], filled up with silence to whole coarse steps."""
        out: Tensor = self.encoder(F.pad(wave, (0, -wave.shape[-1] % self.config.frame)))
        return out

    def encode(self, wave: Tensor) -> list[Tensor]:
        """[N, 1, samples] → codes [N, F], [N, 2F], [N, 4F]."""
        return self.quantizer.encode(self.latent(wave))

    def decode(self, codes: Sequence[Tensor], noise: Sequence[Tensor] | None = None) -> Tensor:
        """Codes [N, F], [N, 2F], [N, 4F] → [N, 1, samples]. ``noise``: [N, 1, T] for each block of the decoder."""
        out: Tensor = self.decoder(self.quantizer.decode(codes), noise)
        return out

    def noise_shapes(self, steps: int) -> list[int]:
        """How many values of noise each block takes for so many latent steps."""
        shapes = []
        for stride in self.config.decoder_rates:
            steps *= stride
            shapes.append(steps)
        return shapes


def by_layers(frames: Tensor) -> list[Tensor]:
    """Mini-Omni's seven layers [7, F] of each coarse step as SNAC's rows [1, F], [1, 2F], [1, 4F]."""
    order = ((0,), (1, 4), (2, 3, 5, 6))
    return [frames[list(rows)].T.reshape(1, -1) for rows in order]


KEYS = KeyTable(
    Key("encoder.block.{a}.{p}", "encoder.block.{a}.{p}"),
    Key("encoder.block.{a}.block.{b}.{p}", "encoder.block.{a}.block.{b}.{p}"),
    Key("encoder.block.{a}.block.{b}.block.{c}.{p}", "encoder.block.{a}.block.{b}.block.{c}.{p}"),
    Key("quantizer.quantizers.{a}.{b}.{p}", "quantizer.quantizers.{a}.{b}.{p}"),
    Key("decoder.model.{a}.{p}", "decoder.model.{a}.{p}"),
    Key("decoder.model.{a}.block.{b}.{p}", "decoder.model.{a}.block.{b}.{p}"),
    Key("decoder.model.{a}.block.{b}.linear.{p}", "decoder.model.{a}.block.{b}.linear.{p}"),
    Key("decoder.model.{a}.block.{b}.block.{c}.{p}", "decoder.model.{a}.block.{b}.block.{c}.{p}"),
)
"""The published names once the weight norm is folded; they say where in the stack a layer stands, as ours do."""
