"""Golden cases: numbers that the reference implementations gave.

A case is a folder with ``case.json`` (what was run, every size, the tolerance), ``io.safetensors`` (its
inputs and outputs) and weights under the published names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from duologue.checkpoints.files import Stored, open_safetensors, read_json


class CaseError(Exception):
    """A case cannot be run; the message says why."""


@dataclass(frozen=True, slots=True)
class Precision:
    """How the language model of a case is run; its codec is always in float32."""

    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    bits: int | None = None
    """8: weights of eight bits."""

    @property
    def exact(self) -> bool:
        """Whether numbers must agree within the case's own tolerance."""
        return self.dtype == torch.float32 and self.bits is None

    @property
    def bound(self) -> float:
        """Root mean square of the error, relative to the reference's numbers, that else is allowed."""
        return 0.12 if self.bits else 0.05


EXACT = Precision()


@dataclass
class Case:
    """One golden case."""

    folder: Path
    about: dict[str, Any]
    precision: Precision = EXACT

    @classmethod
    def open(cls, folder: Path, precision: Precision = EXACT) -> Case:
        return cls(folder, read_json(folder / "case.json"), precision)

    @property
    def system(self) -> str:
        return str(self.about["system"])

    @property
    def component(self) -> str:
        return str(self.about["component"])

    @property
    def config(self) -> dict[str, Any]:
        return dict(self.about["config"])

    @cached_property
    def weights(self) -> dict[str, Stored]:
        """All parameters; a case that spans several files keeps them under their names' last part."""
        files = self.about.get("weight_files", ["weights.safetensors"])
        tensors: dict[str, Stored] = {}
        for name in files:
            tensors.update(open_safetensors(self.folder / name))
        return tensors

    @cached_property
    def _io(self) -> dict[str, Tensor]:
        path = self.folder / "io.safetensors"
        if not path.is_file() and not self.about["outputs"]:
            return {}  # a table
        tensors = open_safetensors(path)
        return {name: stored.read() for name, stored in tensors.items()}

    def given(self, name: str) -> Tensor:
        """An input; also an output that a check replays instead of making it."""
        for prefix in ("in.", "out."):
            if prefix + name in self._io:
                return self._io[prefix + name].to(self.precision.device)
        raise CaseError(f"the case has no tensor {name}")

    @property
    def expected(self) -> dict[str, Tensor]:
        return {name.removeprefix("out."): t for name, t in self._io.items() if name.startswith("out.")}


@dataclass(frozen=True)
class Claim:
    """What a check found out itself, where two sound implementations need not agree number by number."""

    holds: bool
    note: str


Check: TypeAlias = Callable[[Case], Mapping[str, "Tensor | Claim"]]
"""From a case to the outputs it names. All sizes are read from the case."""
