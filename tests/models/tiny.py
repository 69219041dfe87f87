"""Small models with random weights, and the golden cases' folder."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from duologue.checkpoints.keys import unfilled
from duologue.codecs.mimi import Mimi, MimiConfig
from duologue.codecs.seanet import SEANetConfig
from duologue.models.moshi import MoshiLM
from duologue.models.moshi_config import MoshiConfig

M = TypeVar("M", bound=nn.Module)

GOLDEN = Path(__file__).parent.parent / "golden" / "moshi"

LM = MoshiConfig(
    dim=32, layers=2, heads=4, hidden=48, context=7, text_card=40, n_q=6, dep_q=3, spoken=3, card=24,
    depth_dim=16, depth_layers=2, depth_heads=2, depth_hidden=24, delays=(0, 0, 1, 1, 0, 1, 1),
)  # fmt: skip
"""A language model whose ring is soon full."""

MIMI = MimiConfig(
    sample_rate=600, frame_rate=25.0, heads=2, layers=1, hidden=32, context=6,
    codebook_dim=8, levels=4, entries=24,
    seanet=SEANetConfig(dimension=16, n_filters=2, ratios=(3, 2, 2)),
)  # fmt: skip
"""A codec of 24 samples a frame whose ring is full after three."""


def filled(model: M, seed: int = 0) -> M:
    """The model with every parameter drawn at random, norms and scales near one."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        near_one = "norm" in name or "scale" in name or "usage" in name
        with torch.no_grad():
            parameter.copy_(1 + 0.1 * noise if near_one else noise / parameter.shape[-1] ** 0.5)
    return model.requires_grad_(False)


def lm(config: MoshiConfig = LM, seed: int = 0) -> MoshiLM:
    return filled(unfilled(lambda: MoshiLM(config), "cpu", torch.float32), seed)


def mimi(seed: int = 0) -> Mimi:
    model = filled(unfilled(lambda: Mimi(MIMI), "cpu", torch.float32), seed)
    model.quantizer.settle()
    return model
