"""Beside the reference: Kyutai's own ``moshi`` package and ours, the same weights, threads and minutes.

Both load one checkpoint into this process. Then blocks of steps of the one and of the other alternate, so that whatever
else the machine is doing happens to both; the figure is the ratio of medians. The reference computes over its whole
ring however little of it is filled; ours is measured with a full one too. Its package is a benchmark's dependency only:
``pip install --no-deps moshi einops``.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from duologue.checkpoints.files import CheckpointError
from duologue.engine.loading import CannotLoad
from duologue.measure.compared import Line
from duologue.models.moshi import Moshi
from duologue.models.moshi_files import load_moshi
from duologue.nn.linear import Linear
from duologue.nn.processor import processor_name
from duologue.nn.rows import Rows

REMEDY = "the reference is not installed: pip install --no-deps moshi einops (for this benchmark only)"

WARM, ROUNDS = 3, 10
"""Steps that are not counted at the beginning of each block, and blocks of each."""


class NoReference(RuntimeError):
    """The reference package is missing or does not take this checkpoint; the message says which."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A run."""

    model: str
    processor: str
    threads: int
    lines: tuple[Line, ...]
    gigabytes_a_second: float
    """Of memory, as a large matrix times a vector reads it."""
    weights_mb: float
    """What a step of the language model reads of weights, whatever the number of sessions."""
    ring_mb: float
    """What it reads of the ring for each session, full."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"lines": [line.to_json() for line in self.lines]}


def beside(
    directory: Path,
    *,
    sessions: int = 8,
    steps: int = 12,
    dtype: str = "float32",
    quantize: str = "none",
    threads: int = 1,
    told: Callable[[Line], None] = lambda line: None,
) -> Beside:
    """Measure a checkpoint of Moshi's published layout.

    ``quantize="int8"``: our language model's weights have eight bits, and the rest of both is bfloat16. Codecs are
    float32 whatever is chosen. Raises :class:`NoReference`, :class:`~duologue.engine.loading.CannotLoad`.
    """
    torch.set_num_threads(threads)
    bits = 8 if quantize == "int8" else None
    precision = torch.bfloat16 if bits else {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]
    try:
        ours = load_moshi(directory, device=torch.device("cpu"), dtype=precision, bits=bits)
    except CheckpointError as error:
        raise CannotLoad(str(error)) from error
    theirs = _Reference(directory, precision)
    lines: list[Line] = []
    with torch.inference_mode():
        kind = "int8" if bits else dtype
        for what, kept, ours_at, full, other in (
            ("language model", kind, _dialogue, False, theirs.step),
            ("language model, full ring", kind, _dialogue, True, theirs.step),
            ("codec", "float32", _codec, False, theirs.codec),
        ):
            one, many, one_of_theirs = _alternating(
                [ours_at(ours, 1, full), ours_at(ours, sessions, full), other], steps
            )
            for count, took in ((1, one), (sessions, many)):
                lines.append(Line(what, count, kept, took, one_of_theirs, took / one))
                told(lines[-1])
    lm = ours.dialogue.lm
    return Beside(
        model=directory.name,
        processor=processor_name(),
        threads=threads,
        lines=tuple(lines),
        gigabytes_a_second=round(_bandwidth(), 1),
        weights_mb=round(_weight_bytes(lm) / 1e6, 1),
        ring_mb=round(_ring_bytes(ours) / 1e6, 1),
    )


def _alternating(kinds: list[Callable[[], object]], steps: int) -> list[float]:
    """Medians in milliseconds."""
    took: list[list[float]] = [[] for _ in kinds]
    for _ in range(ROUNDS):
        for kind, times in zip(kinds, took, strict=True):
            times += _timed(kind, steps)
    return [statistics.median(times) for times in took]


def _timed(step: Callable[[], object], steps: int) -> list[float]:
    for _ in range(WARM):
        step()
    took = []
    for _ in range(steps):
        began = time.perf_counter()
        step()
        took.append(1000 * (time.perf_counter() - began))
    return took


# -- ours -----------------------------------------------------------------------------------------------------


def _dialogue(model: Moshi, sessions: int, full: bool) -> Callable[[], object]:
    state, rows = model.state(sessions), Rows.of(range(sessions))
    model.reset(state, rows, list(range(sessions)))
    if full:
        model.age(state, rows, model.dialogue.lm.config.context)
    heard = torch.randint(0, 100, (sessions, model.dialogue.lm.config.heard))
    return lambda: model.dialogue.step(state.dialogue, rows, heard)


def _codec(model: Moshi, sessions: int, full: bool) -> Callable[[], object]:
    state, rows = model.state(sessions).mimi, Rows.of(range(sessions))
    wave = 0.1 * torch.randn(sessions, 1, model.frame)
    levels = model.dialogue.lm.config.spoken

    def step() -> object:
        codes = model.mimi.encode_stream(wave, state.encoder, rows, levels)
        return model.mimi.decode_stream(codes, state.decoder, rows)

    return step


def _weight_bytes(lm: torch.nn.Module) -> int:
    """Of all that is multiplied by. Embeddings are tables, of which a step reads a row or two."""
    maps = [each for each in lm.modules() if isinstance(each, Linear)]
    kept = _tensors([[each.packed, each.scales] if each.scales else [each.weight] for each in maps])
    return sum(each.numel() * each.element_size() for each in kept)


def _ring_bytes(model: Moshi) -> int:
    cache = model.state(1).dialogue.cache
    return sum(each.numel() * each.element_size() for each in _tensors(cache))


def _tensors(value: object) -> Iterator[torch.Tensor]:
    """Every tensor inside."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from _tensors(getattr(value, name))


