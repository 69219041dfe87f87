"""Opening a line: to the server that is named, or to a session in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from duologue.backends import ModelOptions, load
from duologue.measure.lines import Line, LineError, dial
from duologue.session.options import SessionOptions


@asynccontextmanager
async def open_line(
    *,
    model: str | None = None,
    url: str | None = None,
    token: str | None = None,
    fast: bool = False,
    session: SessionOptions | None = None,
    options: ModelOptions | None = None,
) -> AsyncIterator[Line]:
    """A line to the server at ``url``, else to a new session in this process on ``model`` (``pocket`` by default).

    ``fast`` (virtual time), ``session`` and ``options`` are about a session in this process. Raises
    :class:`~duologue.measure.lines.LineError` where the server refuses or the model cannot start,
    :class:`~duologue.backends.UnknownModel` where there is no such model.
    """
    if url is not None:
        async with dial(url, model=model, token=token) as line:
            yield line
        return
    backend = load(model or "pocket", live=not fast, options=options or ModelOptions(sessions=1))
    # A server's guest needs no ears of its own.
    from duologue.measure.inprocess import in_process

    try:
        await backend.start()
    except Exception as error:
        raise LineError(f"the model {backend.card.name!r} cannot start: {error}") from error
    try:
        async with in_process(backend, fast=fast, options=session) as line:
            yield line
    finally:
        await backend.stop()
