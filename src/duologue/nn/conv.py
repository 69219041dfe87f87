"""Causal convolutions as streams.

A causal convolution needs the end of what came before: its *tail*, kept per row, zeros at the start. So
does a transposed convolution, whose outputs of one step are sums over that step and a few before. The sums
are the same in any chunking, and a whole sequence is a stream fed at once.

Time comes before channels, [N, T, channels]: a kernel's window is then a run of memory, and a convolution
is one matrix product. A stream brings few steps at a time, where that is two to ten times faster on a CPU
than convolution routines (which lay the weights out anew at each call), and transformers have the same
order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from duologue.nn.linear import Packable, Pages
from duologue.nn.module import Module
from duologue.nn.rows import Rows, State

WIDE = 64
"""Numbers that a product must have to sum over, to be worth being one."""

LONG = 64
"""From so many outputs on, rows are multiplied end to end."""


class Streaming(Module):
    """A layer [N, T, channels] → [N, T', channels'] that can be fed piece by piece."""

    def state(self, rows: int) -> State:
        """The state of ``rows`` streams that have not begun."""
        raise NotImplementedError

    def stream(self, x: Tensor, state: State, rows: Rows) -> Tensor:
        """The next piece of these rows' streams."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Whole sequences."""
        return self.stream(x, self.state(len(x)), Rows.of(range(len(x)), x.device))


@dataclass(slots=True)
class Tail:
    """The end of each row's stream that the next piece needs."""

    tail: Tensor
    """[rows, steps, channels]."""
    fresh: Tensor
    """bool [rows]: nothing has come yet."""

    @classmethod
    def empty(cls, rows: int, steps: int, channels: int, like: Tensor) -> Tail:
        return cls(
            torch.zeros(rows, steps, channels, device=like.device, dtype=like.dtype),
            torch.ones(rows, dtype=torch.bool, device=like.device),
        )

    def reset(self, rows: Rows) -> None:
        rows.fill(self.tail, 0)
        rows.fill(self.fresh, True)


