"""How a step of some rows is run: by rows on a CPU; on a GPU as a graph that was captured once and is replayed.

A step of Moshi is thousands of small kernels, and launched one by one they wait for the host. A CUDA graph launches
them all at once, but is the same run of kernels on the same memory each time. So there is one for every *size* (1, 2,
4 … rows), it takes the first so many rows of the state, always, and a mask says which of them take part. What goes in
and out has its place in memory. All graphs share one pool of working memory, since never two of them run at once and
what one says is on the host before the next one runs.

Where rows are taken from anywhere in the state, their rings would have to be copied together for each layer, which
costs more than the step. Hence a step costs what its highest row asks for; rows are leased from below.

Draws are functions of seed and position (:mod:`duologue.nn.sampling`): there is no generator whose state a graph would
have to register.

Nothing of this was run on a GPU yet (docs/engine.md says what the tests hold instead).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Generic, Protocol, TypeVar

import structlog
import torch
from torch import Tensor

from duologue.engine.fit import free_bytes
from duologue.engine.pace import powers
from duologue.models.contract import Capturable, FrameModel, Frames, Said
from duologue.nn.rows import Rows, State

S = TypeVar("S", bound=State)

Work = Callable[[], None]

WARM = 3
"""Runs before a capture, in which libraries choose their kernels and take their memory."""

log = structlog.get_logger("duologue.engine")


# -- what records a run of kernels ------------------------------------------------------------------------------


class Recorder(Protocol):
    """Makes of a run of kernels something that runs them again."""

    @property
    def graphs(self) -> bool:
        """Whether they are launched all at once."""

    @property
    def bytes(self) -> int:
        """Memory that the records hold."""

    def record(self, work: Work) -> Work:
        """What does the same on the same memory. ``work`` may be run meanwhile, some times or never."""


class Launched:
    """Kernel by kernel: no record at all."""

    graphs = False
    bytes = 0

    def record(self, work: Work) -> Work:
        return work


class CudaGraphs:
    """CUDA graphs on one device, which share a pool of memory."""

    graphs = True

    def __init__(self, device: torch.device) -> None:
        self.bytes = 0
        self._device = device
        with torch.cuda.device(device):
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            self._pool = torch.cuda.graph_pool_handle()

    def record(self, work: Work) -> Work:
        with torch.cuda.device(self._device):
            before = self._free()
            graph = torch.cuda.CUDAGraph()
            # The outer context gives the stream back also where a capture fails.
            with torch.cuda.stream(self._stream):
                for _ in range(WARM):
                    work()
                with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                    work()
            self.bytes += max(0, before - self._free())
        return graph.replay

    def _free(self) -> int:
        """Free memory of the device, once it has nothing to do."""
        torch.cuda.synchronize()
        return free_bytes(self._device)


def recorder(device: torch.device, graphs: bool) -> Recorder | None:
    """What records steps on this device; ``None``: steps by rows."""
    if device.type != "cuda":
        return None
    return CudaGraphs(device) if graphs else Launched()


# -- what runs steps ----------------------------------------------------------------------------------------------


class Stepper(Protocol[S]):
    """Steps of one model on one state."""

    state: S

    @property
    def together(self) -> bool:
        """Whether a step costs what its highest row asks for, whoever takes part."""

    @property
    def recorder(self) -> Recorder:
        """What it recorded its steps with."""

    def width(self, rows: Sequence[int]) -> int:
        """How many rows a step of these costs."""

    def step(self, rows: Sequence[int], wave: Tensor) -> Frames:
        """A step of these rows; ``wave`` and what comes back are the host's."""


