"""What a system takes from other places: fetched once, beside a directory that stays as it is."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from duologue.checkpoints.elsewhere import Elsewhere, completed
from duologue.checkpoints.files import CheckpointError
from duologue.engine.loading import CannotLoad, load
from duologue.models import catalogue, llama_omni_files, mini_omni2_files
from duologue.models.llama_omni_turns import LlamaOmni


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which it is served."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DUOLOGUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "cache"


def test_a_directory_is_completed_by_what_lies_elsewhere(
    tmp_path: Path, web: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = web
    whole = tmp_path / "llama"
    catalogue.system("llama_omni").write(whole, seed=1, sizes={})
    assert llama_omni_files.elsewhere(whole) == []
    for name in ("large-v3.pt", "vocoder/g_00500000", "vocoder/config.json"):
        shutil.move(whole / name, folder / Path(name).name)
    monkeypatch.setattr(llama_omni_files, "WHISPER_FROM", f"{address}/large-v3.pt")
    digest = hashlib.sha256((folder / "large-v3.pt").read_bytes()).hexdigest()
    monkeypatch.setattr(llama_omni_files, "WHISPER_DIGEST", digest)
    monkeypatch.setattr(llama_omni_files, "VOCODER_FROM", address)
    before = sorted(path.name for path in whole.rglob("*"))
    assert isinstance(load(str(whole), device="cpu").model, LlamaOmni)
    assert sorted(path.name for path in whole.rglob("*")) == before, "the directory stays as it is"
    shutil.rmtree(folder)
    assert isinstance(load(str(whole), device="cpu").model, LlamaOmni), "it is fetched once"


def test_links_are_made_once_and_follow_the_directory(tmp_path: Path, web: tuple[Path, str]) -> None:
    folder, address = web
    (folder / "a.pt").write_bytes(b"a")
    directory = tmp_path / "model"
    directory.mkdir()
    for name in ("config.json", "old.safetensors"):
        (directory / name).write_text("{}")
    wanted = [Elsewhere("deep/a.pt", url=f"{address}/a.pt")]

    def links() -> dict[str, int]:
        whole = completed(directory, wanted)
        return {str(path.relative_to(whole)): path.lstat().st_ino for path in whole.rglob("*") if path.is_symlink()}

    first = links()
    assert set(first) == {"config.json", "old.safetensors", "deep/a.pt"}
    assert links() == first, "they are the same ones"
    (directory / "old.safetensors").rename(directory / "new.safetensors")
    second = links()
    assert set(second) == {"config.json", "new.safetensors", "deep/a.pt"}
    moved = (directory / "config.json").rename(tmp_path / "elsewhere.json")
    (directory / "config.json").symlink_to(moved)
    assert completed(directory, wanted).joinpath("config.json").readlink() == moved.resolve()


def test_what_is_not_what_it_should_be_is_refused(tmp_path: Path, web: tuple[Path, str], home: Path) -> None:
    folder, address = web
    (folder / "a.pt").write_bytes(b"something else")
    wanted = Elsewhere("a.pt", url=f"{address}/a.pt", sha256="0" * 64)
    with pytest.raises(CheckpointError, match=r"a\.pt is missing: it comes from .* hash"):
        completed(tmp_path, [wanted])
    assert not list(home.rglob("a.pt")), "nothing half right stays"


def test_where_it_cannot_be_fetched_the_place_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    directory = tmp_path / "mini"
    catalogue.system("mini_omni2").write(directory, seed=1, sizes={})
    shutil.rmtree(directory / "snac_24khz")
    assert [each.path for each in mini_omni2_files.elsewhere(directory)] == [
        "snac_24khz/config.json", "snac_24khz/pytorch_model.bin",
    ]  # fmt: skip
    with pytest.raises(CannotLoad, match="comes from hubertsiuzdak/snac_24khz on the hub"):
        load(str(directory), device="cpu")
    with pytest.raises(CheckpointError, match="HF_HUB_OFFLINE"):
        completed(directory, [Elsewhere("x", url="http://127.0.0.1:9/x")])
