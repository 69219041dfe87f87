"""The server's end of the engine: started, watched, restarted; seats in it, and what happens at them.

If the process dies, or shows no sign of life for long, its seats are lost (each is told why), and a new one is started:
at once the first time, more patiently if the next ones die at once too. Meanwhile nobody new is let in.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import sys
from collections.abc import Callable
from itertools import count
from typing import Literal

import structlog

from duologue.audio import Wave
from duologue.engine.inlet import BACKLOG
from duologue.engine.messages import (
    Broken,
    Command,
    Dropped,
    Ended,
    Forgot,
    Hush,
    Join,
    Joined,
    Leave,
    Lost,
    Message,
    Pulse,
    Ready,
    Refused,
    Said,
    Seat,
    Sound,
    Spec,
    Spoke,
    TurnCommand,
    TurnEvent,
    Unpacker,
    packed,
)

SILENT_SECONDS = 20.0
"""Without a sign of life for so long the process counts as stuck."""

STOP_SECONDS = 3.0
LONGEST_DELAY = 60.0

GATHER = 0.003
"""Seconds for which sound may wait for other sessions', to go to the engine with it: each bundle wakes both processes.
It is well below the time between two ticks."""

log = structlog.get_logger("duologue.engine")


class EngineError(RuntimeError):
    """The engine cannot start; the message names the cause and the remedy."""


class Unavailable(RuntimeError):
    """There is no seat now; the message says why."""


Heard = Joined | Said | Dropped | Lost | TurnEvent


class Place:
    """One seat, seen from the server. After ``Lost`` or :meth:`leave` it is dead: nothing goes in or comes out."""

    def __init__(self, engine: EngineProcess, seat: Seat, on_event: Callable[[Heard], None]) -> None:
        self._engine = engine
        self.seat = seat
        self._on_event = on_event
        self._alive = True

    def hear(self, wave: Wave) -> None:
        """The next of what it hears, any length, at the model's rate."""
        if not self._alive:
            return
        ready = self._engine.ready
        excess = 0 if ready is None else len(wave) - max(BACKLOG.values()) * ready.frame
        if excess > 0:  # no inlet keeps that much, and minutes sent at once need not stand in everybody's way
            self._on_event(Dropped(self.seat, excess))
            wave = wave[excess:]
        self._engine.send(Sound(self.seat, wave))

    def order(self, command: TurnCommand) -> None:
        """What a model that takes turns is to do at this seat."""
        if self._alive:
            self._engine.send(command)

    def hush(self, on: bool) -> None:
        """Be silent, or free to speak."""
        if self._alive:
            self._engine.send(Hush(self.seat, on))

    def leave(self) -> None:
        """The seat is free again."""
        if self._alive:
            self._alive = False
            self._engine.left(self.seat)

    def told(self, event: Heard) -> None:
        """Something happened at this seat (called by the engine)."""
        if self._alive:
            self._alive = not isinstance(event, Lost)
            self._on_event(event)


