"""The engine's figures: what a tick of so many sessions costs, and how many are so held in real time.

The model runs in this process as the engine runs it, with sessions as costly as long conversations make them: a frame
model with all rings full, hearing noise; a model that takes turns answering in the middle of its context.

Beside the ticks of a Moshi of the published size stands what is known of them: the least that an H200 could take,
computed (:mod:`duologue.models.stages`), what duologue wants to reach there, and what another runtime took.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any, Final, Literal

import numpy as np
import torch

from duologue.engine.fit import TooLarge, check_rows, most_rows, state_bytes
from duologue.engine.loading import Loaded, load
from duologue.engine.pace import HEADROOM
from duologue.engine.stepping import recorder, stepper
from duologue.engine.turns import read, steps
from duologue.models import catalogue, stages
from duologue.models.contract import FrameModel, TurnModel
from duologue.models.moshi import Moshi
from duologue.models.moshi_config import MoshiConfig
from duologue.models.stages import QUESTION
from duologue.models.turns import Line, Manner, Sound
from duologue.nn.rows import Rows

WARM = 3
"""Ticks that are not counted."""

GOALS: Final[Mapping[int, float]] = {1: 12.0, 32: 25.0}
"""Milliseconds of a tick with so many sessions that are aimed at on an H200. (With 64 it is real time.)"""

ELSEWHERE: Final[Mapping[int, float]] = {2: 28.0, 8: 32.6, 16: 45.0, 32: 70.2}
"""Milliseconds of a tick of PersonaPlex in vLLM-Omni's former standalone server (its RFC 7389), on one GPU."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Ticks of so many sessions at once."""

    sessions: int
    median_ms: float
    p99_ms: float
    real_time_factor: float
    """Median tick over the time that it may take: below 1 is faster than real time."""
    graphs: bool = False
    """Whether they were replays of a CUDA graph."""
    graphs_mb: float = 0.0
    """Memory that this takes, beside weights and states."""
    used_mb: float | None = None
    """Memory of the GPU that is in use meanwhile, all in all; ``None`` on a CPU."""
    least_ms: float | None = None
    """What an H200 takes at least, computed; of a Moshi of the published size."""
    goal_ms: float | None = None
    """See :data:`GOALS`."""
    elsewhere_ms: float | None = None
    """See :data:`ELSEWHERE`."""


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
    graphs: bool
    """Whether ticks were CUDA graphs, all of them."""
    ticks: tuple[Tick, ...]
    held: int
    """Sessions held in real time: the most whose p99 leaves some room in a frame."""
    held_is: Literal["measured", "interpolated", "all that were tried"]
    room: int
    """Sessions that there is memory for; more than these are not tried."""
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
    graphs: bool = True,
    most: bool = False,
    told: Callable[[Tick], None] = lambda tick: None,
) -> Ticking:
    """Measure. ``most``: more and more sessions too, until the largest number held in real time is known.

    Raises ``CannotLoad`` or ``TooLarge``.
    """
    if threads:
        torch.set_num_threads(threads)
    loaded = load(model, device=device, dtype=dtype, quantize=quantize, context=context)
    each = state_bytes(loaded.state(1))
    check_rows(each, min(sessions), loaded.device)
    room = most_rows(each, loaded.device)
    least = _least(loaded)
    measured: list[Tick] = []

    def measure(count: int) -> Tick:
        tick = _ticks(loaded, count, ticks, graphs)
        if least is not None:
            goal, elsewhere = GOALS.get(count), ELSEWHERE.get(count)
            tick = replace(tick, least_ms=least(count), goal_ms=goal, elsewhere_ms=elsewhere)
        told(tick)
        measured.append(tick)
        return tick

    for count in sorted(set(sessions)):
        if count <= room:
            measure(count)
    frame_ms = 1000 * _period(loaded)
    limit = HEADROOM * frame_ms
    if most:
        found = highest(measure, measured, limit, room)
        measured.sort(key=lambda tick: tick.sessions)
    else:
        found = held(measured, limit)
    return Ticking(
        model=model,
        device=_device_name(loaded.device),
        dtype=loaded.dtype,
        threads=torch.get_num_threads(),
        frame_ms=frame_ms,
        session_mb=each / 1e6,
        weights_mb=loaded.weights_bytes / 1e6,
        graphs=all(tick.graphs for tick in measured),
        ticks=tuple(measured),
        held=found,
        held_is="measured" if most else _sort_of(found, measured, limit),
        room=room,
        response=None if loaded.turns is None else _response(loaded, loaded.turns),
    )


