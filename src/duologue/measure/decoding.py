"""The one decoder and the one Whisper beside transformers': the same random weights, threads and minutes.

Blocks of the one and of the other alternate, so that whatever else the machine does happens to both; the figures are
medians. A step is what a turn model makes for a text token: embedding, decoder, norm, head, the most probable token.
transformers is a benchmark's dependency only: ``pip install transformers``.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duologue.checkpoints.keys import Key, KeyTable, stored, unfilled
from duologue.checkpoints.layouts import decoder_keys
from duologue.encoders.whisper import Whisper, WhisperConfig, transformers_keys
from duologue.measure.compared import Line
from duologue.nn.cache import Cache
from duologue.nn.decoder import Decoder, DecoderConfig, RMSNorm
from duologue.nn.linear import Linear, pack, quantize
from duologue.nn.rows import Rows

REMEDY = "transformers is not installed: pip install transformers (for this benchmark only)"

SHAPE = {"dim": 512, "layers": 8, "heads": 8, "kv_heads": 2, "hidden": 1376, "vocabulary": 32_000}
"""Qwen2's, small."""

PROMPT, STEPS, ROUNDS = 64, 32, 5
"""Positions that are read before, steps of a block, blocks of each."""

EAR = {"mels": 80, "dim": 512, "layers": 6, "heads": 8}
"""Whisper base's encoder."""


class NoTransformers(RuntimeError):
    """transformers is missing; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """A run."""

    threads: int
    lines: tuple[Line, ...]

    def to_json(self) -> dict[str, Any]:
        return {"threads": self.threads, "lines": [line.to_json() for line in self.lines]}


class _Net(nn.Module):
    def __init__(self, config: DecoderConfig, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(vocabulary, config.dim))
        self.decoder = Decoder(config)
        self.norm = RMSNorm(config.dim, config.eps)
        self.head = Linear(config.dim, vocabulary)

    def step(self, tokens: Tensor, cache: Cache, rows: Rows) -> Tensor:
        """int64 [N, T] → the most probable tokens that follow the last [N, 1]."""
        hidden = self.norm(self.decoder.stream(F.embedding(tokens, self.embedding), cache, rows))
        out: Tensor = self.head(hidden[:, -1:]).argmax(-1)
        return out


def decoding(*, threads: int = 1, told: Callable[[int], None] = lambda blocks: None) -> Decoding:
    """Measure; ``told`` gets the blocks since it was last told. Raises :class:`NoTransformers`."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        transformers: Any = import_module("transformers")
    except ModuleNotFoundError as error:
        raise NoTransformers(REMEDY) from error
    transformers.logging.set_verbosity_error()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            lines = [*_language(transformers, told), *_ears(transformers, told)]
    finally:
        torch.set_num_threads(before)
    return Decoding(threads, tuple(lines))


def _language(transformers: Any, told: Callable[[int], None]) -> list[Line]:
    s = SHAPE
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        hidden_size=s["dim"], num_hidden_layers=s["layers"], num_attention_heads=s["heads"],
        num_key_value_heads=s["kv_heads"], intermediate_size=s["hidden"], vocab_size=s["vocabulary"],
        tie_word_embeddings=False, max_position_embeddings=2048,
    )  # fmt: skip
    theirs = transformers.Qwen2ForCausalLM(config).eval()
    theirs.generation_config.eos_token_id = None
    shape = DecoderConfig(
        s["dim"], s["layers"], s["heads"], s["hidden"], kv_heads=s["kv_heads"], eps=config.rms_norm_eps, biases="qkv",
        rope="half", theta=float((config.rope_parameters or {}).get("rope_theta", 10_000.0)),
    )  # fmt: skip
    head = s["dim"] // s["heads"]
    table = KeyTable(
        Key("model.embed_tokens.weight", "embedding"),
        *decoder_keys("model.", "decoder.", q=s["dim"], kv=s["kv_heads"] * head, hidden=s["hidden"], biases=True),
        Key("model.norm.weight", "norm.weight"),
        Key("lm_head.weight", "head.weight"),
    )
    weights = {name: stored(tensor) for name, tensor in theirs.state_dict().items()}
    prompt = torch.randint(s["vocabulary"], (1, PROMPT))
    lines = []
    for dtype, bits in ((torch.float32, None), (torch.bfloat16, None), (torch.bfloat16, 8)):
        ours = unfilled(partial(_Net, shape, s["vocabulary"]), "cpu", dtype)
        table.load(ours, weights, source="transformers")
        quantize(ours) if bits == 8 else pack(ours)
        peer = theirs.to(dtype)
        if dtype == torch.float32:
            _agree(ours, peer, prompt)
        mine, one, others = _alternate(
            [
                partial(_ours, ours, prompt, 1),
                partial(_theirs, peer, prompt, None),
                partial(_theirs, peer, prompt, "static"),
                partial(_ours, ours, prompt, 8),
            ],
            told,
        )
        name = "int8 weights" if bits == 8 else str(dtype).removeprefix("torch.")
        best = min(one)
        lines.append(Line("text token, Qwen2 shape", 1, name, mine, best, 1.0))
        lines.append(Line("text token, Qwen2 shape", 8, name, others, best, others / mine))
    return lines


