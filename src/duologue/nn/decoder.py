"""The one transformer decoder.

Pre-norm blocks: x + attention(norm(x)), then x + mlp(norm(x)). What differs between the published models
is configuration: the norm, the gate, the biases, the rotary pairing, grouped heads, scales on the branches, and
weights that change from step to step (Moshi's depth transformer, whose "time" is the codebook).

Where the past comes from is not the decoder's business: it is handed a
:class:`~duologue.nn.attention.Memory` (a whole sequence, rows of a cache, a scratch pad) with each call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duologue.nn.attention import Memory, Rope, Stretch, rotate, rotation
from duologue.nn.cache import Cache, Scratch, Whole
from duologue.nn.linear import Linear
from duologue.nn.module import Module
from duologue.nn.rows import Rows

NormKind = Literal["rms", "layer"]
Activation = Literal["gelu", "quick"]
Biases = Literal["none", "qkv", "all"]


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """A decoder's shape."""

    dim: int
    layers: int
    heads: int
    hidden: int
    """Width inside the MLP; a gated one has two matrices of it."""
    kv_heads: int | None = None
    """Fewer key/value heads than query heads; ``None``: as many."""
    norm: NormKind = "rms"
    """RMS without bias, or layer norm with one; both are worked out in float32."""
    eps: float = 1e-5
    gated: bool = True
    """silu(a) · b, or :attr:`activation`."""
    activation: Activation = "gelu"
    """The exact GELU, or OpenAI's quick one, x · sigmoid(1.702 x)."""
    biases: Biases = "none"
    """Which of the linear maps have one."""
    rope: Rope | None = "interleaved"
    theta: float = 10_000.0
    stretch: Stretch | None = None
    window: int | None = None
    """How many steps a query sees, itself included; ``None``: all."""
    layer_scale: bool = False
    """A learnt scale for each channel on both branches."""
    steps: int | None = None
    """Own projections for each of so many steps (norms are shared); ``None``: one set for all."""

    def __post_init__(self) -> None:
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is not a multiple of {self.heads} heads")
        if self.heads % (self.kv_heads or self.heads):
            raise ValueError(f"{self.heads} heads cannot share {self.kv_heads} key/value heads evenly")

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads

    @property
    def kv(self) -> int:
        """Key/value heads."""
        return self.kv_heads or self.heads


class RMSNorm(Module, nn.RMSNorm):
    """x · weight / √(mean(x²) + eps), worked out in float32."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__(dim, eps=eps)
        # Not a buffer: it holds a value whether or not the weights are filled, and only a CPU uses it.
        self._least = torch.tensor(eps, dtype=torch.float32, device="cpu")

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or x.dtype != torch.float32:
            return super().forward(x)
        # torch's own is eight operations on a CPU, which for a row or two cost more than what they compute.
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return torch.addcmul(self._least, length, length, value=1 / x.shape[-1]).rsqrt_().mul(x).mul_(self.weight)


class LayerNorm(Module, nn.LayerNorm):
    """torch's."""


def norm_of(kind: NormKind, dim: int, eps: float) -> RMSNorm | LayerNorm:
    """The norms that the published models use."""
    return RMSNorm(dim, eps) if kind == "rms" else LayerNorm(dim, eps=eps)


FEW = 1 << 15
"""Numbers of which torch's own GELU is quicker than oneDNN's."""


def gelu(x: Tensor) -> Tensor:
    """The exact one, of [N, T, channels]."""
    if x.device.type != "cpu" or x.numel() > FEW:
        return F.gelu(x)
    # What is contiguous goes to oneDNN, whose way there takes 50 µs where weights drive the code out of the caches.
    return F.gelu(x.transpose(1, 2)).transpose(1, 2)


