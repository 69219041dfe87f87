"""Where one rendering of a sound goes over into another."""

from __future__ import annotations

import torch
from torch import Tensor


def faded(held: Tensor | None, fresh: Tensor) -> Tensor:
    """``fresh`` [samples], into which ``held``, an earlier rendering of its beginning, is faded over its length."""
    if held is None or not len(held):
        return fresh
    overlap = min(len(held), len(fresh))
    fading = torch.linspace(0, 1, overlap + 2, device=fresh.device, dtype=fresh.dtype)[1:-1]
    return torch.cat((torch.lerp(held[:overlap], fresh[:overlap], fading), fresh[overlap:]))
