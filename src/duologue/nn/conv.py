"""Causal convolutions, whole or streamed.

Offline, a causal convolution pads its input on the left; streamed, the padding is the end of what came
before: its *tail*, kept per row. A transposed convolution overlaps its outputs; streamed, the part that
the next input will still add to is its tail. Either way the sums are the same in any chunking.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duologue.nn.rows import Rows, State


class Streaming(nn.Module):
    """A layer [N, channels, T] → [N, channels', T'] that can be fed piece by piece."""

    def state(self, rows: int) -> State:
        """The state of ``rows`` streams that have not begun."""
        raise NotImplementedError

    def stream(self, x: Tensor, state: State, rows: Rows) -> Tensor:
        """The next piece of these rows' streams."""
        raise NotImplementedError


@dataclass(slots=True)
class Tail:
    """The end of each row's stream that the next piece needs."""

    tail: Tensor
    """[rows, channels, steps]."""
    fresh: Tensor
    """bool [rows]: nothing has come yet."""

    def reset(self, rows: Rows) -> None:
        rows.fill(self.tail, 0)
        rows.fill(self.fresh, True)


class CausalConv1d(Streaming):
    """A convolution whose output at a step depends on inputs up to it.

    The left padding of a stream's start, (kernel - 1) · dilation + 1 - stride steps, is zeros, or
    (``start="replicate"``) copies of the first step. Takes whole strides only.
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
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride=stride, dilation=dilation, bias=bias)
        self.stride = stride
        self.reach = (kernel - 1) * dilation + 1 - stride
        self.start = start
        if self.reach < 0:
            raise ValueError(f"a kernel of {kernel} leaves gaps at a stride of {stride}")

    def _check(self, x: Tensor) -> None:
        if x.shape[-1] % self.stride:
            raise ValueError(f"{x.shape[-1]} steps are not a multiple of the stride {self.stride}")

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, T] → [N, outputs, T / stride]."""
        self._check(x)
        if self.start == "replicate":
            return cast(Tensor, self.conv(F.pad(x, (self.reach, 0), mode="replicate")))
        return cast(Tensor, self.conv(F.pad(x, (self.reach, 0))))

    def state(self, rows: int) -> Tail:
        weight = self.conv.weight
        return Tail(
            weight.new_zeros(rows, self.conv.in_channels, self.reach),
            torch.ones(rows, dtype=torch.bool, device=weight.device),
        )

    def stream(self, x: Tensor, state: State, rows: Rows) -> Tensor:
        self._check(x)
        if not self.reach:
            return cast(Tensor, self.conv(x))
        assert isinstance(state, Tail)
        tail = rows.take(state.tail)
        if self.start == "replicate":
            tail = torch.where(rows.take(state.fresh)[:, None, None], x[..., :1], tail)
            rows.fill(state.fresh, False)
        x = torch.cat([tail, x], dim=-1)
        rows.put(state.tail, x[..., x.shape[-1] - self.reach :])
        return cast(Tensor, self.conv(x))


class CausalConvTranspose1d(Streaming):
    """A transposed convolution cut on the right to ``stride`` outputs a step, so that it is causal.

    ``channelwise``: one filter for each channel, none between channels.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int, bias: bool = True, channelwise: bool = False
    ) -> None:
        super().__init__()
        groups = inputs if channelwise else 1
        self.convtr = nn.ConvTranspose1d(inputs, outputs, kernel, stride=stride, bias=bias, groups=groups)
        self.stride = stride
        self.overlap = kernel - stride
        if self.overlap < 0:
            raise ValueError(f"a kernel of {kernel} leaves gaps at a stride of {stride}")

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, T] → [N, outputs, T · stride]."""
        return cast(Tensor, self.convtr(x))[..., : x.shape[-1] * self.stride]

    def state(self, rows: int) -> Tail:
        weight = self.convtr.weight
        return Tail(
            weight.new_zeros(rows, self.convtr.out_channels, self.overlap),
            torch.ones(rows, dtype=torch.bool, device=weight.device),
        )

    def stream(self, x: Tensor, state: State, rows: Rows) -> Tensor:
        assert isinstance(state, Tail)
        # Without the bias: the overlap is added to once more, and the bias belongs in the sum once.
        y = F.conv_transpose1d(x, self.convtr.weight, None, self.stride, groups=self.convtr.groups)
        ready = x.shape[-1] * self.stride
        if self.overlap:
            y[..., : self.overlap] += rows.take(state.tail)
            rows.put(state.tail, y[..., ready:])
            y = y[..., :ready]
        return y if self.convtr.bias is None else y + self.convtr.bias[:, None]


@dataclass(slots=True)
class Parts:
    """The states of a chain's streaming layers, in order."""

    parts: list[State]

    def reset(self, rows: Rows) -> None:
        for part in self.parts:
            part.reset(rows)


class Chain(Streaming):
    """Layers one after another; those without a state (activations) are simply applied.

    Its layers are named by their place, the parameter-less ones counted, as in the published checkpoints.
    """

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        for place, layer in enumerate(layers):
            self.add_module(str(place), layer)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x

    def state(self, rows: int) -> Parts:
        return Parts([layer.state(rows) for layer in self.children() if isinstance(layer, Streaming)])

    def stream(self, x: Tensor, state: State, rows: Rows) -> Tensor:
        assert isinstance(state, Parts)
        parts = iter(state.parts)
        for layer in self.children():
            x = layer.stream(x, next(parts), rows) if isinstance(layer, Streaming) else layer(x)
        return x


class Residual(Streaming):
    """x + chain(x)."""

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.block = Chain(layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.block(x))

    def state(self, rows: int) -> Parts:
        return self.block.state(rows)

    def stream(self, x: Tensor, state: State, rows: Rows) -> Tensor:
        return x + self.block.stream(x, state, rows)
