"""The parts of turn models that must keep up with speech, by themselves: random weights, one row, as streams.

The vocoders have their published sizes. LLaMA-Omni's speech decoder is a smaller one (two layers of 512), because what
it is compared with, computing everything anew at every text token as the reference does, takes an hour at full size.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from duologue.codecs.snac import Snac, SnacConfig
from duologue.codecs.snac_stream import SnacStream
from duologue.codecs.unit_hifigan import UnitHiFiGAN, UnitHiFiGANConfig
from duologue.codecs.unit_stream import UnitStream
from duologue.models.llama_omni import LlamaOmniConfig, SpeechDecoder
from duologue.models.tiny import fill
from duologue.nn.rows import Rows

SPEECH = (2, 512, 8, 1376)
"""Layers, width, heads and inner width of the speech decoder that is measured."""

FRAMES, UNITS = 48, 120
"""What the vocoders are given: 4 s of SNAC's frames, four by four; units ten by ten."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A run, on ``threads`` threads."""

    threads: int
    snac: float
    """Real-time factor of Mini-Omni2's vocoder: seconds for a second of speech."""
    units: float
    """Of LLaMA-Omni's."""
    tokens: int
    incremental_ms: float
    """LLaMA-Omni's speech decoder for each of so many text tokens, on the average."""
    recomputed_ms: float
    """The same where everything before is computed anew at every token."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"times_faster": self.recomputed_ms / self.incremental_ms}


def parts(*, threads: int = 1, tokens: int = 128, told: Callable[[int], None] = lambda steps: None) -> Parts:
    """Measure; ``told`` gets the text tokens that were recomputed since it was last told."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            generator = torch.Generator().manual_seed(0)
            snac, units = _snac(generator), _units(generator)
            incremental, recomputed = _speech(generator, tokens, told)
    finally:
        torch.set_num_threads(before)
    return Parts(threads, snac, units, tokens, 1000 * incremental / tokens, 1000 * recomputed / tokens)


def _snac(generator: torch.Generator) -> float:
    codec = Snac(SnacConfig())
    fill(codec, generator)
    stream, row = SnacStream(codec, hold=1), Rows.of([0])
    codes = torch.randint(codec.config.codebook_size, (7, FRAMES), generator=generator)
    state, said, began = stream.state(1), 0, time.perf_counter()
    for at in range(0, FRAMES, 4):
        said += len(stream.feed(state, row, [codes[:, at : at + 4]], [at + 4 == FRAMES])[0])
    return (time.perf_counter() - began) * codec.config.sampling_rate / said


def _units(generator: torch.Generator) -> float:
    vocoder = UnitHiFiGAN(UnitHiFiGANConfig())
    fill(vocoder, generator)
    vocoder.dur_predictor.proj.bias.data.fill_(1.0)  # about two frames a unit, as in speech
    stream, row = UnitStream(vocoder, hold=4), Rows.of([0])
    units = torch.randint(vocoder.config.num_embeddings, (UNITS,), generator=generator).tolist()
    state, said, began = stream.state(1), 0, time.perf_counter()
    for at in range(0, UNITS, 10):
        said += len(stream.feed(state, row, [units[at : at + 10]], [at + 10 == UNITS])[0])
    return (time.perf_counter() - began) * vocoder.config.sampling_rate / said


def _speech(generator: torch.Generator, tokens: int, told: Callable[[int], None]) -> tuple[float, float]:
    config = LlamaOmniConfig(dim=SPEECH[1], speech=SPEECH)
    decoder = SpeechDecoder(config)
    fill(decoder, generator)
    states = torch.randn(tokens, config.dim, generator=generator)
    cache, row = decoder.cache(1, tokens), Rows.of([0])
    began = time.perf_counter()
    classes = [decoder.stream(state[None], cache, row)[0] for state in states]
    incremental, began = time.perf_counter() - began, time.perf_counter()
    for count in range(1, tokens + 1):
        logits = decoder(states[None, :count])
        told(1)
    recomputed = time.perf_counter() - began
    agreeing = (torch.cat(classes) == logits.argmax(-1)[0]).float().mean()
    if agreeing < 0.99:  # near ties of random weights may fall either way
        raise RuntimeError(f"the two ways agree in {100 * float(agreeing):.1f} % of the classes only")
    return incremental, recomputed
