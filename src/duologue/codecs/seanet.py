"""SEANet (arXiv 2009.02095): a wave as a slow sequence of wide vectors, and back, by causal convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duologue.nn.conv import CausalConv1d, CausalConvTranspose1d, Chain, Residual, Streaming


@dataclass(frozen=True, slots=True)
class SEANetConfig:
    """Sizes, under the published names."""

    dimension: int = 512
    """Channels of the slow sequence."""
    n_filters: int = 64
    """Channels at the wave's rate; they double with every stride."""
    n_residual_layers: int = 1
    ratios: tuple[int, ...] = (8, 6, 5, 4)
    """The decoder's strides; the encoder's are the same, backwards."""
    kernel_size: int = 7
    last_kernel_size: int = 3
    residual_kernel_size: int = 3
    dilation_base: int = 2
    """Residual layer j is dilated by its j-th power."""
    compress: int = 2
    """A residual block is so many times narrower inside."""

    @property
    def hop(self) -> int:
        """Samples a vector."""
        hop = 1
        for ratio in self.ratios:
            hop *= ratio
        return hop

    @classmethod
    def from_published(cls, seanet: Mapping[str, Any]) -> SEANetConfig:
        """From the ``seanet`` section of a Mimi configuration."""
        fixed = {
            "channels": 1,
            "causal": True,
            "activation": "ELU",
            "disable_norm_outer_blocks": 0,
            "norm": "none",
            "pad_mode": "constant",
            "true_skip": True,
        }
        for key, value in fixed.items():
            if seanet.get(key, value) != value:
                raise ValueError(f"SEANet with {key}={seanet[key]!r} is not supported (only {value!r})")
        names = set(cls.__slots__)
        if unknown := set(seanet) - names - set(fixed):
            raise ValueError(f"unknown SEANet settings: {', '.join(sorted(unknown))}")
        values = {key: value for key, value in seanet.items() if key in names}
        return cls(**values | {"ratios": tuple(values.get("ratios", cls().ratios))})


def _residuals(config: SEANetConfig, channels: int) -> list[Streaming | None]:
    c = config
    narrow = channels // c.compress
    return [
        Residual([
            None,
            CausalConv1d(channels, narrow, c.residual_kernel_size, dilation=c.dilation_base**j, elu=True),
            None,
            CausalConv1d(narrow, channels, 1, elu=True),
        ])
        for j in range(c.n_residual_layers)
    ]


def seanet_encoder(config: SEANetConfig) -> Chain:
    """Wave [N, T, 1] → [N, T / hop, dimension]."""
    c = config
    layers: list[Streaming | None] = [CausalConv1d(1, c.n_filters, c.kernel_size)]
    channels = c.n_filters
    for stride in reversed(c.ratios):
        layers += _residuals(c, channels)
        layers += [None, CausalConv1d(channels, 2 * channels, 2 * stride, stride=stride, elu=True)]
        channels *= 2
    return Chain([*layers, None, CausalConv1d(channels, c.dimension, c.last_kernel_size, elu=True)])


def seanet_decoder(config: SEANetConfig) -> Chain:
    """[N, T, dimension] → wave [N, T · hop, 1], neither squashed nor clipped."""
    c = config
    channels = c.n_filters * 2 ** len(c.ratios)
    layers: list[Streaming | None] = [CausalConv1d(c.dimension, channels, c.kernel_size)]
    for stride in c.ratios:
        layers += [None, CausalConvTranspose1d(channels, channels // 2, 2 * stride, stride=stride, elu=True)]
        channels //= 2
        layers += _residuals(c, channels)
    return Chain([*layers, None, CausalConv1d(channels, 1, c.last_kernel_size, elu=True)])
