"""What the turn models share in reading a prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from duologue.models.turns import Ids, Picture, Piece, Sound

CHUNK = 128
"""Positions that are read at once, at most."""


def woven(
    pieces: Sequence[Piece],
    read: Callable[[Ids], Tensor],
    hear: Callable[[Sequence[Sound]], Sequence[Tensor]],
    see: Callable[[Sequence[Picture]], Sequence[Tensor]] | None = None,
) -> list[Tensor]:
    """What each piece becomes, in their order; sounds, and pictures, go through their encoder all at once."""
    sounds = [piece for piece in pieces if isinstance(piece, Sound)]
    pictures = [piece for piece in pieces if isinstance(piece, Picture)]
    if pictures and see is None:
        raise ValueError("this model sees no pictures: leave them out")
    heard = iter(hear(sounds) if sounds else ())
    seen = iter(see(pictures) if pictures and see is not None else ())
    return [
        read(piece) if isinstance(piece, Ids) else next(heard) if isinstance(piece, Sound) else next(seen)
        for piece in pieces
    ]
