"""Many scenes, several at once, each in a conversation of its own; and the figures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from duologue.audio import seconds
from duologue.audio.level import levels
from duologue.measure.duplex.scenes import KINDS, Kind, Part, Scene, scenes
from duologue.measure.duplex.stage import Performance, perform
from duologue.measure.duplex.verdict import Verdict, judge
from duologue.measure.figures import Spread
from duologue.measure.lines import dial


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
    """Whether the bar is reached; ``None`` where there is none."""


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
    *,
    kinds: Sequence[Kind] = KINDS,
    part: Part = "report",
    many: int = 24,
    minutes: float = 10.0,
    at_once: int = 4,
    seed: int = 0,
    model: str | None = None,
    token: str | None = None,
    told: Callable[[Played], None] = lambda played: None,
) -> Duplex:
    """Plays the scenes (:func:`~duologue.measure.duplex.scenes.scenes`), ``at_once`` of them at a time.

    Raises :class:`~duologue.measure.lines.LineError` where the server fails,
    :class:`~duologue.measure.voices.VoiceError` where a voice is missing.
    """
    waiting = list(scenes(kinds, part=part, many=many, minutes=minutes, seed=seed))
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
    rows = tuple(_row(kind, [kept for kept in played if kept.kind == kind]) for kind in KINDS if kind in kinds)
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


def _row(kind: Kind, played: Sequence[Played]) -> Row:
    right = sum(scene.right for scene in played)
    rate = None
    holds: bool | None = None
    if kind in ("others", "background", "noise"):
        total = sum(scene.seconds for scene in played)
        rate = 600 * sum(scene.answers for scene in played) / total if total else 0.0
        holds = None if kind == "others" else rate <= MOST_ANSWERS
    elif played:
        holds = right / len(played) >= BARS[kind].least
    return Row(
        kind=kind,
        scenes=len(played),
        right=right,
        answers_in_ten_minutes=rate,
        latency=Spread.of([scene.latency for scene in played if scene.latency is not None and scene.latency >= 0]),
        silent=Spread.of([scene.silent for scene in played if scene.silent is not None]),
        holds=holds,
    )
