"""Tokens from logits, drawn by counter.

A draw is a race: candidate i of probability p_i runs for e_i / p_i, e_i exponentially distributed, and the
fastest wins with probability p_i (arXiv 2410.00037's code draws so; Gumbel's trick in other clothes). The
e_i are no stream that a generator hands out in order. Each is a *function* of (session seed, position,
which draw of that position, candidate), so masking, batching, speculating and rewinding do not move a draw:
a session gives the same tokens alone and in company, as far as its logits are the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_GAMMA = -0x61C8864680B583EB
_MIX_1 = -0x40A7B892E31B1A47
_MIX_2 = -0x6B2FB644ECCEEE15


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    """The output function of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) on int64, wrapping."""
    x = (x ^ _shift(x, 30)) * _MIX_1
    x = (x ^ _shift(x, 27)) * _MIX_2
    return x ^ _shift(x, 31)


def draw_keys(seeds: Tensor, positions: Tensor, draws: int) -> Tensor:
    """A key for each draw: ``seeds`` and ``positions`` int64 [N] → int64 [N, draws]."""
    stream = _mix(_mix(seeds + _GAMMA) + positions * _GAMMA)
    index = torch.arange(1, draws + 1, device=seeds.device)
    return _mix(stream[:, None] + index * _GAMMA)


def exponential(keys: Tensor, candidates: Tensor) -> Tensor:
    """Exp(1) noise, float32 [..., k], of ``keys`` [...] for the candidate ids [..., k]."""
    bits = _mix(keys[..., None] + (candidates + 1) * _GAMMA)
    uniform = (_shift(bits, 41).to(torch.float32) + 0.5) * 2.0**-23  # exact in float32, never 0 or 1
    return -torch.log(uniform)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn."""

    temperature: float = 0.8
    """Divides the logits; 0 takes the most probable token."""
    top_k: int = 0
    """Only so many most probable tokens are candidates; 0: all."""
    top_p: float = 1.0
    """Of those, only the fewest most probable ones that together have at least this share of their probability."""
    repetition: float = 1.0
    """Tokens that were there already have their logits divided by this, negative ones multiplied (arXiv 1909.05858)."""

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise ValueError(f"a temperature is 0 (greedy) or positive, got {self.temperature}")
        if self.top_k < 0:
            raise ValueError(f"top_k is a number of tokens or 0 for all, got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is a share of the probability, above 0 and up to 1, got {self.top_p}")
        if not self.repetition > 0:
            raise ValueError(f"a repetition penalty is positive, 1 for none, got {self.repetition}")

    def candidates(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities float32 and ids int64, both [N, k], of ``logits`` [N, V]; with top-k descending.

        Probabilities are those of the whole softmax: a race does not ask that they sum to one.
        """
        p = torch.softmax(logits.float() / self.temperature, dim=-1)
        if self.top_k > 0 or self.top_p < 1:
            p, ids = p.topk(min(self.top_k or p.shape[-1], p.shape[-1]), dim=-1)
            if self.top_p < 1:
                before = p.cumsum(-1) - p
                p = torch.where(before < self.top_p * p.sum(-1, keepdim=True), p, 0.0)
            return p, ids
        return p, torch.arange(p.shape[-1], device=p.device).expand_as(p)

    def noise(self, keys: Tensor, count: int) -> Tensor | None:
        """For several draws among ``count`` tokens each, whose ``keys`` [N, draws] are known before: what each is to be
        given as noise, [N, draws, count], in one go; ``None`` where nothing is drawn."""
        return None if self.temperature == 0 else exponential(keys, torch.arange(count, device=keys.device))

    def choose(
        self, logits: Tensor, keys: Tensor, seen: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """One token for each row: ``logits`` [N, V], ``keys`` int64 [N] → int64 [N]. ``seen``: bool [N, V], the tokens
        that were there already. ``noise`` [N, V]: that of the keys, if it is there already."""
        if seen is not None and self.repetition != 1:
            less = torch.where(logits < 0, logits * self.repetition, logits / self.repetition)
            logits = torch.where(seen, less, logits)
        if self.temperature == 0:
            return logits.argmax(dim=-1)
        p, ids = self.candidates(logits)
        return race(p, ids, exponential(keys, ids) if noise is None else noise.gather(-1, ids))


def race(p: Tensor, ids: Tensor, noise: Tensor) -> Tensor:
    """The id whose probability over noise is largest: all [N, k] → [N]."""
    return ids.gather(-1, (p / noise).argmax(dim=-1, keepdim=True))[:, 0]


GREEDY = Sampling(temperature=0.0)
