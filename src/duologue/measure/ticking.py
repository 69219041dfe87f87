"""The engine's figures: what a tick of so many sessions costs, and how many are so held in real time.

The model runs in this process as the engine runs it, with sessions as costly as long conversations make them: a frame
model with all rings full, hearing noise; a model that takes turns answering in the middle of its context.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from duologue.engine.fit import check_rows, state_bytes
from duologue.engine.loading import Loaded, load
from duologue.engine.pace import HEADROOM
from duologue.engine.turns import read, steps
from duologue.models.contract import FrameModel, TurnModel
from duologue.models.stages import QUESTION
from duologue.models.turns import Line, Manner, Sound
from duologue.nn.rows import Rows

WARM = 3
"""Ticks that are not counted."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Ticks of so many sessions at once."""

    sessions: int
    median_ms: float
    p99_ms: float
    real_time_factor: float
    """Median tick over the time that it may take: below 1 is faster than real time."""


@dataclass(frozen=True, slots=True)
class Response:
    """The way of a turn model to its first response, after a question of :data:`~duologue.models.stages.QUESTION`
    seconds, one session: medians. What of it passes before the endpoint, speculation hides."""

    encoder_ms: float
    prefill_ms: float
    steps_ms: float
    """Until there is sound (or, of a model that writes, text)."""
    steps: int

    @property
    def total_ms(self) -> float:
        return self.encoder_ms + self.prefill_ms + self.steps_ms


@dataclass(frozen=True, slots=True)
class Ticking:
    """A run."""

    model: str
    device: str
    dtype: str
    threads: int
    frame_ms: float
    """The time that a tick may take: that of a frame, or of a step of an answer that is spoken without gaps."""
    session_mb: float
    """Memory of each session's state."""
    weights_mb: float
    ticks: tuple[Tick, ...]
    held: int
    """Sessions held in real time: of those tried, interpolated, the most whose p99 leaves some room in a frame."""
    response: Response | None = None
    """Of a model that takes turns."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def ticking(
    model: str,
    *,
    sessions: Sequence[int] = (1, 2, 4, 8),
    ticks: int = 50,
    device: str = "auto",
    dtype: str = "auto",
    quantize: str = "none",
    threads: int = 0,
    context: int = 0,
    told: Callable[[Tick], None] = lambda tick: None,
) -> Ticking:
    """Measure. Raises ``CannotLoad`` or ``TooLarge``."""
    if threads:
        torch.set_num_threads(threads)
    loaded = load(model, device=device, dtype=dtype, quantize=quantize, context=context)
    each = state_bytes(loaded.state(1))
    check_rows(each, max(sessions), loaded.device)
    measured = []
    for count in sorted(set(sessions)):
        measured.append(_ticks(loaded, count, ticks))
        told(measured[-1])
    frame_ms = 1000 * _period(loaded)
    return Ticking(
        model=model,
        device=_device_name(loaded.device),
        dtype=loaded.dtype,
        threads=torch.get_num_threads(),
        frame_ms=frame_ms,
        session_mb=each / 1e6,
        weights_mb=loaded.weights_bytes / 1e6,
        ticks=tuple(measured),
        held=held(measured, HEADROOM * frame_ms),
        response=None if loaded.turns is None else _response(loaded, loaded.turns),
    )


def _period(loaded: Loaded) -> float:
    """Seconds that a tick may take."""
    if loaded.frames is not None:
        return loaded.frames.frame / loaded.frames.rate
    assert loaded.turns is not None
    return 1 / loaded.turns.facts.pace


def _ticks(loaded: Loaded, count: int, ticks: int) -> Tick:
    state, rows = loaded.state(count), Rows.of(range(count), loaded.device)
    if loaded.frames is not None:
        took = _frames(loaded, loaded.frames, state, rows, ticks)
    else:
        assert loaded.turns is not None
        took = steps(loaded.turns, state, rows, ticks, loaded.context)
    median, p99 = (1000 * float(at) for at in np.percentile(took, (50, 99)))
    return Tick(count, median, p99, median / 1000 / _period(loaded))


def _response(loaded: Loaded, model: TurnModel[Any], repeats: int = 5) -> Response:
    rows, manner = Rows.of([0], loaded.device), Manner(0)
    noise = np.random.default_rng(0).normal(0, 0.1, round(model.facts.hears * min(QUESTION, model.facts.window)))
    prompt = model.layout([Line("user", (Sound(1, noise.astype(np.float32)),))], manner)
    took, steps_made = [], 0
    with torch.inference_mode():
        state = loaded.state(1)
        for _ in range(repeats + 1):
            at = [time.perf_counter()]
            x = torch.cat(model.embed(prompt))[None]
            _wait(loaded.device)
            at.append(time.perf_counter())
            read(model, state, rows, x, prompt, manner)
            _wait(loaded.device)
            at.append(time.perf_counter())
            steps_made, said = 1, model.step(state, rows)[0]
            while said.end is None and (said.wave is None if model.facts.says else not said.text):
                steps_made, said = steps_made + 1, model.step(state, rows)[0]
            at.append(time.perf_counter())
            took.append([1000 * (b - a) for a, b in pairwise(at)])
    encoder, prefill, first = (float(each) for each in np.median(took[1:], 0))
    return Response(encoder, prefill, first, steps_made)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _frames(loaded: Loaded, model: FrameModel[Any], state: Any, rows: Rows, ticks: int) -> list[float]:
    model.reset(state, rows, list(rows.host))
    model.age(state, rows, loaded.context)
    noise = np.random.default_rng(0).normal(0, 0.1, (8, len(rows), model.frame)).astype(np.float32)
    took = []
    for n in range(WARM + ticks):
        began = time.perf_counter()
        with torch.inference_mode():
            model.step(state, rows, torch.from_numpy(noise[n % len(noise)]).to(loaded.device)).wave.cpu()
        took.append(time.perf_counter() - began)
    return took[WARM:]


def held(ticks: Sequence[Tick], limit_ms: float) -> int:
    """The most sessions whose p99 is within the limit: of those measured, and between them and the next by a line."""
    good = [n for n, tick in enumerate(ticks) if tick.p99_ms <= limit_ms]
    if not good:
        return 0
    best = ticks[good[-1]]
    if good[-1] + 1 == len(ticks):
        return best.sessions
    over = ticks[good[-1] + 1]
    part = (limit_ms - best.p99_ms) / (over.p99_ms - best.p99_ms)
    return best.sessions + int(part * (over.sessions - best.sessions))


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return str(device)
