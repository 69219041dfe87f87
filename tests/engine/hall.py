"""An engine under test: a virtual clock, a model whose steps take as long as they are told, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from duologue.audio import Wave
from duologue.engine.messages import Command, Event, Hush, Join, Leave, Said, Sound
from duologue.engine.ticks import Engine
from duologue.models.contract import Frames
from duologue.nn.rows import Rows

RATE, FRAME = 1000, 80
"""80 ms of 80 samples."""


@dataclass
class Heard:
    """What the rows of a :class:`Parrot` remember."""

    frames: Tensor

    def reset(self, rows: Rows) -> None:
        rows.fill(self.frames, 0)


@dataclass
class Parrot:
    """Says what it hears, after a frame of delay, and counts the frames in the text. Costs what it is told to."""

    cost: Callable[[int], float] = lambda rows: 0.001
    sleep: Callable[[float], None] = lambda seconds: None
    fault: Callable[[Tensor], Exception | None] = lambda wave: None
    rate: int = RATE
    frame: int = FRAME
    batches: list[tuple[int, ...]] = field(default_factory=list)
    hushed: set[int] = field(default_factory=set)
    restarted: list[int] = field(default_factory=list)

    def state(self, rows: int) -> Heard:
        return Heard(torch.zeros(rows, dtype=torch.int64))

    def reset(self, state: Heard, rows: Rows, seeds: Sequence[int]) -> None:
        state.reset(rows)

    def step(self, state: Heard, rows: Rows, wave: Tensor) -> Frames:
        self.sleep(self.cost(len(rows)))
        self.batches.append(rows.host)
        if (error := self.fault(wave)) is not None:
            raise error
        count = rows.take(state.frames) + 1
        rows.put(state.frames, count)
        said = torch.where(torch.tensor([row in self.hushed for row in rows.host])[:, None], 0.0, wave)
        self.hushed -= set(rows.host)
        ready = tuple(bool(n > 1) for n in count)
        return Frames(said, tuple(count.tolist()), ready, (True,) * len(rows))

    def hush(self, state: Heard, rows: Rows) -> None:
        self.hushed |= set(rows.host)

    def restart_codec(self, state: Heard, rows: Rows) -> None:
        self.restarted += rows.host

    def age(self, state: Heard, rows: Rows, steps: int) -> None:
        return None

    def text(self, token: int) -> str:
        return f" {token}"


@dataclass
class Prompter(Parrot):
    """One that is told who to be in ten pieces, which cost a step each."""

    voices: tuple[str, ...] = ("low", "high")

    def prime(self, state: Heard, row: Rows, voice: str, instructions: str) -> Iterator[None]:
        if voice not in ("", *self.voices):
            raise ValueError(f"there is no voice {voice!r}")
        for _ in range(10):
            self.sleep(self.cost(1))
            yield


class Hall:
    """Drives an engine on a clock of its own."""

    def __init__(self, model: Any = None, rows: int = 4, measure: bool = True) -> None:
        self.now = 1000.0
        self.model = model or Parrot()
        self.model.sleep = self.sleep
        self.events: list[tuple[float, Event]] = []
        self.engine = Engine(self.model, rows, self._emit, clock=lambda: self.now)
        if measure:
            self.engine.measure(0)
            self.model.batches.clear()
        self._due: list[tuple[float, Command]] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def _emit(self, events: Sequence[Event]) -> None:
        self.events += [(self.now, event) for event in events]

    def tell(self, command: Command) -> None:
        self.engine.take(command, self.now)

    def join(self, seat: int, **more: Any) -> None:
        self.tell(Join(seat, seed=seat, **more))

    def later(self, at: float, command: Command) -> None:
        """The command arrives at that time."""
        self._due.append((at, command))

    def speak(self, seat: int, wave: Wave, *, start: float | None = None, piece: int = 20) -> None:
        """In real time from ``start``, a piece at a time; it arrives when its last sample was spoken."""
        start = self.now if start is None else start
        for at in range(0, len(wave), piece):
            part = wave[at : at + piece]
            self.later(start + (at + len(part)) / RATE, Sound(seat, part))

    def run(self, seconds: float) -> None:
        """Let time pass: commands as they are due, ticks as the process would do them."""
        until = self.now + seconds
        while self.now < until:
            self._due.sort(key=lambda pair: pair[0])
            tick = until if self.engine.empty else min(until, self.engine.due())
            if self._due and self._due[0][0] <= tick:
                at, command = self._due.pop(0)
                self.now = max(self.now, at)
                self.engine.take(command, max(at, at))
                self.engine.hand_out()
            else:
                self.now = max(self.now, tick)
                if not self.engine.empty:
                    self.engine.tick()
                    self.now += 1e-6

    def said(self, seat: int) -> list[tuple[float, Said]]:
        return [(at, e) for at, e in self.events if isinstance(e, Said) and e.seat == seat]

    def of(self, kind: type) -> list[Any]:
        return [event for _, event in self.events if isinstance(event, kind)]

    def sound(self, seat: int) -> Wave:
        waves = [event.wave for _, event in self.said(seat)]
        return np.concatenate(waves) if waves else np.zeros(0, np.float32)


__all__ = ["FRAME", "RATE", "Hall", "Hush", "Leave", "Parrot", "Prompter"]
