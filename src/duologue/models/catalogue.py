"""The systems there are, and where each is read from and written to.

A system is a module of this room, ``<name>_files``, that holds a :class:`System` under the name ``SYSTEM``. It is
imported when it is needed: torch is slow to load, and the names are known without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from duologue.checkpoints.elsewhere import Elsewhere
    from duologue.models.contract import FrameModel, TurnModel

MODULES = {
    "moshi": "duologue.models.moshi_files",
    "personaplex": "duologue.models.personaplex_files",
    "llama_omni": "duologue.models.llama_omni_files",
    "mini_omni2": "duologue.models.mini_omni2_files",
    "qwen2_audio": "duologue.models.qwen2_audio_files",
}
"""By the names that commands take; recognised in this order. (A new system adds its line with its module.)"""

NAMES = tuple(MODULES)


def _nothing(directory: Path) -> Sequence[Elsewhere]:
    return ()


class Load(Protocol):
    """Reads a model from a directory of its published layout.

    Raises :class:`~duologue.checkpoints.files.CheckpointError` naming what is missing or does not fit.
    """

    def __call__(
        self, directory: Path, *, device: torch.device, dtype: torch.dtype, bits: int | None
    ) -> FrameModel[Any] | TurnModel[Any]: ...


class Write(Protocol):
    """Writes a small random model in the published layout; ``sizes`` under the published names.

    Raises :class:`~duologue.checkpoints.files.CheckpointError` for sizes that do not fit together.
    """

    def __call__(self, directory: Path, *, seed: int, sizes: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class System:
    """One published system."""

    name: str
    title: str
    languages: tuple[str, ...]
    licence: str
    """Of the weights, and what it forbids; shown when the model is loaded."""
    repositories: tuple[str, ...]
    """Of the hub: the model's own first, then what it takes from others."""
    recognises: Callable[[Path], bool]
    """Whether a directory is laid out like it."""
    load: Load
    write: Write
    manifest: Callable[[], dict[str, dict[str, list[int]]]]
    """{file: {tensor: shape}} of what is loaded of the full-size checkpoint, from models without memory."""
    elsewhere: Callable[[Path], Sequence[Elsewhere]] = _nothing
    """What of other places a directory lacks."""


def system(name: str) -> System:
    """The system of that name. Raises ``KeyError``."""
    found: System = import_module(MODULES[name]).SYSTEM
    return found


def recognised(directory: Path) -> System | None:
    """The system that a directory holds."""
    for name in NAMES:
        candidate = system(name)
        if candidate.recognises(directory):
            return candidate
    return None
