"""A backend that hears "hello" and says "hello", and takes as long over it as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from duologue.backends.contract import (
    Cancel,
    Card,
    Close,
    Command,
    Delta,
    End,
    EndTurn,
    Event,
    Hear,
    Hypothesis,
    Respond,
)
from measure.scripted import tone

CARD = Card("parrot", "a parrot", ("en",), ("audio",), ("audio",), ("p",), False, "Apache-2.0")


class Parrot:
    """Takes ``thinks`` seconds of real time over each reply, which lasts ``says`` seconds."""

    card = CARD

    def __init__(self, thinks: float = 0.05, says: float = 1.0) -> None:
        self.thinks = thinks
        self.says = says
        self.closed = 0

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def open(self, emit: Callable[[Event], None]) -> ParrotLink:
        return ParrotLink(self, emit)


class ParrotLink:
    def __init__(self, parrot: Parrot, emit: Callable[[Event], None]) -> None:
        self._parrot = parrot
        self._emit = emit
        self._replies: dict[int, asyncio.Task[None]] = {}

    @property
    def busy(self) -> bool:
        return any(not task.done() for task in self._replies.values())

    def send(self, command: Command) -> None:
        match command:
            case Hear(turn, start, wave):
                words = Hypothesis(turn, "hello", start + len(wave), complete=True)
                asyncio.get_running_loop().call_soon(self._emit, words)
            case EndTurn(turn):
                self._emit(Hypothesis(turn, "hello", 0, final=True, complete=True))
            case Respond(epoch):
                self._replies[epoch] = asyncio.create_task(self._reply(epoch))
            case Cancel(epoch):
                self._replies[epoch].cancel()
            case Close():
                self._parrot.closed += 1
                for task in self._replies.values():
                    task.cancel()

    async def _reply(self, epoch: int) -> None:
        await asyncio.sleep(self._parrot.thinks)
        self._emit(Delta(epoch, "hello", tone(self._parrot.says)))
        self._emit(End(epoch))