def _period(loaded: Loaded) -> float:
    """Seconds that a tick may take."""
    if loaded.frames is not None:
        return loaded.frames.frame / loaded.frames.rate
    assert loaded.turns is not None
    return 1 / loaded.turns.facts.pace


def _ticks(loaded: Loaded, count: int, ticks: int, graphs: bool) -> Tick:
    gc.collect()  # what went before is gone
    try:
        if loaded.frames is not None:
            return _frames(loaded, loaded.frames, count, ticks, graphs)
        assert loaded.turns is not None
        rows = Rows.of(range(count), loaded.device)
        took = steps(loaded.turns, loaded.state(count), rows, ticks, loaded.context)
        return _tick(loaded, count, took)
    except torch.OutOfMemoryError as error:
        raise TooLarge(f"the memory of {loaded.device} does not suffice for a step of {count} sessions") from error


def _tick(loaded: Loaded, count: int, took: Sequence[float]) -> Tick:
    median, p99 = (1000 * float(at) for at in np.percentile(took, (50, 99)))
    return Tick(count, median, p99, median / 1000 / _period(loaded), used_mb=_used_mb(loaded.device))


def _used_mb(device: torch.device) -> float | None:
    if device.type != "cuda":
        return None
    free, whole = torch.cuda.mem_get_info(device)
    return float(whole - free) / 1e6


def _least(loaded: Loaded) -> Callable[[int], float] | None:
    """Milliseconds that a tick with so many sessions takes on an H200 at least; ``None`` for other sizes."""
    model, published = loaded.model, MoshiConfig()
    if not isinstance(model, Moshi):
        return None
    config = model.dialogue.lm.config
    if (config.dim, config.layers) != (published.dim, published.layers):
        return None  # (PersonaPlex, which takes as many depth steps, is no other model here.)
    tables = catalogue.system("moshi").manifest().items()
    sizes = {f"{file}:{tensor}": prod(shape) for file, table in tables for tensor, shape in table.items()}
    return lambda count: 1000 * sum(stage.seconds(sizes, stages.PEAK) for stage in stages.tick(count))


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


def _frames(loaded: Loaded, model: FrameModel[Any], count: int, ticks: int, graphs: bool) -> Tick:
    """As the engine steps a full house of so many."""
    run = stepper(model, count, loaded.device, recorder(loaded.device, graphs), [count])
    rows = Rows.of(range(count), loaded.device)
    model.reset(run.state, rows, list(rows.host))
    model.age(run.state, rows, loaded.context)
    noise = np.random.default_rng(0).normal(0, 0.1, (8, count, model.frame)).astype(np.float32)
    took = []
    for n in range(WARM + ticks):
        began = time.perf_counter()
        run.step(rows.host, torch.from_numpy(noise[n % len(noise)]))
        took.append(time.perf_counter() - began)
    tick = _tick(loaded, count, took[WARM:])
    return replace(tick, graphs=run.recorder.graphs, graphs_mb=run.recorder.bytes / 1e6)


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


def _sort_of(found: int, ticks: Sequence[Tick], limit_ms: float) -> Literal["interpolated", "all that were tried"]:
    """How well :func:`held` knows it."""
    return "all that were tried" if found == ticks[-1].sessions and ticks[-1].p99_ms <= limit_ms else "interpolated"


def highest(measure: Callable[[int], Tick], known: Sequence[Tick], limit_ms: float, room: int) -> int:
    """The most sessions whose p99 is within the limit, by measuring: twice as many each time until it is not, or
    ``room`` is reached; then halfway between. ``known``: what was measured already."""
    good = max((tick.sessions for tick in known if tick.p99_ms <= limit_ms), default=0)
    bad = min((tick.sessions for tick in known if tick.sessions > good), default=room + 1)

    def within(count: int) -> bool:
        try:
            return measure(count).p99_ms <= limit_ms
        except TooLarge:
            return False

    doubling = bad > room
    while bad - good > 1:
        count = min(2 * good, room) if doubling and good else (good + bad) // 2
        if within(count):
            good = count
        else:
            bad, doubling = count, False
    return good


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return str(device)
