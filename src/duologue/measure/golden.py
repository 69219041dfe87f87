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

from torch import Tensor

from duologue.checkpoints.files import Stored, open_safetensors, read_json


class CaseError(Exception):
    """A case cannot be run; the message says why."""


@dataclass
class Case:
    """One golden case."""

    folder: Path
    about: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Case:
        return cls(folder, read_json(folder / "case.json"))

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
        tensors = open_safetensors(self.folder / "io.safetensors")
        return {name: stored.read() for name, stored in tensors.items()}

    def given(self, name: str) -> Tensor:
        """An input; also an output that a check replays instead of making it."""
        for prefix in ("in.", "out."):
            if prefix + name in self._io:
                return self._io[prefix + name]
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
