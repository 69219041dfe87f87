"""Named tensors in files, read when they are wanted."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from safetensors import SafetensorError, safe_open

if TYPE_CHECKING:
    from torch import Tensor


class CheckpointError(Exception):
    """A checkpoint cannot be used; the message names what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor that has not been read yet."""

    shape: tuple[int, ...]
    read: Callable[[], Tensor]


Tensors: TypeAlias = Mapping[str, Stored]


def open_safetensors(path: Path) -> dict[str, Stored]:
    """All tensors of a safetensors file; only its header is read now.

    Raises :class:`CheckpointError` where the file is missing, cut short or no safetensors file.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist")
    try:
        file: Any = safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        # safetensors checks that the header and the file's length agree, so a cut file fails here.
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({error}): it was cut short or is something else, fetch it again"
        ) from error

    def stored(name: str) -> Stored:
        return Stored(tuple(file.get_slice(name).get_shape()), lambda: cast("Tensor", file.get_tensor(name)))

    return {name: stored(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)


INDEX = "model.safetensors.index.json"


def open_directory(directory: Path) -> dict[str, Stored]:
    """All tensors of ``model.safetensors``, or of the files that its index names.

    Raises :class:`CheckpointError` as :func:`open_safetensors` does, and where the index and its files disagree.
    """
    index = directory / INDEX
    if not index.is_file():
        return open_safetensors(directory / "model.safetensors")
    places: dict[str, str] = read_json(index).get("weight_map") or {}
    if not places:
        raise CheckpointError(f"{index} has no weight_map: it is no index of safetensors files")
    files = {name: open_safetensors(directory / name) for name in sorted(set(places.values()))}
    lost = sorted(name for name, file in places.items() if name not in files[file])
    if lost:
        raise CheckpointError(f"{index} names what its files do not hold: {', '.join(lost[:5])}; fetch them again")
    return {name: files[file][name] for name, file in places.items()}


def below(tensors: Tensors, prefix: str) -> dict[str, Stored]:
    """The tensors whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): stored for name, stored in tensors.items() if name.startswith(prefix)}


def read_pickle(path: Path, *wanted: str) -> dict[str, Any]:
    """A dictionary of tensors and plain values out of a pickle, which may hold nothing else.

    Raises :class:`CheckpointError` where it is none, or lacks one of the keys ``wanted``.
    """
    import torch

    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as tensors and nothing else: {error}") from error
    if not isinstance(held, dict):
        raise CheckpointError(f"{path} holds {type(held).__name__}, not a dictionary")
    if missing := [name for name in wanted if name not in held]:
        raise CheckpointError(f"{path} does not hold {', '.join(missing)}")
    return held


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; :class:`CheckpointError` where it is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds {type(value).__name__}, not a JSON object")
    return value
