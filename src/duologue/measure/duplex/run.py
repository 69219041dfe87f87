"""Many scenes, several at once, each in a conversation of its own; and the figures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from duologue.audio import seconds
from duologue.audio.level import levels
from duologue.measure.duplex.scenes import KINDS, STRETCHED, Kind, Scene
from duologue.measure.duplex.stage import Performance, perform
from duologue.measure.duplex.verdict import Verdict, judge
from duologue.measure.figures import Spread
from duologue.measure.lines import dial
from duologue.measure.phrases import Part


@dataclass(frozen=True, slots=True)
class Bar:
    """What is to be reached, of the scenes that went right."""

    least: float
    goal: float


BARS: dict[Kind, Bar] = {
    "pause": Bar(0.95, 0.99),
    "turn": Bar(0.98, 1.0),
    "interruption": Bar(0.98, 1.0),
    "stop": Bar(0.98, 1.0),
    "backchannel": Bar(0.90, 1.0),
}

MOST_ANSWERS = 1.0
"""In ten minutes of background or noise."""


@dataclass(frozen=True, slots=True)
class Played:
    """A scene as it is kept: the verdict, and what a report draws."""

    kind: Kind
    number: int
    voice: str
    text: str
    right: bool
    why: str
    latency: float | None
    silent: float | None
    answers: int
    seconds: float
    cues: tuple[tuple[float, float, str], ...]
    """(begin, end, words) of each, in seconds."""
    understood: tuple[str, ...]
    replies: tuple[str, ...]
    heard_levels: tuple[int, ...]
    """dBFS of each 20 ms of what was said to the server."""
    said_levels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one kind."""

    kind: Kind
    scenes: int
    right: int
    answers_in_ten_minutes: float | None
    """Of the kinds in which silence is right."""
    latency: Spread | None
    silent: Spread | None
    holds: bool | None
    """Whether the bar is reached; ``None`` where there is none, or too few scenes to tell."""


@dataclass(frozen=True, slots=True)
class Duplex:
    """A run."""

    model: str
    part: Part
    rows: tuple[Row, ...]
    scenes: tuple[Played, ...]

    def to_json(self) -> dict[str, Any]:
        """Without the levels: those are for the report."""
        whole = asdict(self)
        for scene in whole["scenes"]:
            del scene["heard_levels"], scene["said_levels"]
        return whole


async def duplex(
    url: str,
    scenes: Sequence[Scene],
    *,
    part: Part = "report",
    at_once: int = 4,
    model: str | None = None,
    token: str | None = None,
    told: Callable[[Played], None] = lambda played: None,
) -> Duplex:
    """Plays ``scenes`` (:func:`~duologue.measure.duplex.scenes.scenes`), which are of ``part``, ``at_once`` at a time.

    Raises :class:`~duologue.measure.lines.LineError` where the server fails.
    """
    waiting = list(scenes)
    done: list[tuple[Scene, Played]] = []
    name = ""

    async def guest() -> None:
        nonlocal name
        while waiting:
            scene = waiting.pop(0)
            async with dial(url, model=model, token=token) as line:
                performance = await perform(line, scene)
            name = performance.model
            done.append((scene, _kept(performance, judge(performance))))
            told(done[-1][1])

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(guest())
    order = {kind: place for place, kind in enumerate(KINDS)}
    played = sorted((kept for _, kept in done), key=lambda kept: (order[kept.kind], kept.number))
    rows = tuple(_row(kind, of_kind) for kind in KINDS if (of_kind := [kept for kept in played if kept.kind == kind]))
    return Duplex(name, part, rows, tuple(played))


def _kept(played: Performance, verdict: Verdict) -> Played:
    scene = played.scene
    return Played(
        kind=scene.kind,
        number=scene.number,
        voice=scene.voice,
        text=scene.text,
        right=verdict.right,
        why=verdict.why,
        latency=verdict.latency,
        silent=verdict.silent,
        answers=verdict.answers,
        seconds=seconds(len(played.heard)),
        cues=tuple(
            (seconds(start), seconds(end), cue.text) for (start, end), cue in zip(played.cues, scene.cues, strict=True)
        ),
        understood=played.transcripts,
        replies=tuple(part.said for part in played.replies),
        heard_levels=tuple(round(float(level)) for level in levels(played.heard)),
        said_levels=tuple(round(float(level)) for level in levels(played.said)),
    )


def many_enough(scenes: int, least: float) -> bool:
    """Whether so many scenes can tell: one that goes wrong must not decide about the bar."""
    return round(scenes * (1 - least), 6) >= 1


def _row(kind: Kind, played: Sequence[Played]) -> Row:
    right = sum(scene.right for scene in played)
    rate = None
    holds: bool | None = None
    if kind in BARS:
        if many_enough(len(played), BARS[kind].least):
            holds = right / len(played) >= BARS[kind].least
    else:
        total = sum(scene.seconds for scene in played)
        rate = 600 * sum(scene.answers for scene in played) / total
        if kind in STRETCHED and total >= 600:
            holds = rate <= MOST_ANSWERS
    return Row(
        kind=kind,
        scenes=len(played),
        right=right,
        answers_in_ten_minutes=rate,
        latency=Spread.of([scene.latency for scene in played if scene.latency is not None and scene.latency >= 0]),
        silent=Spread.of([scene.silent for scene in played if scene.silent is not None]),
        holds=holds,
    )
