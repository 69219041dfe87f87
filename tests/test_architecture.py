"""Imports go one way: downwards through the rooms (docs/architecture.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import duologue

ROOT = Path(duologue.__file__).parent

ROOMS = [
    ["cli", "__main__"],
    ["measure"],
    ["server", "terminal"],
    ["session"],
    ["floor", "protocol"],
    ["backends"],
    ["engine"],
    ["models"],
    ["codecs", "encoders"],
    ["nn", "checkpoints"],
    ["ears"],
    ["audio", "logs", "config", "memory", "options"],
]
"""From the top down; rooms of one storey do not import each other."""

PURE = {"floor": {"asyncio", "time", "socket", "threading"}, "protocol": {"asyncio", "time", "socket", "threading"}}
"""What these rooms may not even know of."""

LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}


def imports(path: Path) -> set[str]:
    """Absolute module names that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found.add(node.module or "")
    return found


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def test_every_room_is_on_the_map() -> None:
    found = {path.stem if path.is_file() else path.name for path in ROOT.iterdir() if path.name != "__pycache__"}
    found -= {"__init__", "py"}
    assert found == set(LEVEL)


def test_arrows_go_downwards() -> None:
    wrong = []
    for path in ROOT.rglob("*.py"):
        here = path.relative_to(ROOT).parts[0].removesuffix(".py")
        for module in imports(path):
            there = room_of(module) if module.startswith("duologue") else ""
            if there and there != here and LEVEL[there] <= LEVEL.get(here, -1):
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong


def test_pure_rooms_know_no_clock_and_no_socket() -> None:
    for room, forbidden in PURE.items():
        for path in (ROOT / room).rglob("*.py"):
            assert not imports(path) & forbidden, path


TORCH = {"engine", "models", "codecs", "encoders", "nn", "checkpoints", "measure"}
"""Rooms that may import torch; what talks without it comes from the others."""


def test_only_the_rooms_of_models_import_pytorch() -> None:
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        knows = any(module.split(".")[0] == "torch" for module in imports(path))
        assert not knows or room in TORCH, path


def test_a_server_needs_no_pytorch() -> None:
    """Neither what serves pocket, nor the server's end of an engine, nor the commands before they run."""
    modules = ["cli", "server.run", "server.sessions", "measure.cli", "backends.pocket.backend", "backends.engine"]
    lines = [f"import duologue.{module}" for module in modules]
    script = "\n".join([*lines, "import sys", "assert 'torch' not in sys.modules, sorted(sys.modules)"])
    subprocess.run([sys.executable, "-c", script], check=True)
