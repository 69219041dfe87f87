"""SNAC's frames as they come → a wave without seams.

A sample depends on :data:`~duologue.codecs.snac.CONTEXT` frames to either side. ``hold`` is what it is for the unit
vocoder (:mod:`duologue.codecs.unit_stream`): ``None`` waits for the context and gives, sample for sample, the wave of
all frames at once; a number says all but the last so many frames at once, makes those anew when more is known, and
fades the one into the other. Frames decoded four by four and put in a row, as Mini-Omni2's server does, crack at every
border. No noise is mixed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from duologue.codecs.seam import faded
from duologue.codecs.snac import CONTEXT, Snac, by_layers
from duologue.nn.rows import Rows


@dataclass(slots=True)
class Spoken:
    """What one row has been given and has said."""

    frames: list[Tensor] = field(default_factory=list)
    """int64 [7] each; those that no sample still to come depends on are let go."""
    dropped: int = 0
    said: int = 0
    """Frames, counted from the first."""
    held: Tensor | None = None
    """The wave of frames after those, as it was made last."""


@dataclass(slots=True)
class SnacStreamState:
    """Of all rows."""

    spoken: list[Spoken]

    def reset(self, rows: Rows) -> None:
        for row in rows.host:
            self.spoken[row] = Spoken()


class SnacStream:
    """A decoder that is fed frame by frame, many rows at a time."""

    def __init__(self, codec: Snac, hold: int | None = None) -> None:
        if hold is not None and hold < 0:
            raise ValueError(f"frames to hold are counted from 0, got {hold}")
        self.codec = codec
        self.hold = hold

    def state(self, rows: int) -> SnacStreamState:
        return SnacStreamState([Spoken() for _ in range(rows)])

    def feed(self, state: SnacStreamState, rows: Rows, frames: Sequence[Tensor], last: Sequence[bool]) -> list[Tensor]:
        """The next frames of each row, int64 [7, F] (F may be 0), and whether they are its last → the wave [samples]
        that is now to be said, perhaps empty. ``ValueError`` for a code that there is not."""
        for each in frames:
            if each.numel() and not 0 <= int(each.min()) <= int(each.max()) < self.codec.config.codebook_size:
                raise ValueError(f"codes go from 0 to {self.codec.config.codebook_size - 1}")
        spoken = [state.spoken[row] for row in rows.host]
        for row, more in zip(spoken, frames, strict=True):
            row.frames += more.unbind(1)
        upto = [self._upto(row, ending) for row, ending in zip(spoken, last, strict=True)]
        out = [torch.zeros(0)] * len(spoken)
        alike: dict[int, list[int]] = {}
        for n, row in enumerate(spoken):
            if upto[n] > row.said:
                alike.setdefault(len(row.frames), []).append(n)
        for members in alike.values():  # no masks in this network: rows of one length are decoded together
            rendered = self._decode([torch.stack(spoken[n].frames, 1) for n in members])
            for n, wave in zip(members, rendered, strict=True):
                out[n] = self._say(spoken[n], wave, upto[n])
        return out

    def _upto(self, row: Spoken, last: bool) -> int:
        end = row.dropped + len(row.frames)
        back = 0 if last else CONTEXT if self.hold is None else self.hold
        return max(row.said, end - back)

    def _decode(self, frames: list[Tensor]) -> Tensor:
        """[7, F] each → [N, samples]."""
        rows = [by_layers(each) for each in frames]
        device = next(self.codec.parameters()).device
        codes = [torch.cat(layer).to(device) for layer in zip(*rows, strict=True)]
        return self.codec.decode(codes)[:, 0]

    def _say(self, row: Spoken, wave: Tensor, upto: int) -> Tensor:
        hop = self.codec.config.frame
        fresh = wave[(row.said - row.dropped) * hop :]
        if self.hold is not None:
            fresh = faded(row.held, fresh)
        cut = (upto - row.said) * hop
        row.held = fresh[cut:] if self.hold else None
        row.said = upto
        spare = max(0, upto - CONTEXT - row.dropped)
        del row.frames[:spare]
        row.dropped += spare
        return fresh[:cut]
