"""Barge-in: from the onset of the interrupting voice to the moment the listener hears the reply no more.

A story is asked for in writing (so that no mishearing spoils a trial) and interrupted by voice at a random
moment. The listener has a stock client: it plays in real
time what arrives and empties its queue on ``speech_started``. The time counts from where the interrupter's
first word begins to the last audible sample of the story that was played; where the story happened to be in
a pause of its own and never resumed, that is 0. A story that is not cancelled counts with all the time it was
heard on, up to :data:`WATCHED` seconds, so that disobedience cannot improve the figure.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from duologue.audio import samples, seconds
from duologue.audio.level import first_audible, last_audible
from duologue.measure.caller import Caller
from duologue.measure.figures import Spread
from duologue.measure.lines import LineError, dial
from duologue.measure.voices import VOICES, quiet_room, speak

STORY = "Tell me a story."

INTERRUPTERS = ("Stop.", "No, wait!", "What time is it?")


WATCHED = 3.0
"""Seconds for which the listener is watched after the interruption."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One interruption."""

    voice: str
    words: str
    after_ms: int
    """How long the story had been heard."""
    silent_ms: int
    """From the interrupter's onset to the story's last audible sample."""
    obeyed: bool
    """Whether the server cancelled the story."""


@dataclass(frozen=True, slots=True)
class BargeIn:
    """A run; the percentiles are over all trials, obeyed or not."""

    model: str
    trials: int
    obeyed: int
    silent: Spread | None
    words: dict[str, Spread | None]
    each: tuple[Trial, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


async def barge_in(
    url: str,
    *,
    trials: int = 24,
    seed: int = 0,
    voices: Sequence[str] = VOICES,
    model: str | None = None,
    token: str | None = None,
    told: Callable[[Trial], None] = lambda trial: None,
) -> BargeIn:
    """Interrupts ``trials`` stories, each in a conversation of its own.

    Raises :class:`~duologue.measure.lines.LineError` where the server fails or tells no story,
    :class:`~duologue.measure.voices.VoiceError` where a voice is missing.
    """
    for voice in voices:
        speak(INTERRUPTERS[0], voice)  # a missing synthesizer is told before anything is measured
    moments = random.Random(seed)
    done: list[Trial] = []
    name = ""
    for index in range(trials):
        voice = voices[index // len(INTERRUPTERS) % len(voices)]
        async with dial(url, model=model, token=token) as line:
            caller = Caller(line, room=quiet_room(index))
            await caller.join()
            name = caller.model
            words = INTERRUPTERS[index % len(INTERRUPTERS)]
            done.append(await interruption(caller, voice, words, after=moments.uniform(0.5, 5.0)))
            told(done[-1])
    return BargeIn(
        model=name,
        trials=len(done),
        obeyed=sum(trial.obeyed for trial in done),
        silent=_spread(done),
        words={words: _spread([trial for trial in done if trial.words == words]) for words in INTERRUPTERS},
        each=tuple(done),
    )


async def interruption(caller: Caller, voice: str, words: str, *, after: float) -> Trial:
    """Asks for a story, lets it run for ``after`` seconds and speaks ``words`` over it."""
    story, began = await story_told(caller)
    while caller.position < began + samples(after):
        await caller.tick()
    interrupter = speak(words, voice)
    onset = caller.say(interrupter.wave[interrupter.start :])
    while caller.position < onset + samples(WATCHED):
        await caller.tick()
    heard = last_audible(caller.playback.timeline(caller.position, response=story)[onset:])
    return Trial(
        voice=voice,
        words=words,
        after_ms=round(1000 * seconds(onset - began)),
        silent_ms=round(1000 * seconds(heard or 0)),
        obeyed=caller.replies[story].status == "cancelled",
    )


async def story_told(caller: Caller) -> tuple[str, int]:
    """Asks for a story; the response that tells it, and where it began to be heard.

    Raises :class:`LineError` where none begins within 10 s.
    """
    await caller.write(STORY)
    asked = caller.position
    while caller.position < asked + samples(10.0):
        await caller.tick()
        for response in caller.replies:
            at = first_audible(caller.playback.timeline(caller.position, response=response))
            if at is not None:
                return response, at
    raise LineError("; ".join(["no story was told within 10 s of asking", *caller.errors]))


def _spread(trials: list[Trial]) -> Spread | None:
    return Spread.of([trial.silent_ms / 1000 for trial in trials])