class Block(Module):
    """Attention and MLP, each with its norm before and its residual around."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        c = config
        self.config = c
        self.norm_attn = norm_of(c.norm, c.dim, c.eps)
        everywhere = c.biases == "all"
        self.qkv = Linear(c.dim, (c.heads + 2 * c.kv) * c.head_dim, c.steps, bias=c.biases != "none")
        self.out = Linear(c.heads * c.head_dim, c.dim, c.steps, bias=everywhere)
        self.norm_mlp = norm_of(c.norm, c.dim, c.eps)
        self.up = Linear(c.dim, c.hidden * (2 if c.gated else 1), c.steps, bias=everywhere)
        self.down = Linear(c.hidden, c.dim, c.steps, bias=everywhere)
        self.scale_attn = nn.Parameter(torch.empty(c.dim)) if c.layer_scale else None
        self.scale_mlp = nn.Parameter(torch.empty(c.dim)) if c.layer_scale else None

    def forward(self, x: Tensor, layer: int, memory: Memory, turn: Tensor | None, step: int | None) -> Tensor:
        c = self.config
        heads = self.qkv(self.norm_attn(x), step).view(*x.shape[:2], -1, c.head_dim)
        if turn is None or c.rope is None:
            q, k, v = heads.split_with_sizes((c.heads, c.kv, c.kv), 2)
        else:
            turning, v = heads.split_with_sizes((c.heads + c.kv, c.kv), 2)
            q, k = rotate(turning, turn, c.rope).split_with_sizes((c.heads, c.kv), 2)
        branch = self.out(memory.attend(layer, q, k, v), step)
        x = x + branch if self.scale_attn is None else torch.addcmul(x, branch, self.scale_attn)

        inner = self.up(self.norm_mlp(x), step)
        if c.gated:
            gate, value = inner.chunk(2, dim=-1)
            inner = F.silu(gate) * value
        elif c.activation == "gelu":
            inner = gelu(inner)
        else:
            inner = inner * torch.sigmoid(1.702 * inner)
        branch = self.down(inner, step)
        return x + branch if self.scale_mlp is None else torch.addcmul(x, branch, self.scale_mlp)


class Decoder(Module):
    """A stack of blocks. A final norm, embeddings and heads belong to the model around it."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))

    def forward(self, x: Tensor, memory: Memory, step: int | None = None) -> Tensor:
        """``x`` [N, T, dim] → [N, T, dim], seeing what ``memory`` shows."""
        c = self.config
        turn = None if c.rope is None else rotation(memory.positions, c.head_dim, c.theta, c.stretch)
        for index, layer in enumerate(self.layers):
            x = layer(x, index, memory, turn, step)
        return x

    def offline(self, x: Tensor) -> Tensor:
        """A whole sequence [N, T, dim] at once."""
        out: Tensor = self(x, Whole(x.shape[1], self.config.window, x.device))
        return out

    def stream(self, x: Tensor, cache: Cache, rows: Rows) -> Tensor:
        """The next T steps [N, T, dim] of these rows; more than the cache takes at once go in pieces."""
        pieces = []
        for piece in torch.split(x, cache.chunk, dim=1):
            steps = piece.shape[1]
            pieces.append(self(piece, cache.visit(rows, steps)))
            cache.advance(rows, steps)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)

    def cache(
        self, rows: int, *, length: int | None = None, group: int = 1, chunk: int = 1, whole: bool = False
    ) -> Cache:
        """An empty cache for ``rows`` streams; ``group``, ``chunk`` and ``whole`` as in :mod:`duologue.nn.cache`.

        ``length``: of a decoder without a window, the positions that there is room for. Its rows may be taken back
        to any earlier position (``cache.position``): what lies behind is overwritten, and not seen before it is.
        """
        c = self.config
        window = c.window or length
        if window is None:
            raise ValueError("a decoder without a window needs a cache of a chosen length")
        norm = self.layers[0].get_parameter("norm_attn.weight")
        return Cache.empty(
            rows,
            layers=c.layers,
            kv_heads=c.kv,
            head_dim=c.head_dim,
            window=window,
            group=group,
            chunk=chunk,
            whole=whole,
            device=norm.device,
            dtype=norm.dtype,
        )

    def scratch(self, batch: int, steps: int) -> Scratch:
        """Room for ``steps`` steps that are forgotten afterwards."""
        c = self.config
        norm = self.layers[0].get_parameter("norm_attn.weight")
        return Scratch(batch, steps, layers=c.layers, kv_heads=c.kv, head_dim=c.head_dim, like=norm)
