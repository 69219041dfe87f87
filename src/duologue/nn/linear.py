"""Linear maps, laid out for the machine that runs them.

With one or a few rows a linear map is as slow as its weights are read, and how fast that is depends on how they lie.
So a loaded model is *packed* on a CPU: each weight is laid out anew and the plain one is let go. Packed maps can be
run, not changed or saved. There are two layouts:

- *Blocks* of 48 outputs, each input's weights side by side within a block, multiplied block by block by MKL. An Intel
  Xeon whose memory gives 13 GB/s multiplies two rows by cold weights so at that speed, by plain rows (``F.linear``) and
  by blocks of 256 at 11, in oneDNN's layout at 10; eight rows in 0.8 of the time that those blocks take, in half of
  what plain rows do. Sixteen rows and more than 200 make no difference; between them blocks of 256 are 10 to 15 %
  quicker, and for a single row 2 %. For float32 on Intel's processors.
- oneDNN's own, for everything else: twice as fast as plain rows on an AMD EPYC, and the one that makes use of
  instructions for bfloat16.

Or they are *quantized*: a weight of eight bits and a scale for each output, half of bfloat16's bytes. torch multiplies
by such weights without unfolding them first. (torchao's int8 weights do not serve here: without a compiler it unfolds
them at every call, 28 ms where the packed bfloat16 of a 4096 × 4096 map takes 0.7.)
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duologue.nn.module import Module
from duologue.nn.processor import processor_name

ROWS = 8
"""The number of rows that oneDNN's layout is made for; any number runs."""

BLOCK, SMALL = 48, 1 << 18
"""Outputs to a block, and numbers that a matrix must have (1 MB) to be cut into blocks: nobody waits for smaller ones.
48 outputs are what MKL's kernel for AVX-512 holds in registers at a time, so that it reads a block as it lies. The last
block is filled up with zeros."""

LONG = 768
"""By more rows a matrix is put together again first: that takes less than what one large product is quicker by."""

HUGE, MANY = 2 << 20, 8
"""Bytes of a huge page, and how many are worth the trouble."""

READ = 16
"""Inputs that a product by weights of eight bits reads at a time."""


class Packable(Module):
    """Something that multiplies by one matrix or several, made of its weight."""

    keeps_weight: ClassVar[bool] = False
    """Whether the plain weight is needed beside the packed one."""

    def __init__(self) -> None:
        super().__init__()
        self.packed: list[Tensor] = []
        self.constant: Tensor | None = None
        """The addend, as it goes with what is packed."""
        self.outputs = 0
        """Of a packed matrix, without those that fill up its last block."""
        self.scales: list[Tensor] = []
        """Of quantized matrices, which then are ``packed``: [outputs] each."""

    def matrices(self) -> Sequence[Tensor]:
        """The matrices, each [outputs, inputs]."""
        raise NotImplementedError

    def addend(self) -> Tensor | None:
        """A bias [outputs] that every product gets."""
        return None

    def multiply(self, x: Tensor, which: int = 0) -> Tensor:
        """[…, inputs] → […, outputs] by one of the matrices, the bias added."""
        return self.total((x,), which)

    def total(self, xs: Sequence[Tensor], first: int = 0) -> Tensor:
        """[…, inputs] each, all of one shape → […, outputs]: the sum of their products by as many matrices from the
        ``first`` on, the bias added."""
        if not self.packed:
            matrices = self.matrices()
            y = F.linear(xs[0], matrices[first], self.addend())
            for x, matrix in zip(xs[1:], matrices[first + 1 :], strict=False):
                y = y + F.linear(x, matrix)
            return y
        weights = self.packed[first : first + len(xs)]
        if self.scales:
            return _by_eight_bits(xs, weights, self.scales[first : first + len(xs)], self.addend())
        if weights[0].is_mkldnn:
            return _by_onednn(xs, weights, self.constant)
        if weights[0].dim() == 2:
            return _by_one_block(xs, weights, self.constant)
        return _by_blocks(xs, weights, self.constant, self.outputs)

    def pack(self, pages: Pages) -> None:
        """Lay the matrices out for this CPU and let the plain weight go."""
        matrices = self.matrices()
        self.packed = [_laid_out(matrix, pages) for matrix in matrices]
        self.outputs = len(matrices[0])
        addend = self.addend()
        if addend is not None:
            self.constant = addend.detach()
            if self.packed[0].dim() == 3:
                self.constant = _filled_up(self.constant).view(-1, 1, BLOCK)
        if not self.keeps_weight:
            self.weight = nn.Parameter(self.get_parameter("weight").to("meta"), requires_grad=False)


