"""What the brain will want to say of its own accord, watched against the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from duologue.backends.contract import Event, Wants, Withdrawn
from duologue.backends.pocket.brain import Want

COURTESY = timedelta(milliseconds=300)
"""A wish that comes with the session's settings (a greeting) waits so long: the client's own request goes first."""


@dataclass(slots=True)
class _Watched:
    want: Want
    handle: asyncio.TimerHandle | None
    """Set until it is due; ``None`` once the session was told."""


class Wishes:
    """A session's wishes: :meth:`look` after anything that may have changed them."""

    def __init__(
        self, wants: Callable[[], Sequence[Want]], emit: Callable[[Event], None], now: Callable[[], datetime]
    ) -> None:
        """``wants``: what the brain will want to say of its own accord, and when."""
        self._wants = wants
        self._emit = emit
        self._now = now
        self._watched: dict[str, _Watched] = {}
        self._not_before = now()

    def be_courteous(self) -> None:
        """The client has just said how it wants the session: let it speak first."""
        self._not_before = self._now() + COURTESY

    def look(self) -> None:
        """Compare what the brain wants with what is watched."""
        wanted = {want.token: want for want in self._wants()}
        for token in [token for token in self._watched if token not in wanted]:
            watched = self._watched.pop(token)
            if watched.handle is not None:
                watched.handle.cancel()
            else:
                # Not at once: this may be in the middle of a command.
                asyncio.get_running_loop().call_soon(self._emit, Withdrawn(token))
        for token, want in wanted.items():
            watched_already = self._watched.get(token)
            if watched_already is None or watched_already.want.due != want.due:
                self._watch(want)

    def granted(self, token: str) -> None:
        """It was said: the session needs no word that it is wanted no more."""
        watched = self._watched.pop(token, None)
        if watched is not None and watched.handle is not None:
            watched.handle.cancel()

    def close(self) -> None:
        """Nobody listens any more."""
        for watched in self._watched.values():
            if watched.handle is not None:
                watched.handle.cancel()
        self._watched.clear()

    def _watch(self, want: Want) -> None:
        known = self._watched.get(want.token)
        if known is not None:
            if known.handle is None:
                known.want = want  # the session was told already and picks the moment
                return
            known.handle.cancel()
        wait = (max(want.due, self._not_before) - self._now()).total_seconds()
        handle = asyncio.get_running_loop().call_later(max(0.0, wait), self._due, want.token)
        self._watched[want.token] = _Watched(want, handle)

    def _due(self, token: str) -> None:
        watched = self._watched[token]
        watched.handle = None
        if max(watched.want.due, self._not_before) > self._now():  # the wall clock was set, or runs slower
            del self._watched[token]
            self._watch(watched.want)
        else:
            self._emit(Wants(token, watched.want.reason))
