"""A watched process tree: what it uses, and what those of it that are gone have used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from duologue.measure.tree import Tree

WORKER = """
import subprocess, sys
burn = "import time\\nwhile time.process_time() < 0.5: pass"
kept = []
print("ready", flush=True)
for line in sys.stdin:
    match line.strip():
        case "burn": subprocess.run([sys.executable, "-c", burn])
        case "open": kept.extend(open("/dev/null") for _ in range(3))
        case "grow": kept.append(bytearray(b"x" * 50_000_000))
    print("done", flush=True)
"""


class Watched:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.tree = Tree(process.pid)

    def do(self, what: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"


@pytest.fixture
def watched() -> Iterator[Watched]:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", WORKER], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Watched(process)
        process.kill()


def test_processor_time_of_children_that_have_ended_counts(watched: Watched) -> None:
    before = watched.tree.cpu()
    watched.do("burn")
    assert 0.45 <= watched.tree.cpu() - before < 1.0


def test_memory_is_what_was_taken(watched: Watched) -> None:
    before = watched.tree.memory()
    watched.do("grow")
    assert watched.tree.memory() - before == pytest.approx(50, abs=3)


async def test_an_idle_process_uses_nothing(watched: Watched) -> None:
    assert await watched.tree.load(0.2) < 5


def test_descriptors_are_counted(watched: Watched) -> None:
    before = watched.tree.descriptors()
    watched.do("open")
    assert watched.tree.descriptors() - before == 3
