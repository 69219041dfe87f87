"""pocket as a whole: flite speaks to the real ear, the real brain answers, a real mouth speaks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest

from duologue.audio import RATE, Wave, samples
from duologue.audio.level import first_audible, loudness
from duologue.backends.contract import (
    Answers,
    Ask,
    Cancel,
    Commit,
    Configure,
    Delta,
    End,
    EndTurn,
    Event,
    Failed,
    Hear,
    Hypothesis,
    Link,
    Message,
    Respond,
    Wants,
)
from duologue.backends.pocket.backend import PocketBackend
from duologue.measure.voices import speak

CHUNK = samples(0.02)


@dataclass
class Conversation:
    """One session of a running pocket."""

    backend: PocketBackend
    events: list[tuple[float, Event]] = field(default_factory=list)
    link: Link = field(init=False)
    turn: int = 0

    def __post_init__(self) -> None:
        self.link = self.backend.open(lambda event: self.events.append((time.perf_counter(), event)))

    def of_epoch(self, epoch: int) -> list[Event]:
        return [event for _, event in self.events if getattr(event, "epoch", None) == epoch]

    def text(self, epoch: int) -> str:
        return "".join(event.text for event in self.of_epoch(epoch) if isinstance(event, Delta))

    def wave(self, epoch: int) -> Wave:
        waves = [e.wave for e in self.of_epoch(epoch) if isinstance(e, Delta) and e.wave is not None]
        return np.concatenate([np.zeros(0, np.float32), *waves])

    def first(self, kind: type[Event], epoch: int) -> float:
        return next(at for at, event in self.events if isinstance(event, kind) and event.epoch == epoch)

    async def until_settled(self) -> None:
        async with asyncio.timeout(20):
            await asyncio.sleep(0)
            while self.link.busy:  # noqa: ASYNC110 (`busy` is what a driver has)
                await asyncio.sleep(0.002)

    def hear(self, text: str, voice: str = "slt") -> int:
        """A turn as ``voice`` speaks it, 120 ms of silence behind; not ended. Returns its number."""
        self.turn += 1
        spoken = speak(text, voice)
        heard = spoken.wave[max(0, spoken.start - samples(0.2)) : spoken.end]
        heard = np.concatenate([heard, np.zeros(samples(0.12), np.float32)])
        for start in range(0, len(heard), CHUNK):
            self.link.send(Hear(self.turn, start, heard[start : start + CHUNK]))
        return self.turn

    async def ask(self, text: str, voice: str = "slt") -> str:
        """Speak a turn and have it answered; returns what was said."""
        turn = self.hear(text, voice)
        respond = Respond(turn, Ask(), (), turn=turn, tentative=True, since_exchange=1.0)
        self.link.send(respond)
        self.link.send(EndTurn(turn))
        self.link.send(Commit(turn))
        await self.until_settled()
        return self.text(turn)


@pytest.fixture
async def conversation() -> AsyncIterator[Conversation]:
    backend = PocketBackend(ahead_seconds=None)
    await backend.start()
    yield Conversation(backend)
    await backend.stop()


@pytest.mark.parametrize("voice", ["slt", "rms", "kal16"])
async def test_a_spoken_question_is_answered_aloud(conversation: Conversation, voice: str) -> None:
    conversation.hear("what time is it", voice)
    await conversation.until_settled()
    asked = time.perf_counter()
    conversation.link.send(Respond(1, Ask(), (), turn=1, tentative=True, since_exchange=1.0))
    await conversation.until_settled()
    conversation.link.send(EndTurn(1))
    conversation.link.send(Commit(1))
    await conversation.until_settled()

    assert isinstance(conversation.of_epoch(1)[0], Answers)
    assert isinstance(conversation.of_epoch(1)[-1], End)
    assert "past" in conversation.text(1) or "o'clock" in conversation.text(1) or "to" in conversation.text(1)
    finals = [e for _, e in conversation.events if isinstance(e, Hypothesis) and e.final]
    assert [final.text for final in finals] == ["what time is it"]
    assert finals[0].complete
    wave = conversation.wave(1)
    assert len(wave) > RATE
    assert -22 < loudness(wave) < -18
    assert (first_audible(wave) or 0) < samples(0.01)
    latency = conversation.first(Delta, 1) - asked
    print(f"{voice}: {latency * 1000:.0f} ms from Respond to the first sound")
    assert latency < 1.0  # a busy machine included; docs/benchmarks.md has the real figure


async def test_words_come_while_the_person_speaks(conversation: Conversation) -> None:
    conversation.hear("what time is it")
    await conversation.until_settled()
    partial = [e for _, e in conversation.events if isinstance(e, Hypothesis)]
    assert len(partial) > 5
    assert any(0 < len(h.text.split()) < 4 for h in partial)
    assert all(a.until <= b.until for a, b in pairwise(partial))
    assert partial[-1].complete


async def test_a_timer_is_set_only_by_a_commit_and_speaks_first(conversation: Conversation) -> None:
    turn = conversation.hear("set a timer for one second")
    conversation.link.send(Respond(9, Ask(), (), turn=turn, tentative=True, since_exchange=1.0))
    await conversation.until_settled()
    conversation.link.send(Cancel(9))
    await asyncio.sleep(1.3)
    assert not [e for _, e in conversation.events if isinstance(e, Wants)]

    assert "second" in await conversation.ask("set a timer for one second")
    await asyncio.sleep(1.3)
    wants = [e for _, e in conversation.events if isinstance(e, Wants)]
    assert len(wants) == 1
    conversation.link.send(Respond(30, Ask(), (), token=wants[0].token))
    await conversation.until_settled()
    assert "timer" in conversation.text(30).lower() or "up" in conversation.text(30).lower()
    assert len(conversation.wave(30)) > RATE // 4


async def test_what_is_interrupted_is_remembered_as_far_as_it_was_heard(conversation: Conversation) -> None:
    story = await conversation.ask("tell me a story")
    assert len(story) > 200
    conversation.link.send(Cancel(conversation.turn, heard_chars=100))
    rest = await conversation.ask("go on")
    assert story.endswith(rest)
    assert 100 < len(story) - len(rest) + 80 < 260


async def test_written_questions_are_answered_in_writing(conversation: Conversation) -> None:
    history = (Message("user", "What is twelve times twelve?"),)
    conversation.link.send(Respond(1, Ask(speech=False), history, obliged=True))
    await conversation.until_settled()
    assert "hundred" in conversation.text(1)
    assert len(conversation.wave(1)) == 0


async def test_a_greeting_asked_for_in_the_instructions(conversation: Conversation) -> None:
    conversation.link.send(Configure("Greet the user by saying 'Welcome aboard.'", "", 1.0))
    await asyncio.sleep(0.5)
    wants = [e for _, e in conversation.events if isinstance(e, Wants)]
    assert len(wants) == 1
    conversation.link.send(Respond(1, Ask(), (), token=wants[0].token))
    await conversation.until_settled()
    assert conversation.text(1) == "Welcome aboard."


async def test_sessions_do_not_hear_each_other(conversation: Conversation) -> None:
    others = [Conversation(conversation.backend) for _ in range(4)]
    questions = ["what time is it", "what is five plus seven", "tell me a joke", "flip a coin", "spell table"]
    everybody = [conversation, *others]
    await asyncio.gather(*(who.ask(question) for who, question in zip(everybody, questions, strict=True)))
    heard = [next(e.text for _, e in who.events if isinstance(e, Answers)) for who in everybody]
    for text, question in zip(heard, questions, strict=True):
        common = {other: len({*text.split()} & {*other.split()}) for other in questions}
        assert max(common, key=lambda other: common[other]) == question, heard
    assert not [e for who in everybody for _, e in who.events if isinstance(e, Failed)]
