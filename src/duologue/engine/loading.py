"""Models by name or directory, on the device and in the precision that is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from duologue.audio import RATE
from duologue.checkpoints.files import CheckpointError
from duologue.checkpoints.hub import find
from duologue.engine.echo import Echo
from duologue.engine.fit import free_bytes
from duologue.models.catalogue import recognised
from duologue.models.contract import FrameModel, Prompted

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


RANDOM = "random:"
"""Before a system's name: its published size with random weights, made in memory."""


FRAMES = ("moshi", "personaplex")
"""Systems that hear and speak frame by frame: what the engine can run."""


class CannotLoad(RuntimeError):
    """The model cannot be had as asked; the message names the cause and the remedy."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model and what there is to say about it."""

    model: FrameModel[Any]
    title: str
    languages: tuple[str, ...]
    licence: str
    device: torch.device
    dtype: str
    context: int
    """Steps after which a session costs no more than before."""
    weights_bytes: int = 0

    @property
    def voices(self) -> tuple[str, ...]:
        return self.model.voices if isinstance(self.model, Prompted) else ()


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
        raise CannotLoad(f"there is no device {wanted} here (or this torch cannot use it); give --device cpu")
    return device


def choose_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """``auto`` is bfloat16, as the checkpoints are, where the device computes in it, else float32."""
    if wanted == "auto":
        quick = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
        return torch.bfloat16 if quick else torch.float32
    if wanted not in DTYPES:
        raise CannotLoad(f"the precisions are {', '.join(DTYPES)} and auto, not {wanted!r}")
    return DTYPES[wanted]


def load(name: str, *, device: str = "auto", dtype: str = "auto", quantize: str = "none") -> Loaded:
    """``echo``, ``random:moshi``, a directory of a published layout, or a repository of the hub.

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
        if (system := recognised(directory)) is not None and system.name not in FRAMES:
            raise CannotLoad(
                f"{system.title} takes turns, and models that do cannot be served or measured here yet; "
                "from Python they can be driven (duologue.load)"
            )
        return _moshi(name, directory, chosen, precision, quantize)
    except CheckpointError as error:
        raise CannotLoad(str(error)) from error


def model(name: str, *, device: str = "auto", dtype: str = "auto", quantize: str = "none") -> Any:
    """A model of either gait, to be driven from Python. Raises :class:`CannotLoad`."""
    chosen = choose_device(device)
    try:
        directory = None if name == "echo" or name.startswith(RANDOM) else find(name, memory=free_bytes(chosen))
        system = None if directory is None else recognised(directory)
        if directory is None or system is None or system.name in FRAMES:
            return load(name, device=device, dtype=dtype, quantize=quantize).model
        bits = 8 if quantize == "int8" else None
        return system.load(
            directory, device=chosen, dtype=torch.bfloat16 if bits else choose_dtype(dtype, chosen), bits=bits
        )
    except CheckpointError as error:
        raise CannotLoad(str(error)) from error


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


def _moshi(name: str, directory: Path, device: torch.device, dtype: torch.dtype, quantize: str) -> Loaded:
    from duologue.models.moshi_files import load_moshi

    model = load_moshi(directory, device=device, dtype=dtype, bits=8 if quantize == "int8" else None)
    if model.rate != RATE:
        raise CannotLoad(f"{directory}: a codec of {model.rate} Hz; conversations are held at {RATE} Hz")
    personaplex = isinstance(model, Prompted)
    return Loaded(
        model,
        title=f"{'PersonaPlex' if personaplex else 'Moshi'} ({Path(name).name})",
        languages=("en",),
        licence="NVIDIA Open Model License" if personaplex else "CC-BY-4.0",
        device=device,
        dtype=str(dtype).removeprefix("torch.") + (" with int8 weights" if quantize == "int8" else ""),
        context=model.dialogue.lm.config.context,
        weights_bytes=sum(path.stat().st_size for path in directory.glob("*.safetensors")),
    )
