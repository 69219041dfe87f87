"""What a system takes from other places than its own directory: fetched where it is not there.

The directory itself stays as it is. One of links, in a cache of ours (``DUOLOGUE_CACHE``, else ``duologue`` in the
user's cache), holds both.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from duologue.checkpoints.files import CheckpointError

log = structlog.get_logger("duologue.engine")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """One file."""

    path: str
    """Where it belongs in the directory."""
    repository: str = ""
    """Of the hub, which has it under its last name."""
    url: str = ""
    """Where it is not on the hub."""
    sha256: str = ""
    """The beginning of its digest; empty: not known."""

    @property
    def source(self) -> str:
        """For people to read."""
        return f"{self.repository} on the hub" if self.repository else self.url


def completed(directory: Path, missing: Sequence[Elsewhere]) -> Path:
    """A directory with what is ``missing`` in this one. Raises :class:`CheckpointError` where it cannot be fetched."""
    if not missing:
        return directory
    files = {each.path: _fetched(directory, each) for each in missing}
    files |= {str(path.relative_to(directory)): path.resolve() for path in directory.rglob("*") if path.is_file()}
    place = str(directory.resolve())
    whole = cache() / "completed" / f"{directory.name}-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
    for old in [path for path in whole.rglob("*") if path.is_symlink()]:
        if str(old.relative_to(whole)) not in files:
            old.unlink()  # it is not in the directory any more
    for name, file in files.items():
        _link(whole / name, file)
    return whole


def _link(link: Path, file: Path) -> None:
    """Left as it is where it is right; else put in its place at once, for another process may be loading."""
    if link.is_symlink() and link.readlink() == file:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(file)
    fresh.replace(link)


def cache() -> Path:
    """Where fetched files are kept."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("DUOLOGUE_CACHE") or user / "duologue")


def _fetched(directory: Path, wanted: Elsewhere) -> Path:
    try:
        return _from_hub(wanted) if wanted.repository else _from_web(wanted)
    except Exception as error:  # the errors of whatever client fetches
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{directory / wanted.path} is missing: it comes from {wanted.source}, and cannot be fetched now ({cause})"
        ) from error


def _from_hub(wanted: Elsewhere) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(wanted.repository, Path(wanted.path).name))


def _from_web(wanted: Elsewhere) -> Path:
    """Anew each time that it broke off: these places know no resuming."""
    file = cache() / "fetched" / hashlib.sha256(wanted.url.encode()).hexdigest()[:12] / Path(wanted.path).name
    if file.is_file():
        return file
    from huggingface_hub import constants
    from torch.hub import download_url_to_file

    if constants.HF_HUB_OFFLINE:
        raise ConnectionError("HF_HUB_OFFLINE is set")
    file.parent.mkdir(parents=True, exist_ok=True)
    log.info("fetching", url=wanted.url)
    download_url_to_file(wanted.url, str(file), hash_prefix=wanted.sha256 or None)
    return file
