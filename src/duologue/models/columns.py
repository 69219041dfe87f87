"""Moshi's token columns.

Time runs in columns: row 0 the text, then a row for each codebook, the agent's before the person's. Row k
is *delayed*: what belongs to frame t stands in column t + delay_k, so that the acoustic codes of a frame are
predicted after its semantic code is known (arXiv 2410.00037, 3.4.4). A step reads column o and predicts
column o + 1.

A ring of columns a session, the offset o of each. What a position holds has two possible authors: the model,
or someone who *gives* it (the person's codes, a prompt, forced silence); what is given stands.

At the start there is nothing to read: rows with o <= delay read their initial token. Hence the person's very
first frame is never seen (the reference's behaviour, kept).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from duologue.nn.rows import Rows

UNGENERATED = -2
"""Stands where nothing has been said yet."""


@dataclass(slots=True)
class ColumnState:
    """The columns of all rows."""

    tokens: Tensor
    """int64 [rows, streams, slots], on the device; column c lies in slot c mod slots."""
    given: Tensor
    """bool like ``tokens``, on the host: not the model's to say."""
    offset: Tensor
    """int64 [rows], on the host: the column that the next step reads."""

    def reset(self, rows: Rows) -> None:
        index = list(rows.host)
        rows.fill(self.tokens, UNGENERATED)
        self.given[index] = False
        self.offset[index] = 0


@dataclass(frozen=True, slots=True)
class Columns:
    """How columns are laid out; the state is passed in."""

    delays: tuple[int, ...]
    """A delay for each stream: text, the agent's codebooks, the person's."""
    initial: tuple[int, ...]
    """The initial token of each stream."""
    spoken: int
    """How many codebooks are the agent's own."""
    predicted: int
    """How many codebooks the model predicts: the agent's, and with PersonaPlex the person's too."""
    lag: int = 0
    """The person's codes given at a step enter so many columns later than the one it reads."""

    @property
    def streams(self) -> int:
        return len(self.delays)

    @property
    def max_delay(self) -> int:
        return max(self.delays)

    def state(self, rows: int, device: torch.device | str) -> ColumnState:
        """Empty columns for ``rows`` sessions."""
        shape = (rows, self.streams, self.max_delay + 2 + self.lag)
        return ColumnState(
            torch.full(shape, UNGENERATED, device=device),
            torch.zeros(shape, dtype=torch.bool),
            torch.zeros(rows, dtype=torch.int64),
        )

    def _slots(self, state: ColumnState, rows: Rows, streams: range, ahead: int, delayed: bool) -> Tensor:
        """Slots int64 [N, len(streams)], on the host, of the column ``ahead`` of each row's."""
        shift = torch.tensor([self.delays[k] if delayed else 0 for k in streams])
        slots: Tensor = (state.offset[list(rows.host)][:, None] + ahead + shift) % state.tokens.shape[2]
        return slots

    def _give(self, state: ColumnState, rows: Rows, streams: range, ahead: int, tokens: Tensor) -> None:
        slots = self._slots(state, rows, streams, ahead, delayed=True)
        device, index = state.tokens.device, torch.tensor(streams)
        state.tokens[rows.index[:, None], index.to(device), slots.to(device)] = tokens
        state.given[torch.tensor(rows.host)[:, None], index, slots] = True

    def hear(self, state: ColumnState, rows: Rows, codes: Tensor) -> None:
        """The person's next frame of codes, [N, streams - 1 - spoken]."""
        self._give(state, rows, range(1 + self.spoken, self.streams), self.lag, codes)

    def give(self, state: ColumnState, rows: Rows, text: Tensor, codes: Tensor) -> None:
        """What the agent will say with the step to come: ``text`` [N], its own ``codes`` [N, spoken]."""
        self._give(state, rows, range(1 + self.spoken), 1, torch.cat([text[:, None], codes], dim=1))

    def read(self, state: ColumnState, rows: Rows) -> Tensor:
        """The column at each row's offset, int64 [N, streams]."""
        device = state.tokens.device
        slots = self._slots(state, rows, range(self.streams), 0, delayed=False)
        column = rows.take(state.tokens).gather(2, slots.to(device)[..., None])[..., 0]
        begun = state.offset[list(rows.host)][:, None] > torch.tensor(self.delays)
        return torch.where(begun.to(device), column, torch.tensor(self.initial, device=device))

    def coming(self, state: ColumnState, rows: Rows) -> tuple[Tensor, Tensor]:
        """What is already given of the column to be predicted.

        Returns tokens int64 [N, 1 + predicted] (on the device; meaningless where not given) and bool likewise
        (on the host).
        """
        slots = self._slots(state, rows, range(1 + self.predicted), 1, delayed=False)[..., None]
        tokens = rows.take(state.tokens)[:, : 1 + self.predicted].gather(2, slots.to(state.tokens.device))
        given = state.given[list(rows.host), : 1 + self.predicted].gather(2, slots)
        return tokens[..., 0], given[..., 0]

    def advance(self, state: ColumnState, rows: Rows, column: Tensor) -> tuple[Tensor, list[bool]]:
        """The next column is ``column`` [N, 1 + predicted]; what was given stands in it already.

        Returns the newest frame that is complete, its delays undone, [N, 1 + predicted] (UNGENERATED where
        none is), and whether there is one.
        """
        host, device = torch.tensor(rows.host), state.tokens.device
        index = torch.arange(1 + self.predicted)
        slots = self._slots(state, rows, range(1 + self.predicted), 1, delayed=False)
        state.tokens[rows.index[:, None], index.to(device), slots.to(device)] = column
        state.given[host, :, state.offset[host] % state.tokens.shape[2]] = False
        state.offset[host] += 1

        slots = self._slots(state, rows, range(1 + self.predicted), -self.max_delay, delayed=True)
        ready = state.offset[host] > self.max_delay
        tokens = rows.take(state.tokens)[:, : 1 + self.predicted]
        frame = tokens.gather(2, slots.to(device)[..., None])[..., 0]
        frame = torch.where(ready[:, None].to(device), frame, UNGENERATED)
        return frame, ready.tolist()
