"""A served `pocket`, as anybody starts it, for clients that were written for somebody else's server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from duologue.measure.serving import own_server


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "clients: needs the stock clients of scripts/stock-clients")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def url() -> AsyncIterator[str]:
    """``http://host:port`` of `duologue serve`, in a process of its own."""
    async with own_server(sessions=4) as server:
        yield server.url
