"""Rotary positions and attention."""

from __future__ import annotations

from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

Rope = Literal["interleaved", "half"]
"""Which two channels of a head turn together: 2i and 2i+1, or i and i + head_dim/2."""


class Memory(Protocol):
    """What a decoder's layers attend to in one call: the past of its rows, and the call's own steps."""

    @property
    def positions(self) -> Tensor:
        """Positions of the call's steps in their streams, int64 [N, T] (or [1, T] where all agree)."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Remember ``k`` and ``v`` [N, T, kv_heads, d] and attend with ``q`` [N, T, heads, d].

        Returns [N, T, heads·d].
        """


def rotation(positions: Tensor, head_dim: int, theta: float) -> Tensor:
    """Unit complex numbers [N, T, 1, head_dim/2]: pair i turns by position · theta^(-2i/head_dim).

    Angles are float32 whatever the model's type, as every published model computes them.
    """
    pairs = torch.arange(head_dim // 2, device=positions.device, dtype=torch.float32)
    frequencies = torch.exp(pairs * (-2.0 / head_dim) * torch.log(torch.tensor(theta, device=positions.device)))
    angles = positions.to(torch.float32)[..., None, None] * frequencies
    return torch.polar(torch.ones_like(angles), angles)


def rotate(x: Tensor, turn: Tensor, rope: Rope) -> Tensor:
    """Turn the channel pairs of ``x`` [N, T, heads, d] by ``turn`` [N, T, 1, d/2], in float32."""
    if rope == "interleaved":
        pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
        return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)
    a, b = x.float().chunk(2, dim=-1)
    turned = torch.complex(a, b) * turn
    return torch.cat([turned.real, turned.imag], dim=-1).to(x.dtype)


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention: ``q`` [N, heads, T, d] over ``k``, ``v`` [N, kv_heads, L, d].

    ``mask``: bool, True where a query may look, broadcast to [N, heads, T, L]; ``None``: everywhere.
    Returns [N, T, heads·d].
    """
    grouped = q.shape[1] != k.shape[1]
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=grouped)
    return out.transpose(1, 2).flatten(2)
