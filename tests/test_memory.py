"""What is freed is returned: what was large among much that stays, and what was small below it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from duologue import memory

LARGE = """
if "returning" in sys.argv:
    return_large_blocks()
del (first := [bytearray(31 * 2**20)])[0]  # glibc has now seen how large a block can be
before = rss()
large, small = [], []
for _ in range(10):
    large.append(b"x" * (5 * 2**20))
    small.append(b"y" * 100_000)  # stays
del large
"""

HOLES = """
before = rss()
small = [b"x" * 50_000 for _ in range(1000)]
del small[:-1]  # what stays lies above what goes
if "returning" in sys.argv:
    return_holes()
"""


def kept(script: str, *arguments: str) -> int:
    """Megabytes that a process keeps of 50 that it let go of."""
    head = "import sys, psutil\nfrom duologue.memory import *\nrss = lambda: psutil.Process().memory_info().rss\n"
    tail = "print((rss() - before) // 2**20)"
    command = [sys.executable, "-c", head + script + tail, *arguments]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.fixture(autouse=True)
def glibc() -> None:
    if memory._of_glibc("malloc_trim") is None:
        pytest.skip("the allocator of this system is another")


@pytest.mark.parametrize("script", [LARGE, HOLES])
def test_what_is_freed_is_returned(script: str) -> None:
    assert kept(script) > 30, "left alone, it is kept; or else there is no need for any of this"
    assert kept(script, "returning") <= 3
