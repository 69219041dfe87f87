"""Draws: their distribution, and that they depend on nothing but their counter."""

from __future__ import annotations

import pytest
import torch

from duologue.nn.sampling import GREEDY, Sampling, draw_keys, exponential


def keys(count: int, seed: int = 7) -> torch.Tensor:
    return draw_keys(torch.full((count,), seed), torch.arange(count), 1)[:, 0]


def test_tokens_come_as_often_as_they_should() -> None:
    count = 20_000
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, 1.5, -3.0])
    drawn = Sampling(0.7, 4).choose(logits.expand(count, -1), keys(count))
    often = torch.bincount(drawn, minlength=6) / count
    p = torch.softmax(logits / 0.7, -1)
    p[[3, 5]] = 0  # beyond the four most probable
    p /= p.sum()
    assert (often[p == 0] == 0).all()
    assert ((often - p).abs() < 4 * (p * (1 - p) / count).sqrt() + 1e-9).all()


def test_draws_of_neighbouring_counters_are_independent() -> None:
    seeds, positions = torch.tensor([1, 2]).repeat_interleave(5000), torch.arange(5000).repeat(2)
    noise = exponential(draw_keys(seeds, positions, 2).flatten(), torch.arange(3).expand(20_000, -1))
    assert noise.min() > 0
    assert noise.isfinite().all()
    assert abs(noise.mean() - 1) < 0.02
    by_draw = noise.view(10_000, 6)  # two draws of three candidates, position by position
    series = torch.cat([by_draw[:-1], by_draw[1:]], dim=1)
    correlation = torch.corrcoef(series.T) - torch.eye(12)
    assert correlation.abs().max() < 0.05


def test_a_draw_does_not_move_with_the_batch() -> None:
    logits = torch.randn(6, 50, generator=torch.Generator().manual_seed(0))
    sampling, key = Sampling(1.0, 20), keys(6)
    together = sampling.choose(logits, key)
    alone = torch.cat([sampling.choose(logits[i : i + 1], key[i : i + 1]) for i in range(6)])
    assert torch.equal(together, alone)
    # Nor with candidates that change places at equal probability.
    swapped = logits.clone()
    swapped[:, [0, 1]] = logits[:, :1]
    assert torch.equal(sampling.choose(swapped, key), sampling.choose(swapped + 1e-9, key))


def test_other_seeds_positions_and_draws_give_other_noise() -> None:
    grid = draw_keys(torch.arange(-20, 20).repeat_interleave(30), torch.arange(30).repeat(40), 9)
    assert grid.unique().numel() == grid.numel()


def test_temperature_zero_takes_the_most_probable() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0], [9.0, 3.0, 1.0]])
    assert GREEDY.choose(logits, keys(2)).tolist() == [1, 0]


@pytest.mark.parametrize("wrong", [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": -1}])
def test_nonsense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"temperature|top_k"):
        Sampling(**wrong)  # type: ignore[arg-type]


def test_noise_made_before_draws_the_same() -> None:
    logits = torch.randn(5, 3, 40, generator=torch.Generator().manual_seed(2))
    grid = draw_keys(torch.arange(5), torch.arange(5), 3)
    for sampling in (Sampling(), Sampling(0.7, 4), Sampling(0.9, top_p=0.6)):
        noise = sampling.noise(grid, 40)
        assert noise is not None
        for draw in range(3):
            alone = sampling.choose(logits[:, draw], grid[:, draw])
            assert torch.equal(alone, sampling.choose(logits[:, draw], grid[:, draw], noise=noise[:, draw]))
    assert GREEDY.noise(grid, 40) is None
