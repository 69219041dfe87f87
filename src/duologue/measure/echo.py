"""Echo: does a model, on a loudspeaker beside its microphone, interrupt itself? And does it still hear "stop"?

Everything between the session and the air is what ``duologue talk --terminal`` runs: its loudspeaker, its echo
canceller, its answer to every event. Only the air is computed (:mod:`duologue.terminal.room`) and the time is virtual:
it stands still while the model works, so times are those of the floor and the canceller, not of this machine.

Two things are measured at each level of echo. *Alone*: it tells stories and counts for minutes while nobody speaks,
each minute in another room; every reply that stops is a false stop, every pause (the first stage of a barge-in) a false
pause. *Stopped*: somebody with another voice, as loud at the microphone as the reply at the loudspeaker, says "Stop."
into a story: once into the first that is told in a room, while the canceller is still learning, and once into a later
one.
"""

from __future__ import annotations

import math
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from duologue.audio import Wave, samples, seconds
from duologue.audio.level import AUDIBLE, first_audible, last_audible, levels, loudness
from duologue.backends import load
from duologue.backends.contract import Backend
from duologue.ears.echo import EchoCanceller
from duologue.measure.figures import Spread
from duologue.measure.inprocess import in_process
from duologue.measure.lines import Line, LineError
from duologue.measure.voices import quiet_room, speak
from duologue.terminal.room import Room
from duologue.terminal.talk import Talk

LEVELS = (-6.0, 0.0)
"""dB of the echo at the microphone, relative to what is played."""

TASKS = ("Tell me a story.", "Count to thirty.")
"""What is heard in one room and in the next."""

STAY = 1.0
"""Minutes in one room; then another session begins in another, and the canceller has everything to learn anew."""

STOP = "Stop."

VOICES = ("rms", "awb", "kal16")
"""Not pocket's own, which is slt."""

WATCHED = 3.0
"""Seconds for which the loudspeaker is watched after the interruption."""

LESSON = "Count to twenty."
"""What is heard out between the first story and a later one."""

BETWEEN = 1.0
"""Seconds of quiet before the next thing is asked for."""


@dataclass(frozen=True, slots=True)
class Alone:
    """Minutes of the model's own voice, with nobody in the room."""

    minutes: float
    spoken_s: float
    """Seconds of it in which the loudspeaker was audible."""
    replies: int
    false_stops: int
    """Replies that were cancelled."""
    false_turns: int
    """Times that ``speech_started`` was announced, over a reply or after it."""
    false_pauses: int
    """Times that a reply paused for what might have been a voice."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One interruption."""

    voice: str
    after_ms: int
    """How long the story had been heard."""
    silent_ms: int
    """From the onset of the word to the story's last audible sample; :data:`WATCHED` where it was not obeyed."""
    paused_ms: int | None
    """From the onset to the loudspeaker's pause, the first stage of the barge-in; ``None``: there was none."""
    heard: str
    """What the ear made of it, where it became a turn."""
    obeyed: bool


@dataclass(frozen=True, slots=True)
class Stops:
    """Some interruptions; the percentiles are over all of them, obeyed or not."""

    trials: int
    obeyed: int
    silent: Spread | None
    each: tuple[Stop, ...]

    @classmethod
    def of(cls, stops: list[Stop]) -> Stops:
        silent = Spread.of([stop.silent_ms / 1000 for stop in stops])
        return cls(len(stops), sum(stop.obeyed for stop in stops), silent, tuple(stops))


@dataclass(frozen=True, slots=True)
class Level:
    """Both, at one level of echo."""

    echo_db: float
    alone: Alone
    first: Stops
    """Into the first story in a room."""
    later: Stops
    """Into a later one, after :data:`LESSON`."""


