"""A server's whole process tree, watched from outside: processor time, memory, descriptors.

Processor time counts children that have ended (synthesizers run for a moment each). Memory is the proportional set
size, so that pages shared between processes count once.
"""

from __future__ import annotations

import asyncio
import time

import psutil  # type: ignore[import-untyped]  # an extra: only benchmarks need it


class Tree:
    """A process and its descendants."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)

    async def load(self, duration: float) -> float:
        """Per cent of one core over the next ``duration`` seconds."""
        before, began = self.cpu(), time.monotonic()
        await asyncio.sleep(duration)
        return 100 * (self.cpu() - before) / (time.monotonic() - began)

    def memory(self) -> float:
        """Megabytes (10^6 bytes) in use, shared pages counted once."""
        return sum(_memory(process) for process in self._processes()) / 1e6

    def descriptors(self) -> int:
        """Open files and sockets."""
        return sum(_descriptors(process) for process in self._processes())

    def cpu(self) -> float:
        """Seconds used so far, those of children that have ended included."""
        return sum(_cpu(process) for process in self._processes())

    def _processes(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]


def _cpu(process: psutil.Process) -> float:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return 0.0  # its parent is about to count it
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    ended = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return float(times.user + times.system + ended)


def _memory(process: psutil.Process) -> int:
    try:
        info = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return 0
    return int(getattr(info, "pss", info.rss))  # only Linux knows the proportional size


def _descriptors(process: psutil.Process) -> int:
    try:
        return int(process.num_fds())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return 0
