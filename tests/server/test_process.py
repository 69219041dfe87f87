"""The process: ready line, signals, refusals before anything starts."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
import websockets

from .conftest import Client

TESTS = Path(__file__).parent.parent


class Process:
    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url
        self.ws = url.replace("http", "ws", 1) + "v1/realtime"

    async def connect(self) -> Client:
        client = Client(await websockets.connect(self.ws))
        await client.hear()
        return client

    async def exit_code(self, within: float) -> int:
        return await asyncio.wait_for(self.process.wait(), within)

    async def log(self) -> str:
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()


@asynccontextmanager
async def running(*arguments: str, command: tuple[str, ...]) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=TESTS,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 15)).decode()
        found = re.search(r"https?://\S+/", line)
        assert found, (line, await process.stderr.read() if process.stderr else b"")
        yield Process(process, found[0])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def echoing() -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start(*arguments: str) -> Process:
            command = ("-m", "server.echoing", "serve", "--port", "0")
            return await stack.enter_async_context(running(*arguments, command=command))

        yield start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_the_process_ends_well(echoing: Start, number: int) -> None:
    server = await echoing("--log-json")
    client = await server.connect()
    await client.say("in", seconds=0.7, of="the end of the story")
    await client.echo("heard")
    began = time.monotonic()
    server.process.send_signal(number)
    assert (await client.hear())["of"] == "the end of the story"
    assert (await client.closed())[0] == 1001
    assert await server.exit_code(within=3) == 0
    assert time.monotonic() - began >= 0.5
    events = [json.loads(line)["event"] for line in (await server.log()).splitlines()]
    assert any(event.startswith("draining") for event in events)
    assert "session ended" in events


async def test_a_second_signal_does_not_wait(echoing: Start) -> None:
    server = await echoing()
    client = await server.connect()
    await client.say("in", seconds=60, of="an endless story")
    await client.echo("heard")
    server.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.3)
    assert server.process.returncode is None
    server.process.send_signal(signal.SIGTERM)
    assert await server.exit_code(within=4) == 1
    assert "Traceback" not in await server.log()


async def test_a_client_that_does_not_read_does_not_hold_up_the_end(echoing: Start) -> None:
    server = await echoing("--drain-seconds", "0.2")
    client = await server.connect()
    await client.say("much", megabytes=6)
    await asyncio.sleep(0.2)
    server.process.send_signal(signal.SIGTERM)
    assert await server.exit_code(within=5) == 0


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost, signed by itself, and its key."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


async def test_tls(echoing: Start, certificate: tuple[Path, Path]) -> None:
    public, key = certificate
    server = await echoing("--host", "localhost", "--ssl-cert", str(public), "--ssl-key", str(key))
    assert server.url.startswith("https://localhost:")
    trust = ssl.create_default_context(cafile=public)
    async with httpx.AsyncClient(verify=trust) as http:
        assert (await http.get(server.url + "healthz")).json() == {"status": "ok"}
    async with websockets.connect(server.ws, ssl=trust) as connection:
        assert json.loads(await connection.recv())["type"] == "session.created"


async def test_an_unexpected_fault_is_logged_as_one_json_object(echoing: Start) -> None:
    server = await echoing("--log-json", "--log-level", "warning")
    client = await server.connect()
    await client.say("crash")
    await client.closed()
    server.process.send_signal(signal.SIGTERM)
    await server.exit_code(within=3)
    (line,) = (await server.log()).splitlines()
    record = json.loads(line)
    assert record["event"] == "session failed"
    assert record["session"]
    assert record["exception"][0]["exc_type"] == "ZeroDivisionError"
