"""The next token of each of several answers, each in its own manner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from duologue.models.turns import Manner
from duologue.nn.sampling import Sampling, draw_keys


def draw(
    usual: Sampling, manners: Sequence[Manner], logits: Tensor, positions: Tensor, seen: Tensor | None = None
) -> Tensor:
    """``logits`` float32 [N, V] at ``positions`` int64 [N] → tokens int64 [N].

    ``usual`` holds but for the temperature that a manner names; its seed and the position fix the draw. ``seen``: bool
    [N, V], as :meth:`duologue.nn.sampling.Sampling.choose` has it.
    """
    seeds = torch.tensor([manner.seed for manner in manners], device=logits.device)
    keys = draw_keys(seeds, positions.to(logits.device), 1)[:, 0]
    tokens = torch.zeros(len(manners), dtype=torch.int64, device=logits.device)
    ways: dict[float | None, list[int]] = {}
    for n, manner in enumerate(manners):
        ways.setdefault(manner.temperature, []).append(n)
    for temperature, members in ways.items():
        way = usual if temperature is None else replace(usual, temperature=temperature)
        tokens[members] = way.choose(logits[members], keys[members], None if seen is None else seen[members])
    return tokens
