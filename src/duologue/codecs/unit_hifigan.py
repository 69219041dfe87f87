"""CodeHiFiGAN (arXiv 2104.00355, fairseq's ``CodeHiFiGANVocoder``): discrete units as a wave.

A unit is a cluster of HuBERT frames, repeats merged. Its embedding tells a small network how many frames of 20 ms it
lasts; repeated so often, the embeddings go through HiFi-GAN's generator (arXiv 2010.05646), 320 samples a frame at
16 kHz. One voice, no pitch input. Everything looks both ways: :mod:`duologue.codecs.unit_stream` makes a stream of it.

Rows of unequal length are padded on the right and masked before every convolution, which is what the zeros beyond
the end of a sequence are to a convolution: each row gives what it gives alone.
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

SLOPE = 0.1
"""Of the leaky rectifiers inside the generator; before the last convolution it is torch's 0.01."""


@dataclass(frozen=True, slots=True)
class UnitHiFiGANConfig:
    """Sizes under the published names, those of the mHuBERT vocoder in English."""

    upsample_rates: tuple[int, ...] = (5, 4, 4, 2, 2)
    upsample_kernel_sizes: tuple[int, ...] = (11, 8, 8, 4, 4)
    upsample_initial_channel: int = 512
    """Halved with every upsampling."""
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    num_embeddings: int = 1000
    embedding_dim: int = 128
    duration_dim: int = 128
    duration_kernel: int = 3
    sampling_rate: int = 16_000

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return prod(self.upsample_rates)

    @property
    def reach(self) -> tuple[int, int]:
        """How many frames before a frame, and after it, its samples depend on."""
        low, high = 0, self.hop - 1
        low, high = low - 3, high + 3  # conv_post, a kernel of 7
        blocks = zip(self.resblock_kernel_sizes, self.resblock_dilation_sizes, strict=True)
        widest = max((kernel - 1) // 2 * sum(d + 1 for d in dilations) for kernel, dilations in blocks)
        for rate, kernel in zip(reversed(self.upsample_rates), reversed(self.upsample_kernel_sizes), strict=True):
            low, high, pad = low - widest, high + widest, (kernel - rate) // 2
            low, high = -((kernel - 1 - low - pad) // rate), (high + pad) // rate
        return 3 - low, 3 + high

    @property
    def duration_reach(self) -> int:
        """How many units on either side a unit's duration depends on."""
        return (self.duration_kernel - 1) // 2 + 1

    @classmethod
    def from_published(cls, raw: Mapping[str, Any]) -> UnitHiFiGANConfig:
        """From the vocoder's ``config.json``. ``ValueError`` for a vocoder of another kind."""
        for key in ("f0", "multispkr", "multistream"):
            if raw.get(key):
                raise ValueError(f"a unit vocoder with {key}={raw[key]!r} is not supported: units are all it may take")
        duration = raw.get("dur_predictor_params")
        if not duration:
            raise ValueError("a unit vocoder without dur_predictor_params: merged units need their durations predicted")
        known = {f.name for f in fields(cls)}
        values = {key: _frozen(value) for key, value in raw.items() if key in known}
        made = cls(
            **values
            | {"duration_dim": duration["var_pred_hidden_dim"], "duration_kernel": duration["var_pred_kernel_size"]}
        )
        if raw.get("model_in_dim", made.embedding_dim) != made.embedding_dim:
            raise ValueError(f"model_in_dim {raw['model_in_dim']} is not the units' embedding_dim {made.embedding_dim}")
        if raw.get("code_hop_size", made.hop) != made.hop:
            raise ValueError(f"code_hop_size {raw['code_hop_size']} is not the product of upsample_rates, {made.hop}")
        return made


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def mask_of(lengths: Sequence[int], like: Tensor) -> Tensor | None:
    """[N, 1, longest], one where a row has something; ``None`` where all are as long as the longest."""
    longest = max(lengths)
    if min(lengths) == longest:
        return None
    steps = torch.arange(longest, device=like.device)
    return (steps < torch.tensor(lengths, device=like.device)[:, None])[:, None].to(like.dtype)


def masked(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask


def padded(sequences: Sequence[Tensor]) -> Tensor:
    """Sequences [T] of units as one int64 [N, longest]."""
    return nn.utils.rnn.pad_sequence(list(sequences), batch_first=True)


class DurationPredictor(nn.Module):
    """Two convolutions over the units, each with a layer norm behind."""

    def __init__(self, config: UnitHiFiGANConfig) -> None:
        super().__init__()
        dim, kernel = config.duration_dim, config.duration_kernel
        self.conv1 = nn.Conv1d(config.embedding_dim, dim, kernel, padding=(kernel - 1) // 2)
        self.ln1 = nn.LayerNorm(dim)
        self.conv2 = nn.Conv1d(dim, dim, kernel, padding=1)
        self.ln2 = nn.LayerNorm(dim)
        self.proj = nn.Linear(dim, 1)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Embeddings [N, dim, T] → log(1 + frames), float32 [N, T]."""
        x = self.ln1(F.relu(self.conv1(masked(x, mask))).transpose(1, 2)).transpose(1, 2)
        x = self.ln2(F.relu(self.conv2(masked(x, mask))).transpose(1, 2))
        out: Tensor = self.proj(x)[..., 0]
        return out.float()


class ResBlock(nn.Module):
    """Residual pairs of convolutions, the first of each pair dilated."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()

        def conv(dilation: int) -> nn.Conv1d:
            return nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=(kernel - 1) // 2 * dilation)

        self.convs1 = nn.ModuleList(conv(dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(conv(1) for _ in dilations)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for first, second in zip(self.convs1, self.convs2, strict=True):
            inner = first(masked(F.leaky_relu(x, SLOPE), mask))
            x = x + second(masked(F.leaky_relu(inner, SLOPE), mask))
        return x


class UnitHiFiGAN(nn.Module):
    """Embedding, durations and generator."""

    def __init__(self, config: UnitHiFiGANConfig) -> None:
        super().__init__()
        c = config
        self.config = c
        self.embedding = nn.Embedding(c.num_embeddings, c.embedding_dim)
        self.dur_predictor = DurationPredictor(c)
        channels = c.upsample_initial_channel
        self.conv_pre = nn.Conv1d(c.embedding_dim, channels, 7, padding=3)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        for rate, kernel in zip(c.upsample_rates, c.upsample_kernel_sizes, strict=True):
            up = nn.ConvTranspose1d(channels, channels // 2, kernel, stride=rate, padding=(kernel - rate) // 2)
            self.ups.append(up)
            channels //= 2
            for size, dilations in zip(c.resblock_kernel_sizes, c.resblock_dilation_sizes, strict=True):
                self.resblocks.append(ResBlock(channels, size, dilations))
        self.conv_post = nn.Conv1d(channels, 1, 7, padding=3)

    def log_durations(self, units: Tensor, lengths: Sequence[int]) -> Tensor:
        """Units int64 [N, T] of so many each → log(1 + frames), float32 [N, T]."""
        x = self.embedding(units).transpose(1, 2)
        out: Tensor = self.dur_predictor(x, mask_of(lengths, x))
        return out

    def durations(self, units: Tensor, lengths: Sequence[int]) -> Tensor:
        """How many frames each unit lasts, at least one: int64 [N, T]."""
        frames = torch.round(torch.exp(self.log_durations(units, lengths)) - 1)
        return frames.to(torch.int64).clamp(min=1)

    def render(self, frames: Tensor, lengths: Sequence[int]) -> Tensor:
        """The unit of each frame, int64 [N, T] of so many frames each → wave [N, T · hop] within ±1.

        Beyond a row's own end the wave means nothing.
        """
        x = self.embedding(frames).transpose(1, 2)
        mask = mask_of(lengths, x)
        x = self.conv_pre(masked(x, mask))
        blocks, kinds = iter(self.resblocks), len(self.config.resblock_kernel_sizes)
        for up, rate in zip(self.ups, self.config.upsample_rates, strict=True):
            x = up(masked(F.leaky_relu(x, SLOPE), mask))
            mask = None if mask is None else mask.repeat_interleave(rate, dim=2)
            x = torch.stack([next(blocks)(x, mask) for _ in range(kinds)]).sum(0) / kinds
        return torch.tanh(self.conv_post(masked(F.leaky_relu(x), mask)))[:, 0]

    def forward(self, units: Tensor, timed: bool = True) -> Tensor:
        """A whole utterance, as fairseq makes it: units int64 [T] → wave [samples].

        Units below 0 are left out. Not ``timed``: each unit lasts one frame. No units, no samples.
        """
        units = units[units >= 0]
        if not len(units):
            return self.conv_post.weight.new_zeros(0)
        if timed:
            units = units.repeat_interleave(self.durations(units[None], [len(units)])[0])
        return self.render(units[None], [len(units)])[0]


KEYS = KeyTable(
    Key("dict.weight", "embedding.weight"),
    Key("dur_predictor.conv{i}.0.{p}", "dur_predictor.conv{i}.{p}"),
    Key("dur_predictor.{layer}.{p}", "dur_predictor.{layer}.{p}"),
    Key("conv_{end}.{p}", "conv_{end}.{p}"),
    Key("ups.{i}.{p}", "ups.{i}.{p}"),
    Key("resblocks.{i}.{convs}.{j}.{p}", "resblocks.{i}.{convs}.{j}.{p}"),
)
"""fairseq's names of the generator's tensors once the weight norm is folded."""
