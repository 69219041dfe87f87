"""The engine's process: load, measure, then tick until the server hangs up.

    python -m duologue.engine FD

``FD`` is the process's end of a socket pair. The first message says what to load. A thread reads, so that sound which
arrives during a step waits here and not in the server; the main thread ticks.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from duologue import logs
from duologue.engine.messages import Broken, Command, Message, Pulse, Ready, Spec, Unpacker, packed

if TYPE_CHECKING:
    from duologue.engine.loading import Loaded

PULSE = 1.0
"""Seconds between two signs of life."""

Arrivals: TypeAlias = "SimpleQueue[tuple[float, list[Command]]]"


class Line:
    """The engine's end of the line."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._unpacker = Unpacker()

    def send(self, messages: Sequence[Message]) -> None:
        """Waits where the server does not read. Without a server the process ends: it has nothing left to do."""
        try:
            self._end.sendall(packed(messages))
        except OSError:
            os._exit(0)

    def receive(self) -> list[Message]:
        """The next messages; none once the server hung up."""
        try:
            while data := self._end.recv(1 << 18):
                if messages := list(self._unpacker.push(data)):
                    return messages
        except ConnectionError:
            return []
        return []


def main(descriptor: int) -> None:
    """The process at its end of the line."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # these are for the server, which hangs up when it is done
    logs.configure(os.environ.get("DUOLOGUE_LOG_LEVEL", "info"))
    line = Line(socket.socket(fileno=descriptor))
    for message in line.receive():
        assert isinstance(message, Spec), "the first message says what to load"
        serve(line, message)


class Loop(Protocol):
    """What a gait's engine offers the process: :class:`duologue.engine.ticks.Engine`,
    :class:`duologue.engine.turns.TurnEngine`."""

    def take(self, command: Command, at: float) -> None:
        """Carry out a command that arrived ``at`` that time."""

    def due(self) -> float:
        """When there is something to do for it."""

    def tick(self) -> None:
        """Do it."""

    def hand_out(self) -> None:
        """Send the events that wait."""

    def pulse(self) -> Pulse:
        """How it does."""


def serve(line: Line, spec: Spec) -> None:
    """Load what ``spec`` says, and tick."""
    try:
        engine, ready = prepare(line, spec)
    except Exception as error:
        from duologue.engine.fit import TooLarge
        from duologue.engine.loading import CannotLoad

        if not isinstance(error, (CannotLoad, TooLarge)):
            raise
        line.send([Broken(str(error))])
        return
    line.send([ready, engine.pulse()])
    arrivals: Arrivals = SimpleQueue()
    threading.Thread(target=read, args=(line, arrivals), daemon=True).start()
    pulse_at = time.monotonic() + PULSE
    while True:
        due = min(engine.due(), pulse_at)
        if take_until(engine, arrivals, due) and due < pulse_at:
            engine.tick()
        if time.monotonic() >= pulse_at:
            line.send([engine.pulse()])
            pulse_at = time.monotonic() + PULSE


def prepare(line: Line, spec: Spec) -> tuple[Loop, Ready]:
    """The engine, measured, and what there is to say about it."""
    import torch

    from duologue.engine.fit import check_rows, state_bytes
    from duologue.engine.loading import load
    from duologue.models.contract import Prompted

    if spec.threads:
        torch.set_num_threads(spec.threads)
    loaded = load(spec.model, device=spec.device, dtype=spec.dtype, quantize=spec.quantize, context=spec.context)
    check_rows(state_bytes(loaded.state(1)), spec.rows, loaded.device)
    ready = Ready(
        title=loaded.title,
        frame=0 if loaded.frames is None else loaded.frames.frame,
        facts=None if loaded.turns is None else replace(loaded.turns.facts, context=loaded.context),
        languages=loaded.languages,
        voices=loaded.voices,
        prompted=isinstance(loaded.model, Prompted),
        licence=loaded.licence,
        device=str(loaded.device),
        dtype=loaded.dtype,
    )
    return _loop(line, spec, loaded), ready


def _loop(line: Line, spec: Spec, loaded: Loaded) -> Loop:
    """The engine of the model's gait."""
    if loaded.turns is not None:
        from duologue.engine.turns import TurnEngine

        turns = TurnEngine(loaded.turns, spec.rows, line.send, context=loaded.context, device=loaded.device)
        turns.measure()
        return turns
    from duologue.engine.stepping import recorder
    from duologue.engine.ticks import Engine

    assert loaded.frames is not None
    how = recorder(loaded.device, spec.graphs)
    frames = Engine(loaded.frames, spec.rows, line.send, device=loaded.device, recorder=how)
    frames.measure(loaded.context)
    return frames


def take_until(engine: Loop, arrivals: Arrivals, due: float) -> bool:
    """Carry out what arrives, until the clock says ``due``; what has arrived by then is carried out in any case.

    Returns whether ``due`` has come; if not, something that arrived is to be seen to before.
    """
    while True:
        wait = due - time.monotonic()
        try:
            at, messages = arrivals.get(timeout=wait) if wait > 0 else arrivals.get_nowait()
        except Empty:
            if due <= time.monotonic():
                return True
            continue
        for message in messages:
            engine.take(message, at)
        engine.hand_out()
        if engine.due() < due:
            return False


def read(line: Line, arrivals: Arrivals) -> None:
    """The reading thread."""
    while messages := line.receive():
        arrivals.put((time.monotonic(), cast("list[Command]", messages)))
    os._exit(0)  # the server hung up


if __name__ == "__main__":
    main(int(sys.argv[1]))
