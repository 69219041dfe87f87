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
    """The columns of all rows, on the device."""

    tokens: Tensor
    """int64 [rows, streams, slots]; column c lies in slot c mod slots."""
    given: Tensor
    """bool like ``tokens``: not the model's to say."""
    offset: Tensor
    """int64 [rows]: the column that the next step reads."""
    delays: Tensor
    """int64 [streams], of all rows; kept here so that no step brings it to the device."""
    initial: Tensor
    """int64 [streams], likewise."""

    def reset(self, rows: Rows) -> None:
        rows.fill(self.tokens, UNGENERATED)
        rows.fill(self.given, False)
        rows.fill(self.offset, 0)


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
            torch.zeros(shape, dtype=torch.bool, device=device),
            torch.zeros(rows, dtype=torch.int64, device=device),
            torch.tensor(self.delays, device=device),
            torch.tensor(self.initial, device=device),
        )

    def _slots(self, state: ColumnState, offset: Tensor, streams: slice, delayed: bool) -> Tensor:
        """Slots int64 [N, streams, 1] of the columns at ``offset`` [N], each stream delayed or none."""
        delays = state.delays[streams]
        column = offset[:, None] + delays if delayed else offset[:, None].expand(-1, len(delays))
        slots: Tensor = column[..., None] % state.tokens.shape[2]
        return slots

    def _give(self, state: ColumnState, rows: Rows, streams: slice, ahead: int, tokens: Tensor) -> None:
        slots = self._slots(state, rows.take(state.offset) + ahead, streams, delayed=True)
        _write(rows, state.tokens[:, streams], slots, tokens[..., None])
        _write(rows, state.given[:, streams], slots, True)

    def hear(self, state: ColumnState, rows: Rows, codes: Tensor) -> None:
        """The person's next frame of codes, [N, streams - 1 - spoken]."""
        self._give(state, rows, slice(1 + self.spoken, self.streams), self.lag, codes)

    def give(self, state: ColumnState, rows: Rows, text: Tensor, codes: Tensor) -> None:
        """What the agent will say with the step to come: ``text`` [N], its own ``codes`` [N, spoken]."""
        self._give(state, rows, slice(1 + self.spoken), 1, torch.cat([text[:, None], codes], dim=1))

    def read(self, state: ColumnState, rows: Rows) -> Tensor:
        """The column at each row's offset, int64 [N, streams]."""
        offset = rows.take(state.offset)
        slots = self._slots(state, offset, slice(self.streams), delayed=False)
        column = rows.take(state.tokens).gather(2, slots)[..., 0]
        return torch.where(offset[:, None] > state.delays, column, state.initial)

    def coming(self, state: ColumnState, rows: Rows) -> tuple[Tensor, Tensor]:
        """What is already given of the column to be predicted.

        Returns tokens int64 [N, 1 + predicted] (meaningless where not given) and bool likewise.
        """
        streams = slice(1 + self.predicted)
        slots = self._slots(state, rows.take(state.offset) + 1, streams, delayed=False)
        tokens = rows.take(state.tokens)[:, streams].gather(2, slots)
        given = rows.take(state.given)[:, streams].gather(2, slots)
        return tokens[..., 0], given[..., 0]

    def advance(self, state: ColumnState, rows: Rows, column: Tensor) -> tuple[Tensor, Tensor]:
        """The next column is ``column`` [N, 1 + predicted]; what was given stands in it already.

        Returns the newest frame that is complete, its delays undone, [N, 1 + predicted] (UNGENERATED where
        none is), and whether there is one, bool [N].
        """
        streams, offset = slice(1 + self.predicted), rows.take(state.offset) + 1
        _write(rows, state.tokens[:, streams], self._slots(state, offset, streams, delayed=False), column[..., None])
        read = self._slots(state, offset - 1, slice(self.streams), delayed=False)
        _write(rows, state.given, read, False)
        rows.put(state.offset, offset)

        slots = self._slots(state, offset - self.max_delay, streams, delayed=True)
        frame = rows.take(state.tokens)[:, streams].gather(2, slots)[..., 0]
        ready = offset > self.max_delay
        return torch.where(ready[:, None], frame, UNGENERATED), ready


def _write(rows: Rows, state: Tensor, slots: Tensor, value: Tensor | bool) -> None:
    """Write ``value`` [N, S, 1] to the ``slots`` [N, S, 1] of these rows of ``state`` [rows, S, slots]."""
    rows.put(state, rows.take(state).scatter(2, slots, value))
