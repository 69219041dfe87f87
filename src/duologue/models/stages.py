"""A turn model's first response as a sum of stages, computed: what each reads from memory and what it multiplies.

For a question of five seconds on an H200, one session. A stage takes as long as its slower side: the bytes of its
parameters (bfloat16) through the memory, or its operations through the tensor cores, both at the part of their peak
that good kernels reach. What launching kernels costs is not in it, nor the endpoint, which comes before.

How many text tokens pass before there is anything to hear depends on trained weights. LLaMA-Omni's two are read off its
paper (table 4: 10 units more take 32 ms more where a token takes about 30, so the first ten come with the second
token); Mini-Omni2's steps follow from its layout (seven delayed layers and a stride of four).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

QUESTION = 5.0
"""Seconds."""

MEMORY: Final = 0.7 * 4.8e12
"""Bytes a second: of an H200's 4.8 TB/s."""

COMPUTE: Final = 0.4 * 989e12
"""Operations a second: of its 989 TFLOP/s in bfloat16, dense."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the way to the first response."""

    name: str
    reads: tuple[str, ...]
    """How names of the tensors it reads begin, ``file:name``."""
    positions: int
    """Of each pass."""
    passes: int = 1
    batch: int = 1
    attention: float = 0.0
    """Operations beside those with parameters."""

    def seconds(self, sizes: Mapping[str, int]) -> float:
        """How long all passes take. ``sizes``: parameters of each tensor."""
        parameters = sum(size for name, size in sizes.items() if name.startswith(self.reads))
        operations = 2 * parameters * self.positions * self.batch + self.attention
        return self.passes * max(2 * parameters / MEMORY, operations / COMPUTE)


def _attention(positions: int, width: int, layers: int) -> float:
    """Operations of an encoder's attention, where every position sees every other."""
    return 4.0 * positions**2 * width * layers


_WINDOW: Final = 1500
"""Positions of Whisper's 30 s."""

_HEARD: Final = round(50 * QUESTION)
"""Positions of Whisper for the question."""

STAGES: Final[Mapping[str, tuple[Stage, ...]]] = {
    "llama_omni": (
        Stage("encoder", ("large-v3",), _WINDOW, attention=_attention(_WINDOW, 1280, 32)),
        Stage("prefill", ("model:model.layers",), 370),
        Stage("2 text tokens", ("model:model.layers", "model:lm_head"), 1, passes=2),
        Stage("their speech", ("model:speech_generator",), 25, passes=2),
        Stage("vocoder", ("vocoder",), 1, attention=16.0e9 * 0.25),
    ),
    "mini_omni2": (
        Stage("encoder", ("small.pt",), _WINDOW, attention=_attention(_WINDOW, 768, 12)),
        Stage("prefill", ("lit_model.pth:transformer.h",), _HEARD + 5),
        Stage("11 steps", ("lit_model.pth:transformer",), 1, passes=11, batch=2),
        Stage("vocoder", ("snac",), 1, attention=9.7e9 * 0.34),
    ),
    "qwen2_audio": (
        Stage("encoder", ("model:audio_tower",), _HEARD, attention=_attention(_HEARD, 1280, 32)),
        Stage("prefill", ("model:language_model.model",), _HEARD // 2 + 40),
        Stage("1 text token", ("model:language_model",), 1),
    ),
}
"""By system. (Operations of the vocoders a second of speech are those of the published networks, counted.)"""


def first_response(system: str, sizes: Mapping[str, int]) -> str:
    """In words; empty for what takes no turns. ``sizes``: parameters of each tensor, by ``file:name``."""
    took = [(stage.name, 1000 * stage.seconds(sizes)) for stage in STAGES.get(system, ())]
    parts = ", ".join(f"{name} {ms:.1f}" for name, ms in took)
    return f"{sum(ms for _, ms in took):.0f} ms ({parts})" if took else ""
