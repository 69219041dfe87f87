"""A scene performed: one conversation, real time or virtual, and the two timelines that came of it."""

from __future__ import annotations

from dataclasses import dataclass

from duologue.audio import Wave, samples
from duologue.measure.bargein import story_told
from duologue.measure.caller import Caller
from duologue.measure.duplex.scenes import Scene
from duologue.measure.lines import Line


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A reply as it was heard."""

    response: str
    wave: Wave
    """On the whole timeline, silence elsewhere."""
    status: str
    said: str


@dataclass(frozen=True, slots=True, eq=False)
class Performance:
    """What was heard of whom. Positions are samples at 24 kHz on the listener's timeline."""

    scene: Scene
    model: str
    heard: Wave
    """What the server was sent."""
    said: Wave
    """What the listener heard."""
    replies: tuple[Part, ...]
    cues: tuple[tuple[int, int], ...]
    """Where each cue begins and ends."""
    story: str | None
    """The response that tells the story."""
    transcripts: tuple[str, ...]
    """What the server understood, in its own words."""


async def perform(line: Line, scene: Scene) -> Performance:
    """Plays ``scene``. Raises :class:`~duologue.measure.lines.LineError` where the server fails or tells no story."""
    caller = Caller(line, room=scene.room)
    await caller.join()
    story, zero = (await story_told(caller)) if scene.story else (None, 0)
    spans = []
    for cue in scene.cues:
        while caller.position < zero + samples(cue.at):
            await caller.tick()
        start = caller.say(cue.wave)
        spans.append((start, start + len(cue.wave)))
    until = spans[-1][1] + samples(scene.after)
    while caller.position < until:
        await caller.tick()
    length = caller.position
    return Performance(
        scene=scene,
        model=caller.model,
        heard=caller.heard,
        said=caller.playback.timeline(length),
        replies=tuple(
            Part(reply.id, caller.playback.timeline(length, reply.id), reply.status, reply.said.strip())
            for reply in caller.replies.values()
        ),
        cues=tuple(spans),
        story=story,
        transcripts=tuple(turn.heard for turn in caller.turns.values()),
    )
