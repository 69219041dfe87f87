"""A session under test: a scripted backend, a virtual clock, and audio that Silero takes for voice."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from duologue.audio import RATE, Wave, samples
from duologue.audio.formats import encode_pcm16
from duologue.backends.contract import (
    Answers,
    Call,
    Cancel,
    Card,
    Command,
    Delta,
    DropTurn,
    End,
    EndTurn,
    Event,
    Hear,
    Hypothesis,
    Respond,
)
from duologue.measure.voices import speak
from duologue.session import Session, SessionOptions

CARD = Card("scripted", "A script", ("en",), ("audio", "text"), ("audio", "text"), ("only",), True, "Apache-2.0")

HOP = samples(0.02)


def voice(text: str) -> Wave:
    """Somebody saying ``text``, without the silence around it."""
    spoken = speak(text, "slt")
    return spoken.wave[spoken.start : spoken.end]


def silence(seconds: float) -> Wave:
    return np.zeros(samples(seconds), np.float32)


@dataclass
class ScriptedBackend:
    """Hears the words it is told to hear, and answers as it is told to."""

    words: str = "hello there"
    complete: bool | None = True
    backchannel: bool | None = False
    reply: str = "hi yourself"
    seconds: float = 2.0
    silent: bool = False
    call: tuple[str, str] | None = None
    deaf: bool = False
    """Sends no hypotheses."""
    held: bool = False
    """Sends no reply events until released."""
    commands: list[Command] = field(default_factory=list)
    emit: Callable[[Event], None] = lambda event: None
    card: Card = CARD
    busy: bool = False
    alive: set[int] = field(default_factory=set)

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None

    def open(self, emit: Callable[[Event], None]) -> ScriptedBackend:
        self.emit = emit
        return self

    def send(self, command: Command) -> None:
        self.commands.append(command)
        match command:
            case Hear() if not self.deaf:
                self._queue.append(self._hypothesis(command))
            case EndTurn():
                self._queue.append(Hypothesis(command.turn, self.words, 10**12, final=True))
            case Respond() if not self.held:
                self.alive.add(command.epoch)
                self._queue += self.answer(command)
            case Cancel():
                self.alive.discard(command.epoch)

    def _hypothesis(self, command: Hear) -> Hypothesis:
        until = command.start + len(command.wave)
        return Hypothesis(command.turn, self.words, until, False, self.complete, self.backchannel)

    def answer(self, command: Respond) -> list[Event]:
        events: list[Event] = []
        if command.turn is not None:
            events.append(Answers(command.epoch, self.words))
        if self.silent and not command.obliged:
            return [*events, End(command.epoch, "silent")]
        if self.call is not None and command.ask.tools:
            return [*events, Call(command.epoch, *self.call), End(command.epoch)]
        wave = 0.2 * np.sin(np.arange(samples(self.seconds)) * 2 * np.pi * 200 / RATE).astype(np.float32)
        events.append(Delta(command.epoch, self.reply, wave if command.ask.speech else None))
        return [*events, End(command.epoch)]

    _queue: list[Event] = field(default_factory=list)

    def deliver(self) -> None:
        """Events reach the session as from an event loop: never inside ``send``."""
        while self._queue:
            self.emit(self._queue.pop(0))

    def sent(self, kind: type) -> list[Any]:
        return [command for command in self.commands if isinstance(command, kind)]

    @property
    def dropped(self) -> list[int]:
        return [command.turn for command in self.sent(DropTurn)]


class Conversation:
    """Drives a session on a virtual clock, 20 ms at a time, and keeps what came out and when."""

    def __init__(
        self,
        backend: ScriptedBackend | None = None,
        options: SessionOptions | None = None,
        steps: int | None = None,
        **settings: Any,
    ):
        self.now = 100.0
        self.backend = backend or ScriptedBackend()
        self.session = Session(self.backend, clock=lambda: self.now, options=options, steps=steps)
        self.events: list[tuple[float, dict[str, Any]]] = []
        events = ["floor", "pause", "partial", "ignored", "latency"]
        self.send("session.update", session={"type": "realtime", "duologue": {"events": events}, **settings})

    def send(self, type: str, **fields: Any) -> None:
        self.session.receive(json.dumps({"type": type, **fields}))
        self.collect()

    def collect(self) -> None:
        self.backend.deliver()
        self.session.poll()
        self.events += [(self.now, event) for event in self.session.outgoing()]

    def hear(self, wave: Wave) -> None:
        """Real-time audio, then whatever it leads to."""
        for start in range(0, len(wave), HOP):
            hop = wave[start : start + HOP]
            self.now += len(hop) / RATE
            self.send("input_audio_buffer.append", audio=base64.b64encode(encode_pcm16(hop)).decode())

    def wait(self, seconds: float) -> None:
        """Time passes and the client sends nothing."""
        until = self.now + seconds
        while self.now < until:
            self.now += 0.02
            self.collect()

    def types(self) -> list[str]:
        return [event["type"] for _, event in self.events]

    def of(self, type: str) -> list[dict[str, Any]]:
        return [event for _, event in self.events if event["type"] == type]

    def when(self, type: str) -> list[float]:
        return [at for at, event in self.events if event["type"] == type]

    def floor(self) -> list[str]:
        return [event["state"] for event in self.of("duologue.floor")]

    def said(self) -> float:
        """Seconds of audio sent."""
        deltas = self.of("response.output_audio.delta")
        return sum(len(base64.b64decode(delta["delta"])) for delta in deltas) / 2 / RATE
