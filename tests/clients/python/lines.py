"""How a stock client, in a process and an environment of its own, is joined to the tests.

In, one line each: PCM16 at 24 kHz mono in base64, 20 ms every 20 ms. Out, one line each: a JSON object with what
the client makes of the conversation. ``{"ready": true}`` once it may be spoken to; ``{"heard": text}`` and
``{"said": text}`` as its history has them; ``{"played": samples}`` for what reaches its loudspeaker and
``{"flushed": true}`` where that is told to drop the rest; ``{"called": {name, arguments}}`` when its tool
runs; ``{"event": …}`` for the protocol's own events where it shows them; ``{"trouble": text}``.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator

RATE = 24_000

SKY = {"sky": "cloudy"}
"""What the tool ``get_weather(city)`` of every client returns."""


async def microphone() -> AsyncIterator[bytes]:
    """What stands on standard input, until it ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield base64.b64decode(line)


def tell(**what: object) -> None:
    """One line to the tests."""
    print(json.dumps(what), flush=True)
