"""From a name to a directory: a local one, or a repository of the Hugging Face hub, fetched as it is.

Fetching is huggingface_hub's affair (cache, resuming, progress, ``HF_HUB_OFFLINE``, ``HF_ENDPOINT``, ``HF_TOKEN``).
Ours is to ask before it begins whether what comes has room on the disk and in memory.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import structlog

from duologue.checkpoints.files import CheckpointError

log = structlog.get_logger("duologue.engine")

WANTED = (
    "*.json", "model.safetensors", "model-*-of-*.safetensors", "tokenizer-*.safetensors", "tokenizer_spm*.model",
    "voices.tgz", "lit_model.pth", "model_config.yaml", "small.pt", "ViT-B-32.pt",
)  # fmt: skip
"""The files of a published directory that loading reads."""

_NAME = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_WEIGHTS = (".safetensors", ".pth", ".pt")
_SPARE = 1_000_000_000
"""Bytes that must be left on the disk."""


def find(name: str, *, memory: int | None = None) -> Path:
    """The directory that ``name`` means: a path, ``owner/repository`` or ``owner/repository@revision``.

    ``memory``: free bytes where the weights shall go. Raises :class:`CheckpointError`, before anything is fetched,
    where there is no such thing or no room for it.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    named = _NAME.fullmatch(name)
    if named is None or path.exists() or name.startswith((".", "/")):
        raise CheckpointError(f"{name} is neither a directory nor a name of the hub (owner/repository)")
    return fetch(named["repository"], named["revision"], memory)


def fetch(repository: str, revision: str | None, memory: int | None = None) -> Path:
    """A repository's files in the hub's cache, fetched where they are missing."""
    try:
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
    except ModuleNotFoundError as error:
        raise CheckpointError(f"{error.name} is not installed: pip install 'duologue[models]'") from error
    at = f"{repository}@{revision}" if revision else repository
    try:
        if not constants.HF_HUB_OFFLINE:
            check_room(repository, revision, memory)
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(WANTED)))
    except CheckpointError:
        raise
    except GatedRepoError as error:
        raise CheckpointError(
            f"{at} wants its licence accepted first: do so on its page, then set HF_TOKEN to your token"
        ) from error
    except RevisionNotFoundError as error:
        raise CheckpointError(f"{repository} has no revision {revision!r}") from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(f"the hub has no {at}, or it needs a token (HF_TOKEN)") from error
    except Exception as error:  # the errors of whatever HTTP client the hub's library uses
        if (cached := _cached(repository, revision)) is None:
            raise CheckpointError(f"{at} cannot be fetched ({error}), and is not in the cache") from error
        log.warning("the hub cannot be asked; what is in the cache is used", repository=at, error=str(error))
        return cached


def _cached(repository: str, revision: str | None) -> Path | None:
    """What the cache has of it; loading says so if files are missing."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        wanted = list(WANTED)
        return Path(snapshot_download(repository, revision=revision, allow_patterns=wanted, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def check_room(repository: str, revision: str | None, memory: int | None) -> None:
    """Raises :class:`CheckpointError` where what is still missing does not fit on the disk, or in ``memory``."""
    from fnmatch import fnmatch

    from huggingface_hub import HfApi, constants, try_to_load_from_cache

    siblings = HfApi().model_info(repository, revision=revision, files_metadata=True).siblings or []
    wanted = {s.rfilename: s.size or 0 for s in siblings if any(fnmatch(s.rfilename, each) for each in WANTED)}
    if not any(name.endswith(_WEIGHTS) for name in wanted):
        raise CheckpointError(f"{repository} holds no weights of a layout that is known here (model.safetensors, …)")
    missing = sum(
        size
        for name, size in wanted.items()
        if not isinstance(try_to_load_from_cache(repository, name, revision=revision), str)
    )
    cache = Path(constants.HF_HUB_CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    if missing and missing + _SPARE > free:
        raise CheckpointError(
            f"{repository} takes {missing / 1e9:.1f} GB on the disk, and {free / 1e9:.1f} GB are free at {cache}; "
            "make room, or set HF_HOME to a larger disk"
        )
    weights = sum(size for name, size in wanted.items() if name.endswith(_WEIGHTS))
    if memory is not None and weights > memory:
        raise CheckpointError(
            f"{repository} has {weights / 1e9:.1f} GB of weights, and {memory / 1e9:.1f} GB of memory are free: "
            "nothing was fetched. Take a device with more memory, or a smaller model"
        )
