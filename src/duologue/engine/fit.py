"""Does it fit? Asked before anything is allocated, and answered in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from duologue.nn.rows import State

SPARE = 0.95
"""The part of free memory that is used at most."""


class TooLarge(RuntimeError):
    """It does not fit; the message says what would."""


def tensors(state: Any) -> Iterator[Tensor]:
    """All tensors of a state, however it is nested."""
    if isinstance(state, Tensor):
        yield state
    elif is_dataclass(state):
        for each in fields(state):
            yield from tensors(getattr(state, each.name))
    elif isinstance(state, (list, tuple)):
        for part in state:
            yield from tensors(part)


def state_bytes(state: State) -> int:
    """Bytes that a state holds."""
    return sum(tensor.nbytes for tensor in tensors(state))


def free_bytes(device: torch.device) -> int:
    """Free memory of a device, what torch only keeps at hand included."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    raise RuntimeError("this system does not say how much memory is free (MemAvailable in /proc/meminfo)")


def most_rows(row_bytes: int, device: torch.device) -> int:
    """How many sessions of ``row_bytes`` each have room."""
    return int(SPARE * free_bytes(device) // max(1, row_bytes))


def check_rows(row_bytes: int, rows: int, device: torch.device) -> None:
    """Raises :class:`TooLarge` where ``rows`` sessions of ``row_bytes`` each have no room."""
    if rows > (fits := most_rows(row_bytes, device)):
        advice = f"give --sessions {fits}" if fits else "take a device with more memory, or a smaller model"
        raise TooLarge(
            f"{rows} sessions of {gigabytes(row_bytes)} each need {gigabytes(row_bytes * rows)}, and "
            f"{gigabytes(int(SPARE * free_bytes(device)))} are free on {device}; {advice}"
        )


def gigabytes(count: int) -> str:
    """Bytes as people say them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
