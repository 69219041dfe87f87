"""Which processor this is: how weights are best laid out depends on its maker's libraries."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path


@cache
def processor_name() -> str:
    """As it calls itself, with its maker's name; what the system says of it where there is no ``/proc/cpuinfo``."""
    told = Path("/proc/cpuinfo")
    for line in told.read_text(encoding="utf-8").splitlines() if told.is_file() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
