"""Keys and values in rings, one ring a row, and what a query may see of them.

A row keeps its place: nothing is ever moved. Position p of a stream lies in slot p mod capacity, so a
stream may run for ever; what falls out of the ring had left the attention window before.

**The window.** A query at position q sees the keys k with k <= q < k + window, itself included. With
``group`` g > 1 the steps of a stream come in groups of g that are computed together, and the window ends
where the group ends: k > last(q) - window, where last(q) is the last position of q's group. This is what
the reference implementation of Mimi does when it is streamed (its ring has exactly ``window`` slots and a
call overwrites the g oldest ones before it attends, so the earlier queries of a group lose up to g - 1
keys). As a rule about positions it holds for any chunking; with g = 1 it is the plain window.

Positions are kept on the host. Whoever drives a stream knows where it is, so slots, lengths and masks are
worked out there once a call, for all layers, and nothing waits for the device.

A *whole* cache keeps them on the device instead, and attends to whole rings under a mask: nothing that runs
depends on how far anybody is, so that a step can be captured and replayed. It costs what full rings cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from duologue.nn.attention import added, attention
from duologue.nn.rows import Rows


@dataclass(slots=True)
class Cache:
    """The keys and values of all layers of one decoder, for every row."""

    k: list[Tensor]
    """A layer each: [rows, kv_heads, capacity, d]. On a CPU a channel's keys lie side by side, not a key's channels:
    the product with a query then reads a ring at 13.5 GB/s rather than 10, on a Xeon whose memory gives 13."""
    v: list[Tensor]
    position: Tensor
    """int64 [rows], on the host, or with the keys if the cache is whole: how many steps each row has taken."""
    window: int
    group: int
    whole: bool = False

    @classmethod
    def empty(
        cls,
        rows: int,
        *,
        layers: int,
        kv_heads: int,
        head_dim: int,
        window: int,
        group: int = 1,
        chunk: int = 1,
        whole: bool = False,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Cache:
        """Room for ``rows`` streams that take at most ``chunk`` steps a call."""
        if chunk % group:
            raise ValueError(f"a call of {chunk} steps cannot be made of whole groups of {group}")
        capacity = window + chunk - group
        # Zeros, not whatever memory holds: a NaN would survive a mask (0 · NaN).
        zeros = partial(torch.zeros, device=device, dtype=dtype)
        shape = (rows, kv_heads, capacity, head_dim)
        across = torch.device(device).type == "cpu"
        keys = (rows, kv_heads, head_dim, capacity) if across else shape
        return cls(
            k=[zeros(keys).transpose(2, 3) if across else zeros(keys) for _ in range(layers)],
            v=[zeros(shape) for _ in range(layers)],
            position=torch.zeros(rows, dtype=torch.int64, device=device if whole else "cpu"),
            window=window,
            group=group,
            whole=whole,
        )

    @property
    def capacity(self) -> int:
        return self.k[0].shape[2]

    @property
    def chunk(self) -> int:
        """The most steps one call may take."""
        return self.capacity - self.window + self.group

    def reset(self, rows: Rows) -> None:
        """Begin new streams. What the rings hold is out of every later query's sight."""
        self.age(rows, 0)
        for ring in (*self.k, *self.v) if self.whole else ():
            rows.fill(ring, 0)  # a NaN that is left there would survive the mask

    def age(self, rows: Rows, steps: int) -> None:
        """These rows count as having taken so many steps."""
        if self.whole:
            rows.fill(self.position, steps)
        else:
            self.position[list(rows.host)] = steps

    def visit(self, rows: Rows, steps: int) -> Visit:
        """Prepare the next ``steps`` steps of these rows; :meth:`advance` once they are taken."""
        if steps > self.chunk or steps % self.group:
            raise ValueError(
                f"{steps} steps in one call: this cache takes multiples of {self.group} up to {self.chunk}"
            )
        if self.whole:
            q = rows.take(self.position)[:, None] + torch.arange(steps, device=self.position.device)
            return Visit(self, rows, q, q % self.capacity, None, added(self._seen(q, self.capacity), self.k[0].dtype))
        device = self.k[0].device
        at = self.position[list(rows.host)]
        q = at[:, None] + torch.arange(steps)
        last = q[:, -1:]
        lengths = (last[:, 0] + 1).clamp(max=self.capacity).tolist()
        # A single step sees all that is filled where the ring is no longer than the window. (A CPU attends
        # to each row's own length, other devices to the longest: there shorter rows need a mask.)
        mask = None
        even = device.type == "cpu" or min(lengths) == max(lengths)
        if steps > 1 or self.capacity > self.window or not even:
            mask = added(self._seen(q, max(lengths)), self.k[0].dtype).to(device)
        begin = int(at[0]) % self.capacity
        place = None
        if rows.span is not None and begin + steps <= self.capacity and bool((at == at[0]).all()):
            place = rows.span, slice(None), slice(begin, begin + steps)
        return Visit(self, rows, q.to(device), (q % self.capacity).to(device), lengths, mask, place)

    def _seen(self, q: Tensor, length: int) -> Tensor:
        """bool [N, 1, T, length]: what queries at positions ``q`` [N, T], the last of which are about to be taken, see
        of the first slots."""
        last, slots = q[:, -1:], torch.arange(length, device=q.device)
        held = last - (last - slots) % self.capacity  # the position whose key lies in each slot
        end = q - q % self.group + self.group - 1
        seen = (held[:, None] <= q[:, :, None]) & (held[:, None] > end[:, :, None] - self.window)
        return (seen & (held[:, None] >= 0))[:, None]

    def advance(self, rows: Rows, steps: int) -> None:
        """The steps of a visit are taken."""
        if self.whole or rows.active is not None:
            rows.put(self.position, rows.take(self.position) + steps)
        else:
            self.position[list(rows.host)] += steps


