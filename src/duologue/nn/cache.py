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

import math
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor

from duologue.nn.attention import added, attention
from duologue.nn.rows import Rows

SMALL = 4
"""Masks of so many queries are kept: a codec's frame comes back to the same slots every round."""

Cut = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, [N, kv_heads, slots, d]: views of the rings."""


@dataclass(slots=True)
class Cache:
    """The keys and values of all layers of one decoder, for every row."""

    k: Tensor
    """[layers, rows, kv_heads, capacity, d], so that what a call sees of all layers is cut out at once. On a CPU a
    channel's keys lie side by side, not a key's channels: the product with a query then reads a ring at 13.5 GB/s
    rather than 10, on a Xeon whose memory gives 13."""
    v: Tensor
    """[layers, rows, kv_heads, capacity, d]."""
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
        shape = (layers, rows, kv_heads, capacity, head_dim)
        across = torch.device(device).type == "cpu"
        return cls(
            k=zeros((layers, rows, kv_heads, head_dim, capacity)).transpose(3, 4) if across else zeros(shape),
            v=zeros(shape),
            position=torch.zeros(rows, dtype=torch.int64, device=device if whole else "cpu"),
            window=window,
            group=group,
            whole=whole,
        )

    @property
    def capacity(self) -> int:
        return self.k.shape[3]

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
            whole = added(_seen(q, self.window, self.group, self.capacity, self.capacity), self.k.dtype)
            return Visit(self, rows, q, None, whole, q % self.capacity, None, self._cut(rows, slice(None)))
        device = self.k.device
        at = rows.take_host(self.position).tolist()
        lengths = [min(position + steps, self.capacity) for position in at]
        even, alike = min(lengths) == max(lengths), min(at) == max(at)
        # A CPU attends to each row's own length, other devices to the longest: there shorter rows need a mask.
        one_piece = even or device.type != "cpu"
        q = torch.arange(at[0], at[0] + steps)[None] if alike else torch.tensor(at)[:, None] + torch.arange(steps)
        # A single step sees all that is filled where the ring is no longer than the window.
        mask: Tensor | None = None
        if steps > 1 or self.capacity > self.window or (one_piece and not even):
            if alike:
                mask = self._seen_from(at[0], steps).to(device)
            else:
                mask = added(_seen(q, self.window, self.group, self.capacity, max(lengths)), self.k.dtype).to(device)
        begin = at[0] % self.capacity
        place = self._cut(rows, slice(begin, begin + steps)) if alike and begin + steps <= self.capacity else None
        slots = None if place is not None else (q % self.capacity).to(device)
        seen = self._cut(rows, slice(max(lengths))) if one_piece else None
        return Visit(self, rows, q.to(device), lengths, mask, slots, place, seen)

    def _seen_from(self, at: int, steps: int) -> Tensor:
        """What queries from position ``at`` on see, to be added, [1, 1, T, L], on the host."""
        again = math.lcm(self.capacity, self.group)
        if at >= again:  # everything is filled, and what is seen begins anew with each round
            at = again + at % again
        make = _kept_mask if steps <= SMALL else _kept_mask.__wrapped__
        return make(at, steps, self.window, self.group, self.capacity, self.k.dtype)

    def _cut(self, rows: Rows, slots: slice) -> Cut | None:
        """These slots of these rows; ``None`` where that is not one piece of the rings."""
        if rows.span is None:
            return None
        return list(zip(self.k[:, rows.span, :, slots], self.v[:, rows.span, :, slots], strict=True))

    def advance(self, rows: Rows, steps: int) -> None:
        """The steps of a visit are taken."""
        if self.whole or rows.active is not None:
            rows.put(self.position, rows.take(self.position) + steps)
        elif rows.span is not None:
            self.position[rows.span].add_(steps)
        else:
            self.position[list(rows.host)] += steps


def _seen(q: Tensor, window: int, group: int, capacity: int, length: int) -> Tensor:
    """bool [N, 1, T, length]: what queries at positions ``q`` [N, T], the last of which are about to be taken, see
    of the first slots."""
    last, slots = q[:, -1:], torch.arange(length, device=q.device)
    held = last - (last - slots) % capacity  # the position whose key lies in each slot
    end = q - q % group + group - 1
    seen = (held[:, None] <= q[:, :, None]) & (held[:, None] > end[:, :, None] - window)
    return (seen & (held[:, None] >= 0))[:, None]


@lru_cache(maxsize=1024)
def _kept_mask(at: int, steps: int, window: int, group: int, capacity: int, dtype: torch.dtype) -> Tensor:
    """What ``steps`` queries from ``at`` on see of all that is filled then, to be added."""
    with torch.inference_mode(False):
        q = torch.arange(at, at + steps)[None]
        return added(_seen(q, window, group, capacity, min(at + steps, capacity)), dtype)


@dataclass(frozen=True, slots=True)
class Visit:
    """One call of a decoder over rows of a :class:`Cache` (a :class:`~duologue.nn.attention.Memory`)."""

    cache: Cache
    rows: Rows
    positions: Tensor
    """int64 [N, T], or [1, T] where all rows are at the same."""
    lengths: list[int] | None
    """How many slots of each row are filled once the call's keys are in; ``None``: whole rings count."""
    mask: Tensor | None
    """[N, 1, T, L], or [1, 1, T, L] where all rows are at the same, to be added: what each step sees of the first L
    slots; ``None``: all that is filled."""
    slots: Tensor | None
    """Where the call's keys go, as ``positions``; or, if that is one piece of the rings:"""
    place: Cut | None
    """That piece. Writing there costs half as much."""
    seen: Cut | None
    """The slots that are attended to, if they are one piece of the rings."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        # (A row that takes no part writes too, where its next step will: nobody sees that before.)
        if self.place is not None:
            keys, values = self.place[layer]
            keys.copy_(k)
            values.copy_(v)
        else:
            keys, values = self.cache.k[layer], self.cache.v[layer]
            assert self.slots is not None
            at = self.rows.index[:, None], slice(None), self.slots
            keys[at] = k.transpose(1, 2)
            values[at] = v.transpose(1, 2)
        if self.seen is not None:
            keys, values = self.seen[layer]
            return attention(q, keys, values, self.mask)
        keys, values = self.cache.k[layer], self.cache.v[layer]
        if self.lengths is not None and q.device.type == "cpu":
            # Row by row over what each has filled: no copy of a ring, no work on empty slots.
            return torch.cat([
                attention(
                    q[n : n + 1],
                    keys[row : row + 1, :, :filled],
                    values[row : row + 1, :, :filled],
                    self.mask if self.mask is None or len(self.mask) == 1 else self.mask[n : n + 1, ..., :filled],
                )
                for n, (row, filled) in enumerate(zip(self.rows.host, self.lengths, strict=True))
            ])
        if self.lengths is not None:
            keys, values = keys[:, :, : max(self.lengths)], values[:, :, : max(self.lengths)]
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
