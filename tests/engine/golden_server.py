"""The golden conversation's model as a published directory, and a server on it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from safetensors.torch import load_file, save_file

from duologue.backends.engine import EngineBackend
from duologue.checkpoints.pieces import NORMAL, UNKNOWN, model_of
from duologue.engine.messages import Spec
from duologue.measure.golden_wire import stub_piece
from duologue.models.moshi_files import LM_FILE, MIMI_FILE, TEXT_FILE
from duologue.server.options import ServerOptions
from duologue.server.run import Serving, serving
from duologue.server.sessions import opener

CASE = Path(__file__).parent.parent / "golden" / "moshi" / "ws_session"


def published(directory: Path) -> Path:
    """The case's weights, sizes and stub tokenizer in the published layout."""
    config = json.loads((CASE / "case.json").read_text())["config"]
    weights = load_file(CASE / "weights.safetensors")
    for file, prefix in ((LM_FILE, "lm."), (MIMI_FILE, "mimi.")):
        part = {name.removeprefix(prefix): each for name, each in weights.items() if name.startswith(prefix)}
        save_file(part, directory / file)
    sizes = config["lm_config"]
    pieces = [(stub_piece(n), UNKNOWN if n == 0 else NORMAL) for n in range(sizes["text_card"])]
    (directory / TEXT_FILE).write_bytes(model_of(pieces))
    about = {"mimi_config_name": "mimi.json", "lm_gen_config": {"use_sampling": config["use_sampling"]}}
    (directory / "config.json").write_text(json.dumps({**sizes, **about}))
    (directory / "mimi.json").write_text(json.dumps(config["mimi_config"]))
    return directory


@asynccontextmanager
async def served(model: str, rows: int = 4, **options: object) -> AsyncIterator[tuple[Serving, EngineBackend]]:
    """A server on a neural model, without an ear, in this process (the engine has its own)."""
    spec = Spec(model, rows, device="cpu", dtype="float32", threads=1)
    backend = EngineBackend(spec, ear=None)
    chosen = ServerOptions(**{"port": 0, "drain_seconds": 0.0, "sessions": 16, **options})  # type: ignore[arg-type]
    async with serving(chosen, backend, opener) as server:
        yield server, backend
