"""What is to be played: a queue of speech that knows how much of each item was.

The conversation fills it, the device empties it, from a thread of its own.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from duologue.audio import RATE, Wave

FADE = RATE // 200
"""Samples in which sound starts and stops: 5 ms; faster clicks."""


@dataclass(frozen=True, slots=True)
class Cut:
    """An item that was not played to its end."""

    item: str
    part: int
    """Which part of the item's content the sound belongs to."""
    played: int
    """Samples of it that were played."""


@dataclass(slots=True)
class _Piece:
    wave: Wave
    item: str | None
    """``None``: the fading end of what was dropped."""
    part: int = 0


class Loudspeaker:
    """Silence where nothing is queued."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: deque[_Piece] = deque()
        self._current: str | None = None
        """The item that was played last."""
        self._played = 0
        """Samples of it that were played."""
        self._paused = False
        self._gain = FADE
        """In steps of 1 / FADE; at 0 the queue stands still."""

    def push(self, item: str, part: int, wave: Wave) -> None:
        """``wave`` [n] follows what is queued."""
        with self._lock:
            self._queue.append(_Piece(wave, item, part))

    def pause(self, paused: bool) -> None:
        """Fall silent and stand still, or go on from there."""
        with self._lock:
            self._paused = paused

    @property
    def queued(self) -> int:
        """Samples that wait to be played."""
        with self._lock:
            return sum(len(piece.wave) for piece in self._queue)

    def take(self, count: int) -> Wave:
        """The next ``count`` samples to play."""
        with self._lock:
            steps = np.arange(1, count + 1)
            gains = np.clip(self._gain + (-steps if self._paused else steps), 0, FADE)
            moving = int(np.count_nonzero(gains))
            self._gain = int(gains[-1]) if count else self._gain
            wave = np.zeros(count, np.float32)
            wave[:moving] = self._advance(moving)
            return wave * (gains / FADE).astype(np.float32)

    def flush(self) -> list[Cut]:
        """Fall silent and forget what is queued; tells of each item in it how much was played."""
        with self._lock:
            cuts: dict[str, Cut] = {}
            for piece in self._queue:
                if piece.item is not None:
                    played = self._played if piece.item == self._current else 0
                    cuts.setdefault(piece.item, Cut(piece.item, piece.part, played))
            # What sounds just now fades out; what had not begun, or had paused, leaves nothing behind.
            sounding = bool(self._queue) and self._gain > 0 and self._queue[0].item == self._current
            tail = self._queue[0].wave[:FADE] if sounding else np.zeros(0, np.float32)
            fade = np.linspace(1, 0, len(tail), endpoint=False, dtype=np.float32)
            self._queue = deque([_Piece(tail * fade, None)] if len(tail) else [])
            self._paused = False
            return list(cuts.values())

    def _advance(self, count: int) -> Wave:
        """The next ``count`` samples of the queue, silence where it ends."""
        parts: list[Wave] = []
        missing = count
        while missing and self._queue:
            piece = self._queue[0]
            part, piece.wave = piece.wave[:missing], piece.wave[missing:]
            if piece.item is not None:
                self._played = len(part) + (self._played if piece.item == self._current else 0)
                self._current = piece.item
            if not len(piece.wave):
                self._queue.popleft()
            parts.append(part)
            missing -= len(part)
        return np.concatenate([*parts, np.zeros(missing, np.float32)])
