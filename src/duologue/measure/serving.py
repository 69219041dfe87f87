"""A server of one's own to measure: ``duologue serve`` in a process of its own, on a free port."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from duologue.measure.lines import LineError

_PATIENCE = 60.0
"""Seconds a server may take to start (the bar is 5; a loaded machine should still be measured)."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs."""

    url: str
    pid: int
    ready_after: float
    """Seconds from starting the process to the first good answer from ``/healthz``."""


@asynccontextmanager
async def own_server(*, model: str = "pocket", sessions: int = 16) -> AsyncIterator[Server]:
    """Starts a server, yields it once it is ready, and ends it. Raises :class:`LineError` where it fails."""
    port = _free_port()
    command = [sys.executable, "-m", "duologue", "serve", "--port", str(port)]
    command += ["--model", model, "--sessions", str(sessions), "--log-level", "warning"]
    # What is measured is the server as it comes: no settings of the person's reach it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DUOLOGUE_")}
    with tempfile.TemporaryDirectory(prefix="duologue-bench-") as folder, tempfile.TemporaryFile() as log:
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            while not await _healthy(port):
                if process.returncode is not None or time.monotonic() - began > _PATIENCE:
                    state = "stopped at once" if process.returncode is not None else "did not become ready"
                    log.seek(0)
                    raise LineError(f"duologue serve {state}: {log.read()[-2000:].decode(errors='replace')}")
                await asyncio.sleep(0.02)
            yield Server(f"http://127.0.0.1:{port}", process.pid, time.monotonic() - began)
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Asks the server to drain, and does not wait for ever."""
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def _healthy(port: int) -> bool:
    """Whether ``/healthz`` answers with 200."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return (await reader.readline()).split(b" ")[1:2] == [b"200"]
    except ConnectionError:
        return False
    finally:
        writer.close()
