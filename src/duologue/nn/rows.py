"""Which rows of a state take part in a step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one step, in the order of the step's batch.

    Known on the host (``host``) and on the device (``index``), so that nothing in a step waits for the
    device. Rows must differ, except that a padding row may be repeated at will: what it holds is undefined.
    """

    host: tuple[int, ...]
    index: Tensor
    """int64 [N], on the device of the state."""
    span: slice | None
    """The rows as a slice where they are consecutive: taking them is then a view, not a copy."""
    active: Tensor | None = None
    """bool [N], on the device of the state: which of them take part. The others go through all of a step and keep what
    they had. ``None``: all do. Where a step is captured, who takes part must not change what runs."""

    @classmethod
    def of(cls, rows: Iterable[int], device: torch.device | str = "cpu") -> Rows:
        host = tuple(rows)
        if not host:
            raise ValueError("a step needs at least one row")
        if min(host) < 0:
            raise ValueError(f"rows are counted from 0, got {host}")
        consecutive = host == tuple(range(host[0], host[0] + len(host)))
        span = slice(host[0], host[0] + len(host)) if consecutive else None
        return cls(host, torch.tensor(host, dtype=torch.int64, device=device), span)

    def __len__(self) -> int:
        return len(self.host)

    def pick(self, which: Iterable[int]) -> Rows:
        """The rows at these places of the batch, each taking part or not as it does here."""
        places = list(which)
        picked = Rows.of((self.host[i] for i in places), self.index.device)
        return picked if self.active is None else replace(picked, active=self.active[places])

    @property
    def known(self) -> bool:
        """Whether the host may look at what the step computes and let what follows depend on it: on a CPU, where that
        waits for nothing, unless the step is captured."""
        return self.active is None and self.index.device.type == "cpu"

    def where(self, active: Tensor) -> Rows:
        """These rows, of which only ``active``, bool [N], take part from now on."""
        if self.known and bool(active.all()):
            return self
        return replace(self, active=active if self.active is None else self.active & active)

    def take(self, state: Tensor) -> Tensor:
        """These rows of ``state`` [rows, …] as [N, …]. Not to be written to: it may be a view."""
        return state[self.span] if self.span is not None else state.index_select(0, self.index)

    def take_host(self, state: Tensor) -> Tensor:
        """:meth:`take` of something that is kept on the host whatever the device; it may be a view as well."""
        return state[self.span] if self.span is not None else state[list(self.host)]

    def put(self, state: Tensor, value: Tensor) -> None:
        """Write ``value`` [N, …] to these rows of ``state`` [rows, …]."""
        if self.active is not None:
            active = self.active.view(-1, *(1,) * (value.dim() - 1))
            value = torch.where(active, value, self.take(state))
        if self.span is not None:
            state[self.span] = value
        else:
            state.index_copy_(0, self.index, value)

    def fill(self, state: Tensor, value: float) -> None:
        """Set these rows of ``state`` to one value."""
        if self.active is not None:
            self.put(state, torch.full_like(self.take(state), value))
        elif self.span is not None:
            state[self.span] = value
        else:
            state.index_fill_(0, self.index, value)


class State(Protocol):
    """What a streaming layer remembers, each tensor with a leading row axis."""

    def reset(self, rows: Rows) -> None:
        """These rows begin a new stream; the others do not notice."""
