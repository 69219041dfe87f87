"""``duologue ask``: recorded turns are spoken to a model, one conversation, and the answers written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from duologue.audio import Wave, seconds
from duologue.backends import ModelOptions
from duologue.measure.caller import Caller
from duologue.measure.exchange import Exchange, exchange
from duologue.measure.opening import open_line


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The conversation that came of it."""

    model: str
    turns: tuple[Exchange, ...]
    fast: bool

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {"model": self.model, "turns": [self._turn(turn) for turn in self.turns]}

    def _turn(self, turn: Exchange) -> dict[str, Any]:
        latency = None if self.fast else turn.latency
        return {
            "heard": turn.heard,
            "said": turn.said,
            "first_response_ms": None if latency is None else round(latency * 1000),
            "answered": turn.answered,
            "reply_seconds": round(seconds(len(turn.audio)), 3),
        }


async def ask(
    waves: Sequence[Wave],
    *,
    model: str | None = None,
    url: str | None = None,
    token: str | None = None,
    fast: bool = False,
    options: ModelOptions | None = None,
    told: Callable[[Exchange], None] = lambda turn: None,
) -> Asked:
    """Says each of ``waves`` as one turn; the next begins once the reply to the last one is over.

    With ``url`` a server is asked, else a session in this process on ``model`` (``pocket`` by default);
    run as ``options`` say; ``fast`` then runs on virtual time. ``told`` is called after each turn. Raises
    :class:`~duologue.measure.lines.LineError` where the server fails or the model cannot start,
    :class:`~duologue.backends.UnknownModel` where there is no such model.
    """
    async with open_line(model=model, url=url, token=token, fast=fast, options=options) as line:
        caller = Caller(line)
        await caller.join()
        turns: list[Exchange] = []
        for wave in waves:
            turns.append(await exchange(caller, wave))
            told(turns[-1])
        return Asked(caller.model or model or "", tuple(turns), fast)
