"""One exchange: the caller says something, and it is awaited whether and how it is answered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from duologue.audio import Wave, samples, seconds
from duologue.audio.level import first_audible, last_audible
from duologue.measure.caller import Caller, Reply
from duologue.measure.lines import LineError

_UNHEARD = samples(3.0)
"""After so much silence, speech that was not even announced was not heard as speech."""

_OWED = samples(15.0)
"""After so much silence an answer that is owed will not come: eagerness ``low`` waits 8 s at most."""

_LINGER = samples(0.4)
"""Calm must last so long to count: late transcripts, a second part of the turn."""


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """What came of it. Positions are on the caller's timeline."""

    start: int
    """Where the caller's wave began."""
    end: int
    """Where its voice ended."""
    heard: str
    said: str
    responses: tuple[str, ...]
    audio: Wave
    """What the listener heard of the replies, from the first sample to the last."""
    answer: int | None
    """The answer's first audible sample as heard: of the first reply that began after ``end`` or, where
    there is none, of the last, which cut in; ``None`` where nothing was heard."""
    cut_in: bool
    """Whether a reply was heard before the voice had ended."""
    problem: str
    """What broke, in the server's words; empty where nothing did."""

    @property
    def answered(self) -> bool:
        """Whether anything was said, in speech or in writing."""
        return bool(len(self.audio) or self.said)

    @property
    def latency(self) -> float | None:
        """Seconds from the end of the voice to the answer's first audible sample; ``None`` without one."""
        return None if self.answer is None else seconds(self.answer - self.end)


async def exchange(caller: Caller, wave: Wave, voice_end: int | None = None) -> Exchange:
    """Says ``wave`` and returns once the answer was heard out, or it is clear that none comes.

    ``voice_end`` is where in ``wave`` the last word ends, by default its last audible sample. Raises
    :class:`LineError` where the line closes, or a response begins and never ends.
    """
    if voice_end is None:
        voice_end = last_audible(wave)
    turns, replies, errors = set(caller.turns), set(caller.replies), len(caller.errors)
    start = caller.say(wave)
    await _hear_out(caller, start + len(wave), turns, replies)
    answers = [reply for item, reply in caller.replies.items() if item not in replies]
    problems = [reply.problem for reply in answers if reply.problem] + caller.errors[errors:]
    end = start + (voice_end or 0)
    began = _began(caller, answers)
    return Exchange(
        start=start,
        end=end,
        heard=" ".join(t.heard for item, t in caller.turns.items() if item not in turns and t.heard),
        said=" ".join(reply.said.strip() for reply in answers if reply.said.strip()),
        responses=tuple(reply.id for reply in answers),
        audio=caller.playback.spoken([reply.id for reply in answers]),
        answer=next((at for at in began if at >= end), began[-1] if began else None),
        cut_in=any(at < end for at in began),
        problem="; ".join(problems),
    )


async def _hear_out(caller: Caller, spoken: int, turns: set[str], replies: set[str]) -> None:
    """Lets time pass until all is said, at ``spoken``, and what came of it beside earlier ``turns`` and
    ``replies`` was heard; or until nothing can be expected any more."""
    calm_since: int | None = None
    while True:
        await caller.tick()
        if caller.position < spoken:
            continue
        quiet = caller.position - max(spoken, caller.moved)
        if not caller.calm:
            calm_since = None
            if quiet > _OWED and caller.playback.end <= caller.position:
                if caller.active:
                    raise LineError(f"a response began and did not end within {seconds(_OWED):g} s")
                return
            continue
        calm_since = caller.position if calm_since is None else calm_since
        new = [turn for item, turn in caller.turns.items() if item not in turns]
        something = bool(new) or any(item not in replies for item in caller.replies)
        complete = all(turn.transcribed for turn in new) or quiet > _UNHEARD
        if caller.position - calm_since >= (_LINGER if something and complete else _UNHEARD):
            return


def _began(caller: Caller, replies: list[Reply]) -> list[int]:
    """Where each of the replies that were heard began to be."""
    timelines = (caller.playback.timeline(caller.position, response=reply.id) for reply in replies)
    return [at for timeline in timelines if (at := first_audible(timeline)) is not None]


def joined(waves: list[Wave], gap: float = 0.5) -> Wave:
    """The waves one after the other with ``gap`` seconds of silence between."""
    between = np.zeros(samples(gap), np.float32)
    parts = [part for wave in waves for part in (between, wave)][1:]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
