"""Linear maps, laid out for the machine that runs them.

With one or a few rows a linear map is as slow as its weights are read. On a CPU oneDNN reads them about
twice as fast from a blocked layout of its own as from plain rows, so a loaded model is *packed*: each weight
is laid out anew and the plain one is let go. Packed maps can be run, not changed or saved.

Or they are *quantized*: a weight of eight bits and a scale for each output, half of bfloat16's bytes. torch multiplies
by such weights without unfolding them first. (torchao's int8 weights do not serve here: without a compiler it unfolds
them at every call, 28 ms where the packed bfloat16 of a 4096 × 4096 map takes 0.7.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS = 8
"""The number of rows that packed weights are laid out for; any number runs."""

READ = 16
"""Inputs that a product by weights of eight bits reads at a time."""


class Packable(nn.Module):
    """Something that multiplies by one matrix or several, made of its weight."""

    keeps_weight: ClassVar[bool] = False
    """Whether the plain weight is needed beside the packed one."""

    def __init__(self) -> None:
        super().__init__()
        self.packed: list[Tensor] = []
        self.scales: list[Tensor] = []
        """Of quantized matrices, which then are ``packed``: [outputs] each."""

    def matrices(self) -> Sequence[Tensor]:
        """The matrices, each [outputs, inputs]."""
        raise NotImplementedError

    def addend(self) -> Tensor | None:
        """A bias [outputs] that every product gets."""
        return None

    def multiply(self, x: Tensor, which: int = 0, onto: Tensor | None = None) -> Tensor:
        """[…, inputs] → […, outputs] by one of the matrices, the bias added, or the product added to ``onto``."""
        addend = self.addend() if onto is None else onto
        if self.scales:
            flat = x.reshape(-1, x.shape[-1])
            if missing := self.packed[which].shape[1] - flat.shape[1]:
                flat = F.pad(flat, (0, missing))
            product = torch._weight_int8pack_mm(flat, self.packed[which], self.scales[which]).view(*x.shape[:-1], -1)
            return product if addend is None else product + addend
        if self.packed:
            x, weight, linear = x.contiguous(), self.packed[which], torch.ops.mkldnn._linear_pointwise
            out: Tensor
            if onto is None:
                out = linear(x, weight, addend, "none", [], "")
            else:
                out = linear.binary(x, onto, weight, None, "add")
            return out
        if onto is None:
            return F.linear(x, self.matrices()[which], addend)
        return F.linear(x, self.matrices()[which]) + onto

    def pack(self) -> None:
        """Lay the matrices out for this CPU and let the plain weight go."""
        self.packed = [torch.ops.mkldnn._reorder_linear_weight(m.contiguous(), ROWS) for m in self.matrices()]
        if not self.keeps_weight:
            self.weight = nn.Parameter(self.get_parameter("weight").to("meta"), requires_grad=False)


class Linear(Packable):
    """A linear map, with a bias or without; with ``steps``, one of so many, chosen by the step, all of one bias."""

    def __init__(self, inputs: int, outputs: int, steps: int | None = None, *, bias: bool = False) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        shape = (outputs, inputs) if steps is None else (steps, outputs, inputs)
        self.weight = nn.Parameter(torch.empty(shape))

    def matrices(self) -> Sequence[Tensor]:
        return [self.weight] if self.weight.dim() == 2 else self.weight.unbind()

    def addend(self) -> Tensor | None:
        return self.bias

    def forward(self, x: Tensor, step: int | None = None) -> Tensor:
        """[N, T, inputs] → [N, T, outputs].

        With per-step weights ``step`` names the one step that ``x`` belongs to; ``None``: ``x`` holds the
        first T steps, one after another.
        """
        if self.weight.dim() == 2:
            return self.multiply(x)
        if step is not None:
            return self.multiply(x, step)
        return torch.stack([self.multiply(x[:, t], t) for t in range(x.shape[1])], dim=1)

    def quantize(self) -> None:
        """Keep eight bits of each weight, rounded to the nearest, and a scale for each output.

        torch's product reads :data:`READ` inputs at a time, beyond the end of a row: rows are filled up with zeros.
        """
        for matrix in self.matrices():
            scale = matrix.float().abs().amax(1).clamp(min=1e-12) / 127
            bits = (matrix.float() / scale[:, None]).round().to(torch.int8)
            self.packed.append(F.pad(bits, (0, -bits.shape[1] % READ)).contiguous())
            self.scales.append(scale.to(matrix.dtype))
        self.weight = nn.Parameter(self.weight.to("meta"), requires_grad=False)


def pack(model: nn.Module) -> None:
    """Pack everything packable of a loaded model, where that helps: on a CPU whose torch has oneDNN."""
    # Not a public operator, but the one that torch's own compiler emits; builds without it run unpacked.
    if not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return
    for module in model.modules():
        if isinstance(module, Packable) and not module.packed and module.matrices()[0].device.type == "cpu":
            module.pack()


def quantize(model: nn.Module) -> None:
    """Keep the weights of all linear maps of a loaded model, which must be in bfloat16, in eight bits."""
    for module in model.modules():
        if isinstance(module, Linear):
            module.quantize()
    pack(model)
