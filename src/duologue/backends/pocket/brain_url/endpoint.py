"""The requests to a chat endpoint. One pool of connections serves all sessions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx

from duologue.backends.pocket.brain_url.address import BrainAddress, BrainAddressError
from duologue.backends.pocket.brain_url.stream import Answer, Lines, Nonsense

CONNECT_SECONDS = 5.0

LONGEST = 100_000
"""Characters of one answer: two hours of speech. One that goes on beyond that will not end."""

_SHOWN = 300
"""Characters of an endpoint's own words that are passed on in an error."""


class BrainUnreachable(RuntimeError):
    """The endpoint did not answer, or refused to; the message says why."""


class Endpoint:
    """One chat endpoint."""

    def __init__(self, address: BrainAddress) -> None:
        self._address = address
        self._client: httpx.AsyncClient | None = None
        self.model = address.model or ""
        """Known once it is started."""

    async def start(self) -> None:
        """Raises :class:`BrainAddressError` where no model is named and the endpoint names none."""
        key = self._address.key
        self._client = httpx.AsyncClient(
            headers={} if key is None else {"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(self._address.patience, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )
        if not self.model:
            try:
                self.model = await self._first_model(self._client)
            except BaseException:
                await self.stop()
                raise

    async def stop(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def answer(self, request: Callable[[], dict[str, Any]], tell: Callable[[str], None]) -> Answer:
        """Ask, and ``tell`` the answer's text piece by piece as it comes; returns when the answer is whole.

        ``request`` makes what is asked beside the model (it may encode pictures: that is done in a thread). Cancelling
        closes the connection, on which endpoints stop writing. Raises :class:`BrainUnreachable` or
        :class:`~duologue.backends.pocket.brain_url.stream.Nonsense`.
        """
        if self._client is None:
            raise RuntimeError("the endpoint is not started")
        body = await asyncio.to_thread(self._body, request)
        try:
            async with (
                asyncio.timeout(self._address.patience + CONNECT_SECONDS) as limit,
                self._client.stream(
                    "POST",
                    self._address.completions,
                    content=body,
                    headers={"Content-Type": "application/json", "Accept": "text/event-stream"},
                ) as response,
            ):
                await _check(response)
                return await self._read(response, tell, limit)
        except TimeoutError as error:
            raise BrainUnreachable(f"no word came for {self._address.patience:g} s") from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise BrainUnreachable(f"{type(error).__name__}: {error}") from error

    async def _read(self, response: httpx.Response, tell: Callable[[str], None], limit: asyncio.Timeout) -> Answer:
        answer, lines, size = Answer(), Lines(), 0

        def wait_on() -> None:
            limit.reschedule(asyncio.get_running_loop().time() + self._address.patience)

        def take(line: str) -> None:
            nonlocal size
            if line.startswith("data:"):  # comments only keep the connection alive
                wait_on()
            if text := answer.take(line):
                size += len(text)
                tell(text)
            if size > LONGEST:
                raise Nonsense(f"the answer goes on beyond {LONGEST} characters")

        wait_on()
        async for data in response.aiter_bytes():
            for line in lines.push(data):
                take(line)
            if answer.done:
                break
        else:
            take(lines.finish())
        if rest := answer.rest():
            tell(rest)
        if not answer.ended:
            raise BrainUnreachable("the answer broke off")
        return answer

    def _body(self, request: Callable[[], dict[str, Any]]) -> bytes:
        # Escaped to ASCII: half a surrogate pair, which a client may have sent, has no UTF-8.
        return json.dumps({"model": self.model, "stream": True, **request()}).encode("ascii")

    async def _first_model(self, client: httpx.AsyncClient) -> str:
        remedy = "start it, check --brain (and DUOLOGUE_BRAIN_KEY), or name the model with --brain-model"
        url = f"{self._address.url}/models"
        try:
            response = await client.get(url)
        except httpx.HTTPError as error:
            cause = f"{type(error).__name__}: {error}"
            raise BrainAddressError(f"the brain at {url} cannot be asked for its models ({cause}); {remedy}") from error
        if response.status_code != 200:
            cause = f"it answers {response.status_code}: {response.text[:_SHOWN]}"
            raise BrainAddressError(f"the brain at {url} cannot be asked for its models ({cause}); {remedy}")
        try:
            name = response.json()["data"][0]["id"]
        except (ValueError, LookupError, TypeError):
            name = None
        if not isinstance(name, str) or not name:
            raise BrainAddressError(f"the brain at {url} lists no models; name one with --brain-model")
        return name


async def _check(response: httpx.Response) -> None:
    """Raises :class:`BrainUnreachable` unless a stream of events follows."""
    if response.status_code == 200 and response.headers.get("content-type", "").startswith("text/event-stream"):
        return
    said = b""
    async for data in response.aiter_bytes():
        said += data
        if len(said) > _SHOWN:
            break
    words = " ".join(said[:_SHOWN].decode("utf-8", "replace").split())
    if response.status_code != 200:
        raise BrainUnreachable(f"it answers {response.status_code}: {words}")
    kind = response.headers.get("content-type", "nothing named")
    raise BrainUnreachable(f"it answers {kind} instead of a stream of events: {words}")