@dataclass(frozen=True, slots=True)
class Visit:
    """One call of a decoder over rows of a :class:`Cache` (a :class:`~duologue.nn.attention.Memory`)."""

    cache: Cache
    rows: Rows
    positions: Tensor
    slots: Tensor
    """int64 [N, T]: where the call's keys go."""
    lengths: list[int] | None
    """How many slots of each row are filled once the call's keys are in; ``None``: whole rings count."""
    mask: Tensor | None
    """[N, 1, T, L], to be added: what each step sees of the first L slots; ``None``: all that is filled."""
    place: tuple[slice, slice, slice] | None = None
    """Where the call's keys go, if that is one piece of the rings: writing there costs half as much."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = self.cache.k[layer], self.cache.v[layer]
        # (A row that takes no part writes too, where its next step will: nobody sees that before.)
        if self.place is not None:
            keys[self.place] = k.transpose(1, 2)
            values[self.place] = v.transpose(1, 2)
        else:
            at = self.rows.index[:, None]
            keys[at, :, self.slots] = k
            values[at, :, self.slots] = v
        q = q.transpose(1, 2)
        if self.lengths is None:
            return attention(q, self.rows.take(keys), self.rows.take(values), self.mask)
        length = max(self.lengths)
        even = min(self.lengths) == length
        if self.rows.span is not None and (even or (self.mask is not None and q.device.type != "cpu")):
            span = self.rows.span
            return attention(q, keys[span, :, :length], values[span, :, :length], self.mask)
        if q.device.type == "cpu":
            # Row by row over what each has filled: no copy of a ring, no work on empty slots.
            return torch.cat([
                attention(
                    q[n : n + 1],
                    keys[row : row + 1, :, :filled],
                    values[row : row + 1, :, :filled],
                    None if self.mask is None else self.mask[n : n + 1, ..., :filled],
                )
                for n, (row, filled) in enumerate(zip(self.rows.host, self.lengths, strict=True))
            ])
        keys, values = keys[:, :, :length], values[:, :, :length]
        return attention(q, self.rows.take(keys), self.rows.take(values), self.mask)


class Whole:
    """A whole sequence at once, without state: every step sees the ``window`` steps that end with it."""

    def __init__(self, steps: int, window: int | None, device: torch.device | str = "cpu") -> None:
        self.positions = torch.arange(steps, device=device)[None]
        behind = self.positions[0][:, None] - self.positions[0]
        self.mask = (behind >= 0) & (behind < (window or steps))

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), self.mask)


class Around:
    """A whole sequence at once, where every step sees all steps before and after it: an encoder's.

    ``lengths`` int64 [N]: how many of its steps each sequence has; the others are not seen. ``None``: all.
    """

    def __init__(self, steps: int, lengths: Tensor | None = None, device: torch.device | str = "cpu") -> None:
        self.positions = torch.arange(steps, device=device)[None]
        self.mask = None if lengths is None else (self.positions < lengths[:, None])[:, None, None]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), self.mask)


class Scratch:
    """A short sequence, built step by step and then forgotten: Moshi's depth, restarted every frame."""

    def __init__(
        self, batch: int, steps: int, *, layers: int, kv_heads: int, head_dim: int, like: Tensor
    ) -> None:
        shape = (layers, batch, kv_heads, steps, head_dim)
        self.k = torch.empty(shape, device=like.device, dtype=like.dtype).unbind()
        self.v = torch.empty(shape, device=like.device, dtype=like.dtype).unbind()
        self.step = 0

    @property
    def positions(self) -> Tensor:
        return torch.full((1, 1), self.step, device=self.k[0].device)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = self.k[layer], self.v[layer]
        keys[:, :, self.step] = k[:, 0]
        values[:, :, self.step] = v[:, 0]
        filled = self.step + 1
        return attention(q.transpose(1, 2), keys[:, :, :filled], values[:, :, :filled])
