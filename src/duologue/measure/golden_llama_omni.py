"""Checks of LLaMA-Omni's golden cases."""

from __future__ import annotations

import torch
from torch import Tensor

from duologue.checkpoints.keys import unfilled
from duologue.checkpoints.weight_norm import folded
from duologue.codecs import unit_hifigan
from duologue.codecs.unit_hifigan import UnitHiFiGAN, UnitHiFiGANConfig
from duologue.measure.golden import Case, Check


def vocoder(case: Case) -> dict[str, Tensor]:
    model = unfilled(lambda: UnitHiFiGAN(UnitHiFiGANConfig.from_published(case.config)), "cpu", torch.float32)
    unit_hifigan.KEYS.load(model, folded(case.weights), source=str(case.folder))
    units = case.given("code_with_invalid")[0]
    units = units[units >= 0]
    cut = 11
    chunks = [units[:cut], units[cut:]]
    return {
        "log_dur": model.log_durations(units[None], [len(units)]),
        "durations": model.durations(units[None], [len(units)]),
        "wave_dur": model(case.given("code_with_invalid")[0]),
        "wave_nodur": model(case.given("code")[0], timed=False),
        "wave_two_chunks": torch.cat([model(chunk) for chunk in chunks]),
        "durations_two_chunks": torch.cat([model.durations(c[None], [len(c)]) for c in chunks], dim=1),
    }


CHECKS: dict[str, Check] = {
    "vocoder": vocoder,
}
"""By the case's component or name."""
