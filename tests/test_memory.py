"""What is freed is returned, also what was large among much that stays."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
import psutil
from duologue.memory import return_large_blocks

if "returning" in sys.argv:
    if not return_large_blocks():
        print("not here")
        sys.exit()
process = psutil.Process()
del (first := [bytearray(31 * 2**20)])[0]  # glibc has now seen how large a block can be
before = process.memory_info().rss
large, small = [], []
for _ in range(10):
    large.append(b"x" * (5 * 2**20))
    small.append(b"y" * 100_000)  # stays
del large
print((process.memory_info().rss - before) // 2**20)
"""


def kept(*arguments: str) -> int:
    """Megabytes that a process keeps of 50 that it let go of, and of one that it did not."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], check=True, capture_output=True, text=True)
    if done.stdout.strip() == "not here":
        pytest.skip("the allocator of this system cannot be told")
    return int(done.stdout)


def test_large_blocks_are_returned() -> None:
    assert kept("returning") <= 3