class ByRows(Generic[S]):
    """A step of exactly these rows, each of which costs what it has behind it."""

    together = False

    def __init__(self, model: FrameModel[S], rows: int, device: torch.device) -> None:
        self.state = model.state(rows)
        self.recorder: Recorder = Launched()
        self._model = model
        self._device = device

    def width(self, rows: Sequence[int]) -> int:
        return len(rows)

    def step(self, rows: Sequence[int], wave: Tensor) -> Frames:
        with torch.inference_mode():
            frames = self._model.step(self.state, Rows.of(rows, self._device), wave.to(self._device))
            return Frames(frames.wave.cpu(), frames.text, frames.ready, frames.inclined)


class Recorded(Generic[S]):
    """A recorded step of the first 1, 2, 4 … rows, in which some of them take part."""

    together = True

    def __init__(
        self,
        model: Capturable[S],
        frame: int,
        rows: int,
        sizes: Iterable[int],
        device: torch.device,
        recorder: Recorder,
    ) -> None:
        """``frame``: samples of a frame; ``sizes``: for how many rows steps are recorded, up to ``rows``."""
        self.state = model.state(rows, whole=True)
        self.sizes = sorted(sizes)
        self.recorder = recorder
        self._model = model
        self._all = torch.arange(rows, device=device)
        self._heard = torch.zeros(rows, frame, device=device)
        self._active = torch.zeros(rows, dtype=torch.bool, device=device)
        self._said = torch.zeros(rows, frame, device=device)
        self._told = torch.zeros(rows, 3, dtype=torch.int64, device=device)
        """Text, readiness, inclination."""
        self._runs = self._record()

    def _record(self) -> dict[int, Work]:
        """The largest first: the others find room in its memory. Nobody takes part meanwhile, so nothing changes."""
        works: dict[int, Work] = {size: partial(self._work, size) for size in reversed(self.sizes)}
        began = time.monotonic()
        try:
            with torch.inference_mode():
                runs = {size: self.recorder.record(work) for size, work in works.items()}
        except RuntimeError as error:  # torch's own, out of memory among them
            log.warning(
                "steps cannot be captured in CUDA graphs and are launched kernel by kernel, which is slower "
                "(if memory is short, give fewer --sessions)",
                error=f"{type(error).__name__}: {error}".partition("\n")[0],
            )
            self.recorder = Launched()
            return works
        if self.recorder.graphs:
            took, memory = round(time.monotonic() - began, 1), round(self.recorder.bytes / 1e6)
            log.info("steps are captured in CUDA graphs", rows=self.sizes, seconds=took, mb=memory)
        return runs

    def _work(self, size: int) -> None:
        """What is recorded."""
        rows = Rows(tuple(range(size)), self._all[:size], slice(size), self._active[:size])
        said = self._model.advance(self.state, rows, self._heard[:size])
        self._said[:size] = said.wave
        self._told[:size] = torch.stack([said.text, said.ready.long(), said.inclined.long()], dim=1)

    def width(self, rows: Sequence[int]) -> int:
        return next(size for size in self.sizes if size > max(rows))

    def step(self, rows: Sequence[int], wave: Tensor) -> Frames:
        size, at = self.width(rows), list(rows)
        heard, active = torch.zeros(size, wave.shape[1]), torch.zeros(size, dtype=torch.bool)
        heard[at], active[at] = wave, True
        with torch.inference_mode():
            self._heard[:size] = heard.to(self._heard.device)
            self._active[:size] = active.to(self._active.device)
            self._runs[size]()
            said, told = self._said[:size].cpu()[at], self._told[:size].cpu()[at]  # waits for the device
        text, ready, inclined = told.unbind(1)
        return Said(said, text, ready.bool(), inclined.bool()).frames()


def stepper(
    model: FrameModel[S],
    rows: int,
    device: torch.device,
    recorder: Recorder | None = None,
    sizes: Iterable[int] | None = None,
) -> Stepper[S]:
    """What runs the steps of so many rows; without ``sizes`` steps are recorded for :func:`~.pace.powers`."""
    if recorder is None or not isinstance(model, Capturable):
        return ByRows(model, rows, device)
    return Recorded(model, model.frame, rows, sizes or powers(rows), device, recorder)
