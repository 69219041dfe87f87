"""An ear, a mind and a mouth made for tests: what they do is written in what they are given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

import numpy as np

from duologue.audio import RATE, Wave
from duologue.backends.contract import Ask, HistoryItem, Strictness
from duologue.backends.pocket.brain import Judgement, Plan, Utterance, Want
from duologue.backends.pocket.brain.scene import Clauses
from duologue.backends.pocket.mouth import MouthError, Speech
from duologue.backends.pocket.parts import Words

HOP = RATE // 50


@dataclass(frozen=True)
class Word:
    """What :class:`ScriptedEar` says of an utterance."""

    text: str
    until: int
    final: bool = False
    confidence: float | None = 0.9
    open_text: str | None = None
    interjection: str | None = None
    clarity: float | None = None


class ScriptedListening:
    """Hears one word of its script per 20 ms of sound, when it is let."""

    def __init__(self, ear: ScriptedEar, on_words: Callable[[Words], None], on_lost: Callable[[str], None]) -> None:
        self._ear = ear
        self._on_words = on_words
        self._on_lost = on_lost
        self.pushed = 0
        self.until = 0
        self.ended = False
        self.finished = False
        self.dropped = False

    def push(self, wave: Wave) -> None:
        assert not self.finished
        assert not self.dropped
        self.pushed += len(wave)
        self._later()

    def finish(self) -> None:
        assert not self.finished
        self.finished = True
        self._later()

    def drop(self) -> None:
        self.dropped = True

    @property
    def pending(self) -> bool:
        return not self.ended and (self.until < self.pushed or self.finished)

    def lose(self, message: str) -> None:
        self.ended = True
        self._on_lost(message)

    def _later(self) -> None:
        asyncio.get_running_loop().call_later(self._ear.delay, self.account)

    def account(self) -> None:
        if self.dropped or self.ended:
            return
        self.until = self.pushed
        self.ended = self.finished
        said = self._ear.script[: self.until // HOP]
        self._on_words(Word(" ".join(said), self.until, final=self.finished))


class ScriptedEar:
    def __init__(self, script: str = "what time is it", delay: float = 0.0) -> None:
        self.script = script.split()
        self.delay = delay
        self.running = False
        self.opened: list[ScriptedListening] = []

    async def start(self) -> None:
        self.running = True

    async def stop(self) -> None:
        self.running = False

    def session(self) -> ScriptedEar:
        return self

    def open(self, on_words: Callable[[Words], None], on_lost: Callable[[str], None]) -> ScriptedListening:
        self.opened.append(ScriptedListening(self, on_words, on_lost))
        return self.opened[-1]


@dataclass
class ScriptedMind:
    """Answers anything with ``reply``; every commit becomes an entry of ``done``, every wish one of ``wished``."""

    reply: Sequence[str] = ("It is ten past four.", "Time for tea.")
    silent: bool = False
    call: tuple[str, str] | None = None
    done: list[str] = field(default_factory=list)
    cut: list[tuple[str, int]] = field(default_factory=list)
    planned: list[tuple[Utterance | None, float | None, bool]] = field(default_factory=list)
    wished: list[Want] = field(default_factory=list)
    instructions: str = ""
    broken: bool = False
    _names: count[int] = field(default_factory=count)

    def configure(self, instructions: str, strictness: Strictness) -> None:
        self.instructions = instructions

    def judge(self, text: str) -> Judgement:
        if self.broken:
            raise ZeroDivisionError("a judgement divides by zero")
        return Judgement(text.endswith("it") or None, text == "yeah")

    def plan(
        self,
        utterance: Utterance | None,
        *,
        ask: Ask,
        history: Sequence[HistoryItem],
        since_exchange: float | None,
        obliged: bool,
    ) -> Plan:
        if self.broken:
            raise ZeroDivisionError("a skill divides by zero")
        self.planned.append((utterance, since_exchange, obliged))
        return self._plan("answer")

    async def look(self, history: Sequence[HistoryItem]) -> None:
        await asyncio.sleep(0)

    def initiative(self, token: str, *, ask: Ask, history: Sequence[HistoryItem]) -> Plan:
        return self._plan(f"initiative {token}")

    def idle(self, *, ask: Ask, history: Sequence[HistoryItem]) -> Plan:
        return self._plan("idle")

    def commit(self, plan: Plan) -> None:
        assert plan.skill not in self.done, "committed twice"
        self.done.append(plan.skill)
        if plan.skill.startswith("initiative "):
            token = plan.skill.split()[1]
            self.wished = [want for want in self.wished if want.token != token]

    def heard(self, plan: Plan, chars: int) -> None:
        assert plan.skill in self.done, "cut without having been committed"
        self.cut.append((plan.skill, chars))

    def wants(self) -> Sequence[Want]:
        return tuple(self.wished)

    def wish(self, token: str, due: datetime | None = None, within: float = 0.0) -> None:
        at = due if due is not None else datetime.now() + timedelta(seconds=within)
        self.wished = [*(want for want in self.wished if want.token != token), Want(token, "timer", at)]

    def _plan(self, what: str) -> Plan:
        reply = self.reply if not self.silent else ()
        return Plan(
            clauses=Clauses(lambda: iter(reply)),
            skill=f"{what} {next(self._names)}",
            call=self.call,
            silent=self.silent,
            effects=(),
        )


class ScriptedMouth:
    """Says 20 ms a character; breaks at texts that contain "broken"."""

    name = "scripted"
    voices = ("one", "two")

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.said: list[tuple[str, str, float]] = []
        self.closed = False

    def voice(self, asked: str) -> str:
        return asked if asked in self.voices else self.voices[0]

    async def say(self, text: str, *, voice: str, speed: float) -> Speech:
        await asyncio.sleep(self.delay)
        if "broken" in text:
            raise MouthError("the synthesizer broke off; install another")
        self.said.append((text, voice, speed))
        ends = [at for at in range(1, len(text) + 1) if at == len(text) or text[at] == " "]
        wave = np.full(HOP * len(text), 0.1, np.float32)
        return Speech(wave, tuple((HOP * at, at) for at in ends))

    async def close(self) -> None:
        self.closed = True