class CausalConv1d(Streaming, Packable):
    """A convolution whose output at a step depends on inputs up to it.

    Before a stream's start lie (kernel - 1) · dilation + 1 - stride steps of zeros, or
    (``start="replicate"``) copies of the first step. Takes whole strides only. With ``elu`` it sees the ELU of what
    comes in.

    Packed for a CPU, the kernel is cut into pieces of a stride. Then what a piece sees of a stream lies there as it is,
    step after step, and need not be laid out: a sum of products instead of one over copies.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        bias: bool = True,
        start: Literal["zeros", "replicate"] = "zeros",
        elu: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, kernel, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.inputs = inputs
        self.kernel = kernel
        self.stride = stride
        self.dilation = dilation
        self.reach = (kernel - 1) * dilation + 1 - stride
        self.start = start
        self.elu = elu
        self.taps = kernel
        """How many taps of the kernel a piece has."""
        if self.reach < 0:
            raise ValueError(f"a kernel of {kernel} leaves gaps at a stride of {stride}")

    def matrices(self) -> Sequence[Tensor]:
        return [piece.flatten(1) for piece in torch.split(self.weight, self.taps, dim=1)]

    def addend(self) -> Tensor | None:
        return self.bias

    def pack(self, pages: Pages) -> None:
        if self.kernel % self.stride == 0 and self.stride * self.inputs >= WIDE:
            self.taps = self.stride
        super().pack(pages)

    def state(self, rows: int) -> Tail:
        like = self.packed[0] if self.packed else self.weight
        return Tail.empty(rows, self.reach, self.inputs, like)

    def stream(self, x: Tensor, state: State, rows: Rows) -> Tensor:
        """[N, T, inputs] → [N, T / stride, outputs]."""
        assert isinstance(state, Tail)
        n, steps, _ = x.shape
        if steps % self.stride:
            raise ValueError(f"{steps} steps are not a multiple of the stride {self.stride}")
        if self.reach:
            # Into one piece of memory with the tail, not there first and then moved.
            whole = x.new_empty(n, self.reach + steps, self.inputs)
            now = whole[:, self.reach :]
            if self.elu:
                elu(x, now)
            else:
                now.copy_(x)
            tail = rows.take(state.tail)
            if self.start == "replicate":
                tail = torch.where(rows.take(state.fresh)[:, None, None], now[:, :1], tail)
                rows.fill(state.fresh, False)
            whole[:, : self.reach] = tail
            rows.put(state.tail, whole[:, steps:])
            x = whole
        elif self.elu:
            x = elu(x, torch.empty_like(x))
        outputs = steps // self.stride
        padded = x.shape[1]
        if n == 1 or outputs <= LONG or padded % self.stride:
            return self._sum(x, outputs)
        # The last outputs of each row but the last see the next row too, and are left out.
        together = self._sum(x.reshape(1, n * padded, -1), (n * padded - self.reach) // self.stride)
        step = together.stride(1)
        return together.as_strided((n, outputs, together.shape[2]), (padded // self.stride * step, step, 1))

    def _sum(self, x: Tensor, outputs: int) -> Tensor:
        """Over the kernel's pieces."""
        x = x.contiguous()
        return self.total([self._windows(x, piece, outputs) for piece in range(self.kernel // self.taps)])

    def _windows(self, x: Tensor, piece: int, outputs: int) -> Tensor:
        """What a piece of the kernel sees for each output, one after another: [N, outputs, taps · inputs]."""
        row, step, _ = x.stride()
        begin = x.storage_offset() + piece * self.taps * self.dilation * step
        if self.taps == 1 or self.dilation == 1:  # a run of memory
            return x.as_strided((len(x), outputs, self.taps * self.inputs), (row, step * self.stride, 1), begin)
        shape = len(x), outputs, self.taps, self.inputs
        return x.as_strided(shape, (row, step * self.stride, step * self.dilation, 1), begin).flatten(2)


class Filters(CausalConv1d):
    """[N, T, inputs] → [N, T, stride · outputs]: the outputs of a transposed convolution, those of a step side by side.

    Each is a sum over the last kernel / stride inputs, so this is a causal convolution over input steps.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, elu: bool = False) -> None:
        super().__init__(inputs, stride * outputs, kernel // stride, elu=elu)
        self.weight = nn.Parameter(torch.empty(kernel, outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.each = stride
        self.taps = 1

    def matrices(self) -> Sequence[Tensor]:
        return [piece.flatten(0, 1) for piece in reversed(torch.split(self.weight, self.each))]

    def addend(self) -> Tensor:
        bias = self.get_parameter("bias")
        return bias.repeat(self.each)


def _whole(kernel: int, stride: int) -> None:
    if kernel % stride:
        raise ValueError(f"a kernel of {kernel} is not made of whole strides of {stride}")


class CausalConvTranspose1d(Streaming):
    """A transposed convolution cut on the right to ``stride`` outputs a step, so that it is causal.

    Its kernel is a multiple of the stride. ``elu``: as a :class:`CausalConv1d`'s.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int, elu: bool = False) -> None:
        super().__init__()
        _whole(kernel, stride)
        self.transposed = Filters(inputs, outputs, kernel, stride, elu=elu)
        self.stride = stride

    def state(self, rows: int) -> Tail:
        return self.transposed.state(rows)

    def stream(self, x: Tensor, state: State, rows: Rows) -> Tensor:
        """[N, T, inputs] → [N, T · stride, outputs]."""
        y = self.transposed.stream(x, state, rows)
        return y.view(*x.shape[:2], self.stride, -1).flatten(1, 2)


class ChannelwiseUpsample(Streaming):
    """A causal transposed convolution, one filter for each channel, none between channels, and no bias."""

    def __init__(self, channels: int, kernel: int, *, stride: int) -> None:
        super().__init__()
        _whole(kernel, stride)
        self.weight = nn.Parameter(torch.empty(kernel, channels))
        self.stride = stride

    def state(self, rows: int) -> Tail:
        kernel, channels = self.weight.shape
        return Tail.empty(rows, kernel // self.stride - 1, channels, self.weight)

    def stream(self, x: Tensor, state: State, rows: Rows) -> Tensor:
        """[N, T, channels] → [N, T · stride, channels]."""
        assert isinstance(state, Tail)
        steps, before = x.shape[1], state.tail.shape[1]
        x = torch.cat([rows.take(state.tail), x], dim=1)
        rows.put(state.tail, x[:, steps:])
        y = torch.zeros((), device=x.device, dtype=x.dtype)
        for back, piece in enumerate(torch.split(self.weight, self.stride)):
            y = y + x[:, before - back : before - back + steps, None] * piece
        return y.flatten(1, 2)


@dataclass(slots=True)
class Parts:
    """The states of a chain's streaming layers, in order."""

    parts: list[State]

    def reset(self, rows: Rows) -> None:
        for part in self.parts:
            part.reset(rows)


class Chain(Streaming):
    """Layers one after another.

    They are named by their place, as in the published checkpoints. ``None`` takes a place, and nothing else: there the
    published models have the activation that here belongs to the convolution behind it.
    """

    def __init__(self, layers: Iterable[Streaming | None]) -> None:
        super().__init__()
        self.layers: list[Streaming] = []
        for place, layer in enumerate(layers):
            if layer is not None:
                self.add_module(str(place), layer)
                self.layers.append(layer)

    def state(self, rows: int) -> Parts:
        return Parts([layer.state(rows) for layer in self.layers])

    def stream(self, x: Tensor, state: State, rows: Rows) -> Tensor:
        assert isinstance(state, Parts)
        for layer, part in zip(self.layers, state.parts, strict=True):
            x = layer.stream(x, part, rows)
        return x


class Residual(Streaming):
    """x + chain(x)."""

    def __init__(self, layers: Iterable[Streaming | None]) -> None:
        super().__init__()
        self.block = Chain(layers)

    def state(self, rows: int) -> Parts:
        return self.block.state(rows)

    def stream(self, x: Tensor, state: State, rows: Rows) -> Tensor:
        return self.block.stream(x, state, rows).add_(x)  # a new tensor, as a convolution's output is


MUCH = 1 << 18
"""Numbers, a megabyte, that an L2 cache holds beside what is made of them."""


def elu(x: Tensor, out: Tensor) -> Tensor:
    """x where it is positive, e^x - 1 elsewhere, written to ``out``."""
    if x.device.type != "cpu" or x.dtype != torch.float32:
        kept: Tensor = torch.ops.aten.elu.out(x, 1.0, 1.0, 1.0, out=out)
        return kept
    # torch's own is made of expm1, which costs a CPU six times as much as exp. What the subtraction loses is
    # 6e-8 at the most; e^y - 1 is never below y; and from -20 on it is -1.
    rows = [(x, out)] if x.numel() < MUCH else zip(x, out, strict=True)
    for each, below in rows:
        torch.clamp(each, -20, 0, out=below).exp_().sub_(1)
        torch.maximum(each, below, out=below)
    return out
