"""What a listener hears: audio that arrives in pieces, played in real time, dropped when the server says so.

A client plays each piece when it arrives, or once what came before is over, and empties its queue on
``input_audio_buffer.speech_started``. From when the pieces arrived, that is arithmetic: no sound card is
needed, and the result is the same timeline that a person in front of the loudspeaker would have heard.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np

from duologue.audio import Wave


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A stretch of a reply as played."""

    start: int
    """Position on the timeline at which its first sample is played."""
    wave: Wave
    response: str
    item: str

    @property
    def end(self) -> int:
        return self.start + len(self.wave)


@dataclass(slots=True)
class Playback:
    """Positions are samples at 24 kHz on the caller's timeline and never go back."""

    pieces: list[Piece] = field(default_factory=list)

    @property
    def end(self) -> int:
        """When everything received so far will have been played; 0 before anything was."""
        return self.pieces[-1].end if self.pieces else 0

    def add(self, at: int, wave: Wave, *, response: str, item: str) -> None:
        """``wave`` arrived at ``at``."""
        self.pieces.append(Piece(max(at, self.end), wave, response, item))

    def flush(self, at: int) -> str | None:
        """Silence from ``at`` on. Returns the item that was being played; ``None`` where nothing was lost."""
        lost = None
        for index, piece in enumerate(self.pieces):
            if piece.end > at:
                lost = lost or piece.item
                kept = piece.wave[: max(0, at - piece.start)]
                self.pieces[index] = replace(piece, start=min(piece.start, at), wave=kept)
        return lost

    def heard(self, item: str) -> int:
        """Samples of ``item`` that were played, or will be."""
        return sum(len(piece.wave) for piece in self.pieces if piece.item == item)

    def timeline(self, length: int, response: str | None = None) -> Wave:
        """The first ``length`` samples of what was heard, of ``response`` alone where one is named."""
        wave = np.zeros(length, np.float32)
        for piece in self.pieces:
            if (response is None or piece.response == response) and piece.start < length:
                wave[piece.start : piece.end] = piece.wave[: length - piece.start]
        return wave

    def spoken(self, responses: Collection[str]) -> Wave:
        """What was heard of ``responses``, with the gaps between pieces as they were."""
        mine = [piece for piece in self.pieces if piece.response in responses and len(piece.wave)]
        if not mine:
            return np.zeros(0, np.float32)
        wave = np.zeros(mine[-1].end - mine[0].start, np.float32)
        for piece in mine:
            wave[piece.start - mine[0].start :][: len(piece.wave)] = piece.wave
        return wave
