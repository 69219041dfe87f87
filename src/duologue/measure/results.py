"""What was measured and kept: ``results.json``, written by ``bench latency --keep``, read by ``duologue models``."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from duologue.measure.figures import Spread

RESULTS = Path(__file__).with_name("results.json")


def first_responses() -> Mapping[str, str]:
    """By system, its first response as it was measured, with the command and the date."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    return {
        system: f"p50 {each['p50_ms']} ms, p95 {each['p95_ms']} ms "
        f"({each['where']}, {each['date']}, `{each['command']}`)"
        for system, each in kept.get("first_response", {}).items()
    }


def keep_first_response(system: str, spread: Spread | None, sessions: int) -> None:
    """Keep a figure; nothing where nothing was answered."""
    if spread is None:
        return
    kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    kept.setdefault("first_response", {})[system] = {
        "p50_ms": spread.p50,
        "p95_ms": spread.p95,
        "answers": spread.count,
        "where": f"{os.cpu_count()} cores, {platform.machine()}, {sessions} at once",
        "date": date.today().isoformat(),
        "command": f"duologue bench latency --sessions {sessions}",
    }
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
