"""Models by name or directory, on the device and in the precision that is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from duologue.audio import RATE
from duologue.checkpoints.elsewhere import completed
from duologue.checkpoints.files import CheckpointError
from duologue.checkpoints.hub import find
from duologue.engine.echo import Echo
from duologue.engine.fit import free_bytes
from duologue.models import catalogue
from duologue.models.catalogue import recognised
from duologue.models.contract import FrameModel, Prompted, TurnModel

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


RANDOM = "random:"
"""Before a system's name: its published size with random weights, made in memory."""


WEIGHTS = (".safetensors", ".pt", ".pth", ".bin")

SENSIBLE = 4096
"""Positions that a dialogue with a turn model has where nobody says how many: three minutes of speech, or more. The
whole context of a large model takes gigabytes a session."""


class CannotLoad(RuntimeError):
    """The model cannot be had as asked; the message names the cause and the remedy."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model and what there is to say about it."""

    model: FrameModel[Any] | TurnModel[Any]
    title: str
    languages: tuple[str, ...]
    licence: str
    device: torch.device
    dtype: str
    context: int
    """Steps after which a session with a frame model costs no more than before; positions that a dialogue with a turn
    model may have."""
    weights_bytes: int = 0

    @property
    def turns(self) -> TurnModel[Any] | None:
        """The model, if it takes turns."""
        return self.model if isinstance(self.model, TurnModel) else None

    @property
    def frames(self) -> FrameModel[Any] | None:
        """The model, if it hears and speaks in frames."""
        return None if isinstance(self.model, TurnModel) else self.model

    @property
    def voices(self) -> tuple[str, ...]:
        return self.model.voices if isinstance(self.model, Prompted) else ()

    def state(self, rows: int) -> Any:
        """Room for so many sessions."""
        return self.model.state(rows, self.context) if isinstance(self.model, TurnModel) else self.model.state(rows)


def choose_device(wanted: str) -> torch.device:
    """``auto`` is a GPU where there is one. Raises :class:`CannotLoad`."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise CannotLoad(f"{wanted!r} is no device; give cpu, cuda or cuda:1") from error
    if device.type not in ("cpu", "cuda"):
        raise CannotLoad(f"models run on cpu and cuda, not on {wanted!r}")
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        why = "no driver shows it" if torch.version.cuda else "this torch is built without CUDA; pytorch.org has others"
        raise CannotLoad(f"there is no device {wanted} here ({why}): take a machine with one, or give --device cpu")
    return device


def choose_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """``auto`` is bfloat16, as the checkpoints are, where the device computes in it, else float32."""
    if wanted == "auto":
        quick = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
        return torch.bfloat16 if quick else torch.float32
    if wanted not in DTYPES:
        raise CannotLoad(f"the precisions are {', '.join(DTYPES)} and auto, not {wanted!r}")
    return DTYPES[wanted]


def load(
    name: str, *, device: str = "auto", dtype: str = "auto", quantize: str = "none", context: int = 0
) -> Loaded:
    """``echo``, ``random:moshi``, a directory of a published layout, or a repository of the hub.

    ``context``: positions of a dialogue with a turn model, 0 for :data:`SENSIBLE`; never more than the model has.
    Raises :class:`CannotLoad`.
    """
    chosen = choose_device(device)
    if name == "echo":
        return Loaded(Echo(), "an echo", ("any",), "Apache-2.0", chosen, "float32", 0)
    if name.startswith(RANDOM) and name.removeprefix(RANDOM) not in ("moshi", "personaplex"):
        raise CannotLoad(f"there are {RANDOM}moshi and {RANDOM}personaplex, not {name}")
    if quantize == "int8" and dtype == "float32":
        raise CannotLoad("weights of 8 bits are multiplied in bfloat16: give --dtype bfloat16 or auto with them")
    precision = torch.bfloat16 if quantize == "int8" else choose_dtype(dtype, chosen)
    if name.startswith(RANDOM):
        return _random(name.removeprefix(RANDOM), chosen, precision, quantize)
    try:
        directory = find(name, memory=free_bytes(chosen))
        system = recognised(directory) or catalogue.system("moshi")  # it says best what a directory lacks
        directory = completed(directory, system.elsewhere(directory))
        model = system.load(directory, device=chosen, dtype=precision, bits=8 if quantize == "int8" else None)
    except CheckpointError as error:
        raise CannotLoad(str(error)) from error
    return Loaded(
        model,
        title=f"{system.title} ({Path(name).name})",
        languages=system.languages,
        licence=system.licence,
        device=chosen,
        dtype=str(precision).removeprefix("torch.") + (" with int8 weights" if quantize == "int8" else ""),
        context=_context(model, context, directory),
        weights_bytes=sum(path.stat().st_size for path in directory.rglob("*") if path.suffix in WEIGHTS),
    )


def _context(model: FrameModel[Any] | TurnModel[Any], wanted: int, directory: Path) -> int:
    """See :attr:`Loaded.context`."""
    if isinstance(model, TurnModel):
        return min(wanted or SENSIBLE, model.facts.context)
    if model.rate != RATE:
        raise CannotLoad(f"{directory}: a codec of {model.rate} Hz; conversations are held at {RATE} Hz")
    return model.horizon


def _random(system: str, device: torch.device, dtype: torch.dtype, quantize: str) -> Loaded:
    from duologue.models.moshi_random import in_memory

    needed, free = 15.4e9 * (0.5 if quantize == "int8" else dtype.itemsize / 2), free_bytes(device)
    if needed > free:
        raise CannotLoad(f"{system} takes {needed / 1e9:.0f} GB of memory; on {device} {free / 1e9:.0f} GB are free")
    model = in_memory(system, device=device, dtype=dtype, bits=8 if quantize == "int8" else None)
    return Loaded(
        model,
        title=f"a random {system}",
        languages=(),
        licence="none: it has no sense",
        device=device,
        dtype=str(dtype).removeprefix("torch.") + (" with int8 weights" if quantize == "int8" else ""),
        context=model.dialogue.lm.config.context,
        weights_bytes=round(needed),
    )
