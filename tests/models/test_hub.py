"""Checkpoints by their names on the hub, from a server of our own through HF_ENDPOINT."""

from __future__ import annotations

import os
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from duologue.checkpoints import hub as room
from duologue.checkpoints.files import CheckpointError
from duologue.models import catalogue, mini_omni2_files

from .hub import COMMIT, OLDER, Hub, hub

FILES = {
    "config.json": b'{"dim": 1}',
    "model.safetensors": bytes(range(256)) * 400,
    "tokenizer-e351c8d8-checkpoint125.safetensors": b"codec",
    "tokenizer_spm_32k_3.model": b"text",
    "README.md": b"not wanted",
    "model.q8.gguf": b"not wanted either",
}

FIND = """
import sys
from duologue.checkpoints.files import CheckpointError
from duologue.checkpoints.hub import find
try:
    print(find(sys.argv[1], memory=int(sys.argv[2])))
except CheckpointError as error:
    sys.exit(str(error))
"""


def find(server: Hub, home: Path, name: str = "owner/model", *, memory: int = 10**12, **environment: str) -> Path:
    """In a process of its own, for the endpoint is read once; raises ``CheckpointError`` with what it says."""
    own = {"HF_ENDPOINT": server.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", **environment}
    outer = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", FIND, name, str(memory)], capture_output=True, text=True, env={**outer, **own}
    )
    if done.returncode:
        raise CheckpointError(done.stderr.strip().splitlines()[-1])
    return Path(done.stdout.splitlines()[-1])


def test_what_loading_reads_is_fetched_and_nothing_else(tmp_path: Path) -> None:
    with hub(FILES) as server:
        where = find(server, tmp_path)
        fetched = {path.name: path.read_bytes() for path in where.iterdir()}
    wanted = FILES.keys() - {"README.md", "model.q8.gguf"}
    assert fetched == {name: FILES[name] for name in wanted}
    assert where.name == COMMIT
    # The server is gone: from the cache.
    assert find(server, tmp_path, HF_HUB_OFFLINE="1") == where
    assert find(server, tmp_path) == where


MINI_OMNI2 = {
    "lit_model.pth": b"language model",
    "model_config.yaml": b"n_embd: 64",
    "small.pt": b"ear",
    "ViT-B-32.pt": b"eye",
    "tokenizer.json": b"{}",
    "tokenizer_config.json": b"{}",
}
"""What gpt-omni/mini-omni2 has that loading reads."""


def test_a_repository_without_safetensors_is_fetched_by_its_own_names(tmp_path: Path) -> None:
    others = {"README.md": b"", "data/figures/title.jpeg": b"", "optimizer.pth": b""}
    with hub({**MINI_OMNI2, **others}) as server:
        where = find(server, tmp_path)
        fetched = {str(path.relative_to(where)): path.read_bytes() for path in where.rglob("*") if path.is_file()}
    assert fetched == MINI_OMNI2
    assert mini_omni2_files.recognised(where)
    with hub(MINI_OMNI2, sizes={"lit_model.pth": 3 * 10**9}) as server:  # noqa: SIM117
        with pytest.raises(CheckpointError, match=r"3\.0 GB of weights, and 2\.0 GB of memory are free"):
            find(server, tmp_path / "other", memory=2 * 10**9)


@pytest.mark.parametrize("system", catalogue.NAMES)
def test_every_systems_layout_is_covered(system: str, tmp_path: Path) -> None:
    """What is written for a system, as published, is what would be fetched of it; the rest it takes from elsewhere."""
    directory = tmp_path / system
    catalogue.system(system).write(directory, seed=0, sizes={})
    written = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    fetched = {name for name in written if any(fnmatch(name, each) for each in room.WANTED)}
    for name in written - fetched:
        (directory / name).unlink()
    assert {each.path for each in catalogue.system(system).elsewhere(directory)} >= written - fetched
    assert catalogue.recognised(directory) is not None


def test_a_revision_is_pinned(tmp_path: Path) -> None:
    with hub(FILES, older={**FILES, "config.json": b"{}"}) as server:
        where = find(server, tmp_path, "owner/model@v1")
        assert where.name == OLDER
        assert (where / "config.json").read_bytes() == b"{}"
        with pytest.raises(CheckpointError, match="has no revision 'v9'"):
            find(server, tmp_path, "owner/model@v9")


def test_a_download_that_broke_off_goes_on_where_it_was(tmp_path: Path) -> None:
    large = FILES | {"model.safetensors": bytes(range(256)) * 160_000}  # the library writes 10 MB at a time
    with hub(large, cuts=["model.safetensors"]) as server:
        where = find(server, tmp_path)
        assert (where / "model.safetensors").read_bytes() == large["model.safetensors"]
        resumed = [int(each.removeprefix("bytes=").split("-")[0]) for each in server.ranges]
    assert any(start > 0 for start in resumed)


def test_what_there_is_not_is_said(tmp_path: Path) -> None:
    with hub({"README.md": b"", "weights.bin": b""}) as server:
        with pytest.raises(CheckpointError, match="the hub has no owner/other"):
            find(server, tmp_path, "owner/other")
        with pytest.raises(CheckpointError, match="holds no weights of a layout"):
            find(server, tmp_path)
    with pytest.raises(CheckpointError, match=r"cannot be fetched .* not in the cache"):
        find(server, tmp_path, HF_HUB_OFFLINE="1")


def test_room_is_asked_for_before_anything_is_fetched(tmp_path: Path) -> None:
    with hub(FILES, sizes={"model.safetensors": 10**15}) as server:  # noqa: SIM117
        with pytest.raises(CheckpointError, match=r"takes 1000000\.0 GB on the disk"):
            find(server, tmp_path)
    with hub(FILES, sizes={"model.safetensors": 3 * 10**9}) as server:  # noqa: SIM117
        with pytest.raises(CheckpointError, match=r"3\.0 GB of weights, and 2\.0 GB of memory are free"):
            find(server, tmp_path, memory=2 * 10**9)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_directory_is_itself(tmp_path: Path) -> None:
    assert room.find(str(tmp_path)) == tmp_path
