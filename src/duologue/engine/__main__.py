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
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from duologue import logs
from duologue.engine.messages import Broken, Command, Message, Ready, Spec, Unpacker, packed

if TYPE_CHECKING:
    from duologue.engine.ticks import Engine

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
        due = pulse_at if engine.empty else min(engine.due(), pulse_at)
        take_until(engine, arrivals, due)
        if not engine.empty and due < pulse_at:
            engine.tick()
        if time.monotonic() >= pulse_at:
            line.send([engine.pulse()])
            pulse_at = time.monotonic() + PULSE


def prepare(line: Line, spec: Spec) -> tuple[Engine[Any], Ready]:
    """The engine, measured, and what there is to say about it."""
    import torch

    from duologue.engine.fit import check_rows, state_bytes
    from duologue.engine.loading import load
    from duologue.engine.ticks import Engine
    from duologue.models.contract import Prompted

    if spec.threads:
        torch.set_num_threads(spec.threads)
    loaded = load(spec.model, device=spec.device, dtype=spec.dtype, quantize=spec.quantize)
    model = loaded.model
    check_rows(state_bytes(model.state(1)), spec.rows, loaded.device)
    engine = Engine(model, spec.rows, line.send, device=loaded.device)
    engine.measure(loaded.context)
    ready = Ready(
        title=loaded.title,
        rate=model.rate,
        frame=model.frame,
        languages=loaded.languages,
        voices=loaded.voices,
        prompted=isinstance(model, Prompted),
        licence=loaded.licence,
        device=str(loaded.device),
        dtype=loaded.dtype,
    )
    return engine, ready


def take_until(engine: Engine[Any], arrivals: Arrivals, due: float) -> None:
    """Carry out what arrives, until the clock says ``due``; what has arrived by then is carried out in any case."""
    while True:
        wait = due - time.monotonic()
        try:
            at, messages = arrivals.get(timeout=wait) if wait > 0 else arrivals.get_nowait()
        except Empty:
            if due <= time.monotonic():
                return
            continue
        was_empty = engine.empty
        for message in messages:
            engine.take(message, at)
        engine.hand_out()
        if was_empty and not engine.empty:
            return  # the clock begins to tick


def read(line: Line, arrivals: Arrivals) -> None:
    """The reading thread."""
    while messages := line.receive():
        arrivals.put((time.monotonic(), cast("list[Command]", messages)))
    os._exit(0)  # the server hung up


if __name__ == "__main__":
    main(int(sys.argv[1]))