def _alternate(ways: list[Callable[[], float]], told: Callable[[int], None]) -> tuple[float, list[float], float]:
    """(ours, [theirs, …], ours for many), medians in milliseconds of blocks in turns; the first round warms up."""
    took: list[list[float]] = [[] for _ in ways]
    for turn in range(ROUNDS + 1):
        for n, way in enumerate(ways):
            took_ms = 1000 * way()
            if turn:
                took[n].append(took_ms)
            told(1)
    medians = [statistics.median(each) for each in took]
    return medians[0], medians[1:-1], medians[-1]


def _agree(ours: _Net, theirs: Any, prompt: Tensor) -> None:
    cache, row = ours.decoder.cache(1, length=2 * PROMPT, chunk=PROMPT), Rows.of([0])
    mine = ours.head(ours.norm(ours.decoder.stream(F.embedding(prompt, ours.embedding), cache, row)))
    torch.testing.assert_close(mine, theirs(prompt).logits, atol=1e-3, rtol=1e-3)


def _ours(net: _Net, prompt: Tensor, sessions: int) -> float:
    """Seconds a step; sessions stand at different positions."""
    cache = net.decoder.cache(sessions, length=2 * PROMPT + STEPS, chunk=PROMPT)
    for n in range(sessions):
        net.step(prompt[:, : PROMPT - 4 * n], cache, Rows.of([n]))
    rows, tokens = Rows.of(range(sessions)), prompt[:, -1:].expand(sessions, 1)
    began = time.perf_counter()
    for _ in range(STEPS):
        tokens = net.step(tokens, cache, rows)
    return (time.perf_counter() - began) / STEPS


def _theirs(model: Any, prompt: Tensor, cache: str | None) -> float:
    """Seconds a step of ``generate``; the time of reading the prompt is taken off."""
    how: dict[str, Any] = {"do_sample": False, "cache_implementation": cache, "pad_token_id": 0}
    how["attention_mask"] = torch.ones_like(prompt)

    def took(tokens: int) -> float:
        began = time.perf_counter()
        model.generate(prompt, max_new_tokens=tokens, min_new_tokens=tokens, disable_compile=True, **how)
        return time.perf_counter() - began

    return (took(STEPS + 1) - took(1)) / STEPS


def _ears(transformers: Any, told: Callable[[int], None]) -> list[Line]:
    torch.manual_seed(1)
    config = transformers.WhisperConfig(
        num_mel_bins=EAR["mels"], d_model=EAR["dim"], encoder_layers=EAR["layers"],
        encoder_attention_heads=EAR["heads"], encoder_ffn_dim=4 * EAR["dim"],
    )  # fmt: skip
    theirs = transformers.models.whisper.modeling_whisper.WhisperEncoder(config).eval()
    own = WhisperConfig(EAR["mels"], EAR["dim"], EAR["layers"], EAR["heads"], 4 * EAR["dim"])
    ours = unfilled(lambda: Whisper(own), "cpu", torch.float32)
    weights = {name: stored(tensor) for name, tensor in theirs.state_dict().items()}
    KeyTable(*transformers_keys("", "", own.dim)).load(ours, weights, source="transformers")
    mel = torch.randn(1, own.mels, 2 * own.steps)
    torch.testing.assert_close(ours.norm(ours(mel)), theirs(mel).last_hidden_state, atol=1e-3, rtol=1e-3)

    def clock(work: Callable[[], object]) -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    mine, others, short = _alternate(
        [
            lambda: clock(lambda: ours.norm(ours(mel))),
            lambda: clock(lambda: theirs(mel)),
            lambda: clock(lambda: ours.norm(ours(mel[..., :502], torch.tensor([250])))),
        ],
        told,
    )
    return [
        Line("Whisper base, 30 s", 1, "float32", mine, min(others), 1.0),
        Line("Whisper base, 5 s of it (where that is exact)", 1, "float32", short, min(others), short / mine),
    ]