class Pages:
    """Memory for the weights of a model in huge pages, where the system has them: reading through it takes 5 % less."""

    def __init__(self, numbers: int) -> None:
        """``numbers``: of float32, that there shall be room for."""
        self._room = torch.empty(0)
        size = 4 * numbers + HUGE
        if size > MANY * HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
            memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            with suppress(OSError):  # of a kernel that has none; then its pages are as small as everybody's
                memory.madvise(mmap.MADV_HUGEPAGE)
            room = torch.frombuffer(memory, dtype=torch.float32)
            self._room = room[-room.data_ptr() % HUGE // 4 :]

    def keep(self, weight: Tensor) -> Tensor:
        """``weight``, float32, as it is; in huge pages if there is room."""
        count = weight.numel()
        if len(self._room) < count:
            return weight.contiguous()
        kept, self._room = self._room[:count].view(weight.shape), self._room[count:]
        return kept.copy_(weight)


def _blocks_suit(matrix: Tensor) -> bool:
    mkl = torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
    return matrix.dtype == torch.float32 and mkl and "Intel" in processor_name()


def _cut(matrix: Tensor) -> bool:
    """Whether it goes in blocks."""
    return matrix.numel() >= SMALL


def _filled_up(x: Tensor) -> Tensor:
    """[outputs, …] with zeros up to whole blocks."""
    return F.pad(x, (0, 0) * (x.dim() - 1) + (0, -len(x) % BLOCK))


def _numbers(matrix: Tensor) -> int:
    """How many there are once it is cut."""
    outputs, inputs = matrix.shape
    return (outputs + (-outputs % BLOCK if _cut(matrix) else 0)) * inputs


def _laid_out(matrix: Tensor, pages: Pages) -> Tensor:
    """A matrix [outputs, inputs] as this CPU reads it fastest: [blocks, inputs, outputs of a block], a small one
    [inputs, outputs]; or oneDNN's."""
    if _blocks_suit(matrix):
        if not _cut(matrix):
            return pages.keep(matrix.t())
        return pages.keep(_filled_up(matrix).view(-1, BLOCK, matrix.shape[1]).transpose(1, 2))
    reordered: Tensor = torch.ops.mkldnn._reorder_linear_weight(matrix.contiguous(), ROWS)
    return reordered


def _by_one_block(xs: Sequence[Tensor], weights: Sequence[Tensor], addend: Tensor | None) -> Tensor:
    y = F.linear(xs[0], weights[0].t(), addend)
    for x, weight in zip(xs[1:], weights[1:], strict=True):
        y.view(-1, y.shape[-1]).addmm_(x.reshape(-1, x.shape[-1]), weight)
    return y


def _by_blocks(xs: Sequence[Tensor], weights: Sequence[Tensor], addend: Tensor | None, outputs: int) -> Tensor:
    """``addend``: [blocks, 1, outputs of a block]."""
    blocks, inputs, block = weights[0].shape
    flat = [x.reshape(-1, inputs) for x in xs]
    rows = flat[0].shape[0]
    if rows > LONG:
        whole = [weight.transpose(0, 1).reshape(inputs, -1)[:, :outputs] for weight in weights]
        return _by_one_block(xs, whole, None if addend is None else addend.view(-1)[:outputs])
    spread = flat[0].expand(blocks, rows, inputs)
    product = torch.bmm(spread, weights[0]) if addend is None else torch.baddbmm(addend, spread, weights[0])
    for x, weight in zip(flat[1:], weights[1:], strict=True):
        product.baddbmm_(x.expand(blocks, rows, inputs), weight)
    y = product if rows == 1 else product.transpose(0, 1)
    y = y.reshape(*xs[0].shape[:-1], blocks * block)
    return y if blocks * block == outputs else y.narrow(-1, 0, outputs)


def _by_onednn(xs: Sequence[Tensor], weights: Sequence[Tensor], addend: Tensor | None) -> Tensor:
    linear = torch.ops.mkldnn._linear_pointwise
    y: Tensor = linear(xs[0].contiguous(), weights[0], addend, "none", [], "")
    for x, weight in zip(xs[1:], weights[1:], strict=True):
        y = linear.binary(x.contiguous(), y, weight, None, "add")
    return y


def _by_eight_bits(
    xs: Sequence[Tensor], weights: Sequence[Tensor], scales: Sequence[Tensor], addend: Tensor | None
) -> Tensor:
    y = addend
    for x, weight, scale in zip(xs, weights, scales, strict=True):
        flat = x.reshape(-1, x.shape[-1])
        if missing := weight.shape[1] - flat.shape[1]:
            flat = F.pad(flat, (0, missing))
        product = torch._weight_int8pack_mm(flat, weight, scale).view(*x.shape[:-1], -1)
        y = product if y is None else product + y
    assert y is not None
    return y


class Linear(Packable):
    """A linear map, with a bias or without; with ``steps``, one of so many, chosen by the step, all of one bias."""

    def __init__(self, inputs: int, outputs: int, steps: int | None = None, *, bias: bool = False) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.steps = steps
        shape = (outputs, inputs) if steps is None else (steps, outputs, inputs)
        self.weight = nn.Parameter(torch.empty(shape))

    def matrices(self) -> Sequence[Tensor]:
        return [self.weight] if self.steps is None else self.weight.unbind()

    def addend(self) -> Tensor | None:
        return self.bias

    def forward(self, x: Tensor, step: int | None = None) -> Tensor:
        """[N, T, inputs] → [N, T, outputs].

        With per-step weights ``step`` names the one step that ``x`` belongs to; ``None``: ``x`` holds the
        first T steps, one after another.
        """
        if self.steps is None:
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
    maps = [each for each in model.modules() if isinstance(each, Packable) and not each.packed]
    maps = [each for each in maps if each.matrices()[0].device.type == "cpu"]
    pages = Pages(sum(_numbers(matrix) for each in maps for matrix in each.matrices() if _blocks_suit(matrix)))
    for each in maps:
        each.pack(pages)


def quantize(model: nn.Module) -> None:
    """Keep the weights of all linear maps of a loaded model, which must be in bfloat16, in eight bits."""
    for module in model.modules():
        if isinstance(module, Linear):
            module.quantize()
    pack(model)
