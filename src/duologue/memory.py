"""How a process that runs for months gives back what it needed for a moment.

glibc takes large blocks from the system, and returns them when they are freed; but at the first such block that is
freed it raises the size from which a block counts as large, up to 32 MB. From then on minutes of sound lie on the heap
among what stays, and after them the heap is full of holes. A server beside guests who sent 11 MB at once kept on
growing: 130 MB before them, 270 three minutes later.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

LARGE = 2**20
"""Bytes from which a block goes back to the system as soon as it is freed. It costs a fault for each of its pages, of
which a conversation has no need: nothing it does over and over is that large."""

_M_MMAP_THRESHOLD = -3
"""glibc's malloc.h."""


def return_large_blocks() -> bool:
    """From now on blocks of :data:`LARGE` are returned when they are freed; ``False``: this system's allocator cannot
    be told, or need not."""
    mallopt = _of_glibc("mallopt")
    return mallopt is not None and mallopt(_M_MMAP_THRESHOLD, LARGE) == 1


def return_holes() -> None:
    """Return what is free among smaller blocks, which glibc keeps as long as anything above it stays: 1 to 3 ms."""
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(ctypes.c_size_t(0))


def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function of the C library; musl has none of these, and needs none."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
