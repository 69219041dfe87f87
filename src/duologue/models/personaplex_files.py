"""PersonaPlex from its published directory: Moshi's layout, with voices beside it (:mod:`.moshi_files`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from duologue.models import moshi_files
from duologue.models.catalogue import System
from duologue.models.moshi_config import MoshiConfig
from duologue.models.personaplex import personaplex


def _write(directory: Path, *, seed: int, sizes: Mapping[str, Any]) -> None:
    from duologue.models.moshi_random import write

    write("personaplex", directory, seed=seed, sizes=sizes)


def _manifest() -> dict[str, dict[str, list[int]]]:
    return moshi_files.manifest(personaplex(replace(MoshiConfig(), dep_q=MoshiConfig().n_q)))


SYSTEM = System(
    name="personaplex",
    title="PersonaPlex",
    languages=("en",),
    licence="NVIDIA Open Model License",
    repositories=("nvidia/personaplex-7b-v1",),
    recognises=lambda directory: moshi_files.recognised(directory) == "personaplex",
    load=moshi_files.load_moshi,
    write=_write,
    manifest=_manifest,
)
