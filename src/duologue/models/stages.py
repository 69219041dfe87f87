"""What a model must do as a sum of stages, computed: what each reads from memory and what it multiplies.

On an H200. A stage takes as long as its slower side: the bytes of its parameters and of the keys and values that it
attends to through the memory, or its operations through the units that multiply. :data:`PEAK` makes that a lower bound,
:data:`REACHED` counts with the part of the peak that good kernels reach. What launching kernels costs is not in it.

Two sums are made. One is a tick of Moshi with so many sessions whose rings are full. The other is a turn model's first
response to a question of five seconds, one session, without the endpoint, which comes before. How many text tokens pass
before there is anything to hear depends on trained weights. LLaMA-Omni's two are read off its paper (table 4: 10 units
more take 32 ms more where a token takes about 30, so the first ten come with the second token); Mini-Omni2's steps
follow from its layout (seven delayed layers and a stride of four).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

QUESTION = 5.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a device does in a second."""

    memory: float
    """Bytes it reads."""
    halves: float
    """Operations on bfloat16, dense."""
    singles: float
    """Operations on float32."""

    def share(self, memory: float, compute: float) -> Machine:
        """One that reaches these parts of it."""
        return Machine(self.memory * memory, self.halves * compute, self.singles * compute)


PEAK: Final = Machine(4.8e12, 989e12, 67e12)
"""An H200."""

REACHED: Final = PEAK.share(0.7, 0.4)


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the way."""

    name: str
    reads: tuple[str, ...]
    """How names of the tensors it reads begin, ``file:name``."""
    positions: int
    """Of each pass."""
    passes: int = 1
    batch: int = 1
    attention: float = 0.0
    """Operations beside those with parameters."""
    remembered: float = 0.0
    """Bytes read beside the parameters: keys and values."""
    single: bool = False
    """In float32, else in bfloat16."""

    def seconds(self, sizes: Mapping[str, int], machine: Machine = REACHED) -> float:
        """How long all passes take. ``sizes``: parameters of each tensor."""
        parameters = sum(size for name, size in sizes.items() if name.startswith(self.reads))
        operations = 2 * parameters * self.positions * self.batch + self.attention
        each, rate = (4, machine.singles) if self.single else (2, machine.halves)
        return self.passes * max((each * parameters + self.remembered) / machine.memory, operations / rate)


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


def tick(sessions: int) -> Sequence[Stage]:
    """A tick of Moshi in its published size (in bfloat16, its codec in float32), all rings full.

    Of its convolutions the operations are counted (0.44e9 a frame each way); they are no products of every parameter
    with every position.
    """
    ring, width, layers = 3000, 4096, 32
    codec = 0.44e9 * sessions
    return (
        Stage("codec in", ("mimi:encoder", "mimi:downsample"), 0, attention=codec, single=True),
        Stage(
            "temporal",
            ("lm:transformer", "lm:out_norm", "lm:text_linear"),
            1,
            batch=sessions,
            attention=4.0 * ring * width * layers * sessions,
            remembered=2.0 * 2 * ring * width * layers * sessions,
        ),
        Stage("depth", ("lm:depformer_in", "lm:depformer.layers", "lm:linears"), 1, batch=sessions),
        Stage("codec out", ("mimi:decoder", "mimi:upsample"), 0, attention=codec, single=True),
    )
