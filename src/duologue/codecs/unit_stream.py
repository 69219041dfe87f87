"""Units as they come → a wave without seams.

A sample depends on 20 frames to either side, and a unit's duration on two units. So the wave of a unit is settled only
when enough has come after it. What to do about the time in between is the one choice here, ``hold``:

``None``    wait: what is said is, sample for sample, the whole utterance, however the units are cut into pieces.
a number    say all but the last so many frames at once. When more comes, the held frames are made anew with what
            is known now, and the old faded into the new: no click, but the wave depends a little on the pieces. What
            was said stays said, and the durations of its units stay as they were.

Pieces vocoded apart and put in a row, as LLaMA-Omni's demo does, click at every border.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from duologue.codecs.seam import faded
from duologue.codecs.unit_hifigan import UnitHiFiGAN, padded
from duologue.nn.rows import Rows


@dataclass(slots=True)
class Utterance:
    """What one row has been given and has said."""

    units: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    """Of each unit whose duration is settled: the frame at which it ends."""
    said: int = 0
    """Frames."""
    held: Tensor | None = None
    """The wave of frames after those, as it was made last."""

    def start(self, unit: int) -> int | None:
        """The frame at which a unit begins, once it is settled."""
        if unit == 0:
            return 0
        return self.ends[unit - 1] if unit <= len(self.ends) else None


@dataclass(slots=True)
class UnitStreamState:
    """The utterances of all rows."""

    utterances: list[Utterance]

    def reset(self, rows: Rows) -> None:
        for row in rows.host:
            self.utterances[row] = Utterance()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What of one row is made now: frames ``begin`` to ``end``, of which those from ``said`` to ``upto`` are said."""

    frames: Tensor
    begin: int
    end: int
    upto: int


class UnitStream:
    """A unit vocoder that is fed piece by piece, many rows at a time."""

    def __init__(self, vocoder: UnitHiFiGAN, hold: int | None = None) -> None:
        if hold is not None and hold < 0:
            raise ValueError(f"frames to hold are counted from 0, got {hold}")
        self.vocoder = vocoder
        self.hold = hold
        self.before, self.after = vocoder.config.reach

    def state(self, rows: int) -> UnitStreamState:
        return UnitStreamState([Utterance() for _ in range(rows)])

    def feed(
        self, state: UnitStreamState, rows: Rows, units: Sequence[Sequence[int]], last: Sequence[bool]
    ) -> list[Tensor]:
        """The next units of each row (perhaps none), and whether they are its last → the wave [samples] that is
        now to be said, perhaps empty."""
        utterances = [state.utterances[row] for row in rows.host]
        for utterance, more in zip(utterances, units, strict=True):
            utterance.units += more
        plans = [
            self._plan(utterance, durations, ending)
            for utterance, durations, ending in zip(utterances, self._durations(utterances), last, strict=True)
        ]
        busy = [n for n, plan in enumerate(plans) if plan.end > plan.begin and plan.upto > utterances[n].said]
        out = [self.vocoder.conv_post.weight.new_zeros(0) for _ in plans]
        if busy:
            frames = [plans[n].frames for n in busy]
            waves = self.vocoder.render(padded(frames), [len(row) for row in frames])
            for n, wave in zip(busy, waves, strict=True):
                out[n] = self._say(utterances[n], plans[n], wave)
        return out

    def _durations(self, utterances: Sequence[Utterance]) -> list[list[int]]:
        """Of each row's units that are not settled yet, as far as can be told now."""
        reach = self.vocoder.config.duration_reach
        firsts = [max(0, len(u.ends) - reach) for u in utterances]
        device = self.vocoder.embedding.weight.device
        windows = [
            torch.tensor(u.units[first:], dtype=torch.int64, device=device)
            for u, first in zip(utterances, firsts, strict=True)
        ]
        lengths = [len(window) for window in windows]
        if not max(lengths):
            return [[] for _ in utterances]
        durations = self.vocoder.durations(padded(windows), lengths).tolist()
        return [
            durations[n][len(u.ends) - first : lengths[n]]
            for n, (u, first) in enumerate(zip(utterances, firsts, strict=True))
        ]

    def _plan(self, u: Utterance, durations: list[int], last: bool) -> _Plan:
        if self.hold is None and not last:
            durations = durations[: max(0, len(durations) - self.vocoder.config.duration_reach)]
        ends, settled = list(u.ends), len(u.ends)
        for duration in durations:
            ends.append((ends[-1] if ends else 0) + duration)
        end = ends[-1] if ends else 0
        back = 0 if last else self.after if self.hold is None else self.hold
        upto = max(u.said, end - back)
        if self.hold is None:
            u.ends = ends
        else:  # a unit of which anything is said is settled
            u.ends = ends[:settled] + [
                each for n, each in enumerate(ends[settled:], settled) if (ends[n - 1] if n else 0) < upto
            ]
        begin = max(0, u.said - self.before)
        return _Plan(self._frames(u.units, ends, begin, end), begin, end, upto)

    def _frames(self, units: list[int], ends: list[int], begin: int, end: int) -> Tensor:
        """The unit of each frame from ``begin`` to ``end``."""
        device = self.vocoder.embedding.weight.device
        if end <= begin:
            return torch.zeros(0, dtype=torch.int64, device=device)
        borders = torch.tensor(ends, dtype=torch.int64)
        which = torch.bucketize(torch.arange(begin, end), borders, right=True)
        return torch.tensor(units, dtype=torch.int64)[which].to(device)

    def _say(self, u: Utterance, plan: _Plan, wave: Tensor) -> Tensor:
        hop = self.vocoder.config.hop
        fresh = wave[(u.said - plan.begin) * hop : (plan.end - plan.begin) * hop].clone()
        if self.hold is not None:
            fresh = faded(u.held, fresh)
        cut = (plan.upto - u.said) * hop
        u.held = fresh[cut:] if self.hold else None
        u.said = plan.upto
        return fresh[:cut]