# -- the reference --------------------------------------------------------------------------------------------


class _Reference:
    """Its language model and its codec, each in a streaming session that goes on for ever."""

    def __init__(self, directory: Path, dtype: torch.dtype) -> None:
        with _uncompiled():
            try:
                models = import_module("moshi.models")  # a benchmark's dependency, not the project's
                loaders = models.loaders
            except ImportError as error:
                raise NoReference(f"{REMEDY} ({error})") from error
            config = directory / "config.json"
            mimi = directory / "mimi.json"
            try:
                info = loaders.CheckpointInfo.from_hf_repo(
                    "local/files",
                    moshi_weights=directory / loaders.MOSHI_NAME,
                    mimi_weights=directory / loaders.MIMI_NAME,
                    tokenizer=directory / loaders.TEXT_TOKENIZER_NAME,
                    config_path=config if config.is_file() else None,
                    mimi_config_path=mimi if mimi.is_file() else None,
                )
                self._mimi = info.get_mimi(device="cpu")
                lm = info.get_moshi(device="cpu", dtype=dtype)
            except Exception as error:  # whatever it stumbles over, the remedy is the same
                cause = f"{type(error).__name__}: {error}"
                raise NoReference(f"the reference does not load {directory}: {cause}") from error
        self._heard = torch.randint(0, 100, (1, lm.n_q - lm.dep_q, 1))
        self._wave = 0.1 * torch.randn(1, 1, self._mimi.frame_size)
        self._lm = models.LMGen(lm)
        self._lm.streaming_forever(1)
        self._mimi.streaming_forever(1)

    def step(self) -> object:
        return self._lm.step(self._heard)

    def codec(self) -> object:
        return self._mimi.decode(self._mimi.encode(self._wave))


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Its compiled parts need a compiler, which a CPU's users seldom have; its own switch turns them off."""
    before = os.environ.get("NO_TORCH_COMPILE")
    os.environ["NO_TORCH_COMPILE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["NO_TORCH_COMPILE"]
        else:
            os.environ["NO_TORCH_COMPILE"] = before


# -- the machine ----------------------------------------------------------------------------------------------


def _bandwidth() -> float:
    """Gigabytes a second that a matrix of 256 MB times a vector reads."""
    matrix, vector = torch.randn(8192, 8192), torch.randn(8192)
    took = statistics.median(_timed(lambda: matrix @ vector, 10))
    return matrix.numel() * 4 / took / 1e6
