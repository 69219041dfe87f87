"""Whisper's log-mel spectrogram (arXiv 2212.04356, section 2.2; openai/whisper ``audio.py``, transformers'
``WhisperFeatureExtractor``).

    16 kHz wave → Hann windows of 400, every 160 → power → 80 or 128 slaney mels → log10, 8 decades below the peak kept

The peak is that of the whole window that a model is trained on (30 s), silence included: :func:`log_mel` is given the
padded wave.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

RATE = 16_000
HOP = 160
"""Samples between two frames: 100 frames a second."""
_SIZE = 400
_DECADES = 8.0
_LEAST = 1e-10


@cache
def filters(mels: int) -> Tensor:
    """Slaney's triangles of equal area over 0 to 8000 Hz, float32 [201, mels]."""
    edges = _hertz(torch.linspace(0.0, float(_mel(torch.tensor(RATE / 2))), mels + 2, dtype=torch.float64))
    bins = torch.linspace(0.0, RATE / 2, _SIZE // 2 + 1, dtype=torch.float64)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    area = 2.0 / (edges[2:] - edges[:-2])
    return (torch.minimum(rising, falling).clamp(min=0) * area).float()


def _mel(hertz: Tensor) -> Tensor:
    """Linear to 1000 Hz (15 mel), then a mel each 27th root of 6.4."""
    step = torch.log(torch.tensor(6.4, dtype=torch.float64)) / 27
    return torch.where(hertz < 1000, hertz * 3 / 200, 15 + torch.log(hertz.clamp(min=1000).double() / 1000) / step)


def _hertz(mel: Tensor) -> Tensor:
    step = torch.log(torch.tensor(6.4, dtype=torch.float64)) / 27
    return torch.where(mel < 15, mel * 200 / 3, 1000 * torch.exp(step * (mel - 15).clamp(min=0)))


def log_mel(wave: Tensor, mels: int) -> Tensor:
    """``wave`` [N, samples] at 16 kHz, padded to the model's window → float32 [N, mels, samples / 160].

    The last frame of the transform is dropped, as in the references.
    """
    return _below_peak(_logarithm(wave, mels))


def windowed(waves: Sequence[Tensor], window: int, mels: int) -> Tensor:
    """Sounds [samples] each, cut or filled up with silence to ``window`` samples → [N, mels, window / 160].

    As :func:`log_mel` has it, but only frames that hear anything are transformed (a tenth of the time for 5 s of 30):
    what silence has for a logarithm is known.
    """
    cut = [wave[:window] for wave in waves]
    heard = -(-max(map(len, cut)) // HOP) * HOP + 2 * _SIZE  # behind it no frame hears anything, nor is one mirrored
    length = min(window, heard)
    logarithm = _logarithm(torch.stack([F.pad(wave, (0, length - len(wave))) for wave in cut]), mels)
    silence = float(torch.tensor(_LEAST).log10())
    return _below_peak(F.pad(logarithm, (0, window // HOP - logarithm.shape[-1]), value=silence))


def _logarithm(wave: Tensor, mels: int) -> Tensor:
    window = torch.hann_window(_SIZE, device=wave.device)
    spectrum = torch.stft(wave, _SIZE, HOP, window=window, center=True, pad_mode="reflect", return_complex=True)
    power = spectrum[..., :-1].abs().square()
    return (filters(mels).to(wave.device).T @ power).clamp(min=_LEAST).log10()


def _below_peak(logarithm: Tensor) -> Tensor:
    peak = logarithm.amax(dim=(1, 2), keepdim=True)
    return (torch.maximum(logarithm, peak - _DECADES) + 4.0) / 4.0