class EngineProcess:
    """One engine, kept alive."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._places: dict[int, Place] = {}
        self._seats = count(1)
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._unsent: list[Command] = []
        self._flushed = 0.0
        """When commands were last sent, by the event loop's clock."""
        self._keeper: asyncio.Task[None] | None = None
        self.ready: Ready | None = None
        """What is served, once it is."""
        self.pulse: Pulse | None = None
        """How it does; ``None`` while it is not there."""

    @property
    def pid(self) -> int | None:
        """Of the process, while it is there."""
        return None if self._process is None else self._process.pid

    # -- seats ------------------------------------------------------------------------------------------------

    def join(
        self,
        on_event: Callable[[Heard], None],
        *,
        manner: Literal["live", "kyutai"] = "live",
        hushed: bool = False,
        voice: str = "",
        instructions: str = "",
        seed: int | None = None,
    ) -> Place:
        """A new seat; ``on_event`` is called on the event loop, never from within a call to the seat.

        Raises :class:`Unavailable` where there is none.
        """
        if self.pulse is None:
            raise Unavailable("the model is being restarted; try again in a moment")
        if len(self._places) >= self.pulse.room:
            many = self.pulse.room
            if many:
                raise Unavailable(
                    f"all {many} conversations that this machine can hold in real time are taken; try later"
                )
            raise Unavailable(
                "this machine is too slow, or too busy, to hold a conversation with this model in real time"
            )
        seat = next(self._seats)
        seed = secrets.randbits(62) if seed is None else seed
        place = Place(self, seat, on_event)
        self._places[seat] = place
        self.send(Join(seat, seed, manner, hushed, voice, instructions))
        return place

    def left(self, seat: int) -> None:
        """A seat was left (called by the place)."""
        self._places.pop(seat, None)
        self.send(Leave(seat))

    def send(self, command: Command) -> None:
        """Queue a command; those of one turn of the event loop go together, sound also with what others hear within
        :data:`GATHER`. A dead engine swallows them."""
        if self._writer is None:
            return
        loop = asyncio.get_running_loop()
        if not isinstance(command, Sound):
            loop.call_soon(self._flush)
        elif not self._unsent:
            loop.call_at(self._flushed + GATHER, self._flush)
        self._unsent.append(command)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if unsent and self._writer is not None and not self._writer.is_closing():
            self._flushed = asyncio.get_running_loop().time()
            self._writer.write(packed(unsent))

    # -- the process ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start it and wait until it serves. Raises :class:`EngineError`."""
        reader, unpacker = await self._launch()
        self._keeper = asyncio.create_task(self._keep(reader, unpacker))

    async def stop(self) -> None:
        """End it, and with it every seat."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        self._lose_all("the server is stopping")
        await self._end()

    async def _launch(self) -> tuple[asyncio.StreamReader, Unpacker]:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            for direction in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                end.setsockopt(socket.SOL_SOCKET, direction, 4 * 2**20)
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "duologue.engine", str(theirs.fileno()), pass_fds=(theirs.fileno(),)
            )
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=2**24)
        self._writer.write(packed([self._spec]))
        unpacker = Unpacker()
        try:
            while self.pulse is None:  # loading takes what it takes
                data = await reader.read(1 << 18)
                if not data:
                    code = await self._process.wait()
                    raise EngineError(f"the engine ended with code {code} while it started; its words are on stderr")
                for message in unpacker.push(data):
                    if isinstance(message, Broken):
                        raise EngineError(message.message)
                    self._on_message(message)
        except BaseException:
            await self._end()
            raise
        return reader, unpacker

    async def _end(self) -> None:
        """The process is gone afterwards."""
        self.pulse = None
        writer, self._writer = self._writer, None
        self._unsent.clear()
        if writer is not None:
            writer.close()  # it ends when its line is cut
        if self._process is None:
            return
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._process = None

    async def _keep(self, reader: asyncio.StreamReader, unpacker: Unpacker) -> None:
        """Serve, and start anew what died."""
        loop, delay = asyncio.get_running_loop(), 0.0
        while True:
            began = loop.time()
            why = await self._listen(reader, unpacker)
            if loop.time() - began > LONGEST_DELAY:
                delay = 0.0
            lost = len(self._places)
            self._lose_all(f"the model broke down ({why}); it is being restarted, begin a new conversation")
            await self._end()
            log.error("the engine died", why=why, lost=lost)
            while True:
                await asyncio.sleep(delay)
                delay = min(max(2 * delay, 1.0), LONGEST_DELAY)
                try:
                    reader, unpacker = await self._launch()
                    break
                except (EngineError, OSError) as error:
                    log.error("the engine cannot be restarted", error=str(error), again_in=delay)
            log.info("the engine is back")

    async def _listen(self, reader: asyncio.StreamReader, unpacker: Unpacker) -> str:
        """Pass on what it says until it ends or is stuck; why."""
        assert self._process is not None
        try:
            while True:
                async with asyncio.timeout(SILENT_SECONDS):
                    data = await reader.read(1 << 18)
                if not data:
                    break
                for message in unpacker.push(data):
                    self._on_message(message)
                    await asyncio.sleep(0)  # one seat's frame is on its way before the next one's is coded
        except TimeoutError:
            self._process.kill()
            return f"no sign of life for {SILENT_SECONDS:g} s"
        except ConnectionError:
            pass  # it died with words of ours unread
        return f"its process ended with code {await self._process.wait()}"

    def _on_message(self, message: Message) -> None:
        match message:
            case Ready():
                self.ready = message
            case Pulse():
                self.pulse = message
            case Lost():
                if (place := self._places.pop(message.seat, None)) is not None:
                    place.told(message)
            case Joined() | Said() | Dropped() | Spoke() | Ended() | Refused() | Forgot():
                if (place := self._places.get(message.seat)) is not None:
                    place.told(message)

    def _lose_all(self, message: str) -> None:
        places, self._places = self._places, {}
        for seat, place in places.items():
            place.told(Lost(seat, message))