@dataclass(frozen=True, slots=True)
class Echo:
    """A run."""

    model: str
    canceller: bool
    levels: tuple[Level, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


async def echo(
    *,
    model: str = "pocket",
    minutes: float = 10.0,
    trials: int = 12,
    seed: int = 0,
    at: Sequence[float] = LEVELS,
    cancel: bool = True,
    told: Callable[[float], None] = lambda seconds: None,
) -> Echo:
    """``minutes`` of the model alone and ``trials`` pairs of interruptions with the echo at each of the levels ``at``.

    ``cancel=False`` leaves the canceller out. ``told`` gets the virtual seconds that have passed since it was last
    told. Raises :class:`~duologue.ears.echo.NoCanceller`, :class:`~duologue.measure.lines.LineError` where the
    model does not work, :class:`~duologue.measure.voices.VoiceError` where a voice is missing.
    """
    for voice in VOICES:
        speak(STOP, voice)  # a missing synthesizer is told before anything is measured
    backend = load(model, live=False)
    try:
        await backend.start()
    except Exception as error:
        raise LineError(f"the model {backend.card.name!r} cannot start: {error}") from error
    try:
        done = []
        for level in at:
            alone = []
            for room in range(math.ceil(minutes / STAY)):
                async with _in_room(backend, level, cancel, seed + room, told) as evening:
                    alone.append(await _alone(evening, min(STAY, minutes - room * STAY), TASKS[room % len(TASKS)]))
            moments = random.Random(seed)
            first, later = [], []
            for index in range(trials):
                voice = VOICES[index % len(VOICES)]
                async with _in_room(backend, level, cancel, seed + index, told) as evening:
                    first.append(await _stopped(evening, voice, moments.uniform(1.0, 6.0)))
                    await evening.hear_out(LESSON)
                    later.append(await _stopped(evening, voice, moments.uniform(1.0, 6.0)))
            done.append(Level(level, _together(alone), Stops.of(first), Stops.of(later)))
    finally:
        await backend.stop()
    return Echo(backend.card.name, cancel, tuple(done))


def _together(alone: list[Alone]) -> Alone:
    return Alone(
        minutes=sum(each.minutes for each in alone),
        spoken_s=round(sum(each.spoken_s for each in alone), 1),
        replies=sum(each.replies for each in alone),
        false_stops=sum(each.false_stops for each in alone),
        false_turns=sum(each.false_turns for each in alone),
        false_pauses=sum(each.false_pauses for each in alone),
    )


class _Evening:
    """A model in a room, and what came of it."""

    def __init__(self, line: Line, room: Room, canceller: EchoCanceller | None, told: Callable[[float], None]) -> None:
        self.line = line
        self.room = room
        self.events: list[tuple[int, Mapping[str, Any]]] = []
        """The server's, with the room's position when they came."""
        self._talk = Talk(line, room, canceller=canceller, told=self._note)
        self._told = told
        self._origin = 0.0

    async def begin(self) -> None:
        self._origin = self.line.now()
        await self._talk.begin()

    async def listen(self, duration: float) -> None:
        """``duration`` seconds pass."""
        end = self.room.position + samples(duration)
        while self.room.position < end:
            self.room.step()
            await self._talk.tick(self._origin + seconds(self.room.position))
        self._told(duration)

    async def ask(self, text: str) -> None:
        """In writing, so that no mishearing spoils a trial."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self.line.send({"type": "conversation.item.create", "item": item})
        await self.line.send({"type": "response.create"})

    async def calm(self) -> None:
        """Until nothing has been said, and nothing is owed, for :data:`BETWEEN` seconds."""
        quiet = 0.0
        while quiet < BETWEEN:
            before = len(self.events)
            await self.listen(0.1)
            quiet = 0.0 if self.owed or len(self.events) > before else quiet + 0.1

    async def hear_out(self, text: str) -> None:
        """``text`` is asked for, and heard to its end."""
        await self.calm()
        await self.ask(text)
        await self.calm()

    @property
    def owed(self) -> bool:
        """Whether a reply is being made."""
        return len(self.of("response.created")) > len(self.of("response.done"))

    def of(self, kind: str) -> list[tuple[int, Mapping[str, Any]]]:
        """The events of one type."""
        return [(at, event) for at, event in self.events if event["type"] == kind]

    def paused(self) -> list[int]:
        """Where a reply paused for what might be a voice."""
        return [at for at, event in self.of("duologue.floor") if event["state"] == "contested"]

    def cancelled(self) -> list[int]:
        """Where a reply was cancelled."""
        return [at for at, event in self.of("response.done") if event["response"]["status"] == "cancelled"]

    def _note(self, event: Mapping[str, Any]) -> None:
        if event["type"] == "error":
            raise LineError(f"the session refused: {event['error']['message']}")
        self.events.append((self.room.position, event))


@asynccontextmanager
async def _in_room(
    backend: Backend, level: float, cancel: bool, seed: int, told: Callable[[float], None]
) -> AsyncIterator[_Evening]:
    room = Room(echo=level, noise=quiet_room(seed), seed=seed)
    async with in_process(backend, fast=True) as line:
        evening = _Evening(line, room, EchoCanceller() if cancel else None, told)
        await evening.begin()
        yield evening


async def _alone(evening: _Evening, minutes: float, task: str) -> Alone:
    while evening.room.position < samples(60 * minutes):
        if not evening.owed:
            await evening.ask(task)
        await evening.listen(0.5)
    return Alone(
        minutes=minutes,
        spoken_s=_audible(evening.room.said),
        replies=len(evening.of("response.created")),
        false_stops=len(evening.cancelled()),
        false_turns=len(evening.of("input_audio_buffer.speech_started")),
        false_pauses=len(evening.paused()),
    )


def _audible(wave: Wave) -> float:
    return 0.02 * float((levels(wave) > AUDIBLE).sum())


async def _stopped(evening: _Evening, voice: str, after: float) -> Stop:
    room = evening.room
    await evening.ask(TASKS[0])
    asked = room.position
    while (began := first_audible(room.said, after=asked)) is None:
        if room.position > asked + samples(10.0):
            raise LineError("no story was told within 10 s of asking")
        await evening.listen(0.1)
    await evening.listen(after - seconds(room.position - began))
    spoken = speak(STOP, voice)
    wave = spoken.wave[spoken.start :]
    onset = room.say(wave * 10 ** ((loudness(room.said[began:]) - loudness(wave)) / 20))
    await evening.listen(WATCHED)
    cancelled = next((at for at in evening.cancelled() if at >= onset), None)
    paused = next((at for at in evening.paused() if at >= onset), None)
    transcripts = evening.of("conversation.item.input_audio_transcription.completed")
    silent = WATCHED if cancelled is None else seconds(last_audible(room.said[onset:cancelled]) or 0)
    return Stop(
        voice=voice,
        after_ms=round(1000 * seconds(onset - began)),
        silent_ms=round(1000 * silent),
        paused_ms=None if paused is None else round(1000 * seconds(paused - onset)),
        heard=" ".join(event["transcript"].strip() for at, event in transcripts if at >= onset),
        obeyed=cancelled is not None,
    )
