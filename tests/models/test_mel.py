"""Whisper's spectrogram of a padded window, without transforming its silence."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from duologue.encoders.mel import HOP, log_mel, windowed

WINDOW = 100 * HOP


@pytest.mark.parametrize("lengths", [(1,), (160, 161), (4000, 3), (WINDOW - 600,), (WINDOW - 10,), (WINDOW + 50, 0)])
@pytest.mark.parametrize("loud", [0.0, 1e-4, 0.3])
def test_of_a_padded_window_it_is_what_it_is_of_the_padded_sound(lengths: tuple[int, ...], loud: float) -> None:
    generator = torch.Generator().manual_seed(1)
    waves = [loud * torch.randn(length, generator=generator) for length in lengths]
    padded = torch.stack([F.pad(wave[:WINDOW], (0, max(0, WINDOW - len(wave)))) for wave in waves])
    torch.testing.assert_close(windowed(waves, WINDOW, 80), log_mel(padded, 80), atol=1e-6, rtol=0)
