"""First-response latency: from the end of the last spoken word to the first audible sample of the answer.

Measured from outside, as a person would: a client speaks in real time over the WebSocket, plays what arrives
in real time, and the two moments are positions on its own timeline. The end of the last word is the
synthesizer's own (flite) or the last audible sample (espeak-ng).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from duologue.measure.caller import Caller
from duologue.measure.exchange import exchange
from duologue.measure.figures import Spread
from duologue.measure.lines import dial
from duologue.measure.voices import VOICES, Spoken, quiet_room, speak

QUESTIONS = (
    "What time is it?",
    "What day is it today?",
    "What is seven times eight?",
    "How many feet are in a mile?",
    "What is twenty percent of fifty?",
    "Who are you?",
    "How are you?",
    "Flip a coin.",
    "Roll a dice.",
    "Spell the word apple.",
    "What is nine plus fourteen?",
    "What can you do?",
    "What is the date today?",
    "Tell me a joke.",
    "How many inches are in a foot?",
    "What is one hundred divided by four?",
)
"""Short answers, so that a run is short; every skill that answers at once has one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One question put."""

    voice: str
    question: str
    heard: str
    said: str
    latency_ms: int | None
    """``None``: no answer was heard. Negative: it cut in, and nothing was heard after the last word."""
    cut_in: bool
    """Whether a reply was heard before the last word ended."""


@dataclass(frozen=True, slots=True)
class Latency:
    """A run. Percentiles are over the answers that began after the last word."""

    model: str
    sessions: int
    asked: int
    unanswered: int
    cut_in: int
    first_response: Spread | None
    voices: dict[str, Spread | None]
    answers: tuple[Answer, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


async def latency(
    url: str,
    *,
    sessions: int = 1,
    questions: int = 48,
    voices: Sequence[str] = VOICES,
    model: str | None = None,
    token: str | None = None,
    told: Callable[[Answer], None] = lambda answer: None,
) -> Latency:
    """Puts ``questions`` spoken questions, shared out over ``sessions`` callers who talk at the same time.

    Raises :class:`~duologue.measure.lines.LineError` where the server fails,
    :class:`~duologue.measure.voices.VoiceError` where a voice is missing.
    """
    for voice in voices:
        speak(QUESTIONS[0], voice)  # a missing synthesizer is told before anything is measured
    names: list[str] = []
    each = -(-questions // sessions)

    async def call(first: int) -> list[Answer]:
        async with dial(url, model=model, token=token) as line:
            caller = Caller(line, room=quiet_room(first))
            await caller.join()
            names.append(caller.model)
            await caller.listen(0.3 + 0.7 * (first / each % 4))  # callers do not start in step
            answers = []
            for spoken in _questions(voices, first, each):
                answers.append(await _ask(caller, spoken))
                told(answers[-1])
            return answers

    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(call(index * each)) for index in range(sessions)]
    return _sum_up(names[0], sessions, [answer for done in calls for answer in done.result()])


def _questions(voices: Sequence[str], first: int, many: int) -> Iterator[Spoken]:
    """Every voice puts every question before any pair comes again."""
    for index in range(first, first + many):
        lap = index // len(QUESTIONS)
        yield speak(QUESTIONS[index % len(QUESTIONS)], voices[(index + lap) % len(voices)])


async def _ask(caller: Caller, spoken: Spoken) -> Answer:
    turn = await exchange(caller, spoken.wave, spoken.end)
    milliseconds = None if turn.latency is None else round(1000 * turn.latency)
    return Answer(spoken.voice, spoken.text, turn.heard, turn.said, milliseconds, turn.cut_in)


def _sum_up(model: str, sessions: int, answers: list[Answer]) -> Latency:
    def spread(some: list[Answer]) -> Spread | None:
        return Spread.of([a.latency_ms / 1000 for a in some if a.latency_ms is not None and a.latency_ms >= 0])

    return Latency(
        model=model,
        sessions=sessions,
        asked=len(answers),
        unanswered=sum(answer.latency_ms is None for answer in answers),
        cut_in=sum(answer.cut_in for answer in answers),
        first_response=spread(answers),
        voices={
            voice: spread([answer for answer in answers if answer.voice == voice])
            for voice in dict.fromkeys(answer.voice for answer in answers)
        },
        answers=tuple(answers),
    )
