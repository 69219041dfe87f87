"""Rotary positions and attention."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
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


@dataclass(frozen=True, slots=True)
class Stretch:
    """Llama 3.1's way to longer contexts: slow pairs turn more slowly still (transformers, rope type ``llama3``)."""

    factor: float = 8.0
    low: float = 1.0
    high: float = 4.0
    original: int = 8192
    """Positions that it was first trained on. Pairs that turn round fewer than ``low`` times in them are slowed by the
    factor, those that do more than ``high`` times not at all, those between in proportion."""

    def frequencies(self, each: Tensor) -> Tensor:
        """The stretched frequencies."""
        turns = self.original * each / (2 * math.pi)
        kept = ((turns - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
        return each * (kept + (1 - kept) / self.factor)


def rotation(positions: Tensor, head_dim: int, theta: float, stretch: Stretch | None = None) -> Tensor:
    """Unit complex numbers [N, T, 1, head_dim/2]: pair i turns by position · theta^(-2i/head_dim).

    Angles are float32 whatever the model's type, as every published model computes them.
    """
    # (Kept on a CPU. On other devices this may be part of a captured step, of whose memory nothing may be kept.)
    make = _frequencies if positions.device.type == "cpu" else _frequencies.__wrapped__
    angles = positions.to(torch.float32)[..., None, None] * make(head_dim, theta, stretch, positions.device)
    return torch.polar(torch.ones_like(angles), angles)


@lru_cache(maxsize=64)
def _frequencies(head_dim: int, theta: float, stretch: Stretch | None, device: torch.device) -> Tensor:
    """How far each pair turns a step, float32 [head_dim/2]."""
    with torch.inference_mode(False):
        pairs = torch.arange(head_dim // 2, device=device, dtype=torch.float32)
        frequencies = torch.exp(pairs * (-2.0 * math.log(theta) / head_dim))
        return frequencies if stretch is None else stretch.frequencies(frequencies)


def rotate(x: Tensor, turn: Tensor, rope: Rope) -> Tensor:
    """Turn the channel pairs of ``x`` [N, T, heads, d] by ``turn`` [N, T, 1, d/2], in float32."""
    if rope == "interleaved" and x.dtype == torch.float32:  # the same in fewer operations
        return (x.view(torch.complex64) * turn).view(torch.float32)
    if rope == "interleaved":
        pairs = torch.view_as_complex(x.float().view(*x.shape[:-1], -1, 2))
        return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)
    a, b = x.float().chunk(2, dim=-1)
    turned = torch.complex(a, b) * turn
    return torch.cat([turned.real, turned.imag], dim=-1).to(x.dtype)


def added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A bool mask [N, 1, T, L] as what is added to scores: -inf where a query may not look.

    torch makes this of a mask anyway, and copies it so that its rows begin at multiples of 16, in every layer anew:
    half a dozen kernels.
    """
    n, one, steps, length = mask.shape
    rows = torch.zeros(n, one, steps, -(-length // 16) * 16, dtype=dtype, device=mask.device)
    return rows[..., :length].masked_fill_(~mask, float("-inf"))


FEW, SHORT = 4, 16
"""Up to so many queries, over more than so many keys, attention on a CPU is quicker spelt out than fused."""


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention: ``q`` [N, heads, T, d] over ``k``, ``v`` [N, kv_heads, L, d].

    ``mask``: bool, True where a query may look, or what :func:`added` makes of it, broadcast to [N, heads, T, L]
    and the same for all heads; ``None``: everywhere. Returns [N, T, heads·d].
    """
    n, heads, steps, d = q.shape
    grouped = heads != k.shape[1]
    if q.device.type != "cpu" or steps > FEW or k.shape[2] <= SHORT:
        if k.stride(-1) != 1:  # a CPU's ring of keys (duologue.nn.cache): the kernel would gather them for every query
            k = k.contiguous()
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=grouped)
        return out.transpose(1, 2).flatten(2)
    # Reading the keys is the work here. The fused kernel, made for many queries, reads them at two thirds
    # of this speed in float32, at a quarter in bfloat16. Heads that share a key are its queries.
    scale = d**-0.5
    if mask is None or grouped or len(mask) > 1 or mask.dtype == torch.bool:
        scores = (q * scale).reshape(n, k.shape[1], -1, d) @ k.transpose(-1, -2)
        if mask is not None:
            apart = scores.view(n, heads, steps, -1)
            apart = apart.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else apart + mask
            scores = apart.view(scores.shape)
        out = torch.softmax(scores, dim=-1, dtype=torch.float32).to(v.dtype) @ v
    else:  # the same in as few operations as there can be: for one row they cost as much as what they compute
        scores = torch.baddbmm(mask[0], q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2), alpha=scale)
        out = torch.bmm(torch.softmax(scores, dim=-1, dtype=torch.float32).to(v.dtype), v.flatten(0, 1))
    return out.view(n, heads, steps, d).transpose(1, 2).flatten(2)
