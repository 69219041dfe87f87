"""Counting: the plainest thing that takes long enough to be interrupted."""

from __future__ import annotations

from collections.abc import Iterator

from duologue.backends.pocket.brain.numbers import cardinal
from duologue.backends.pocket.brain.scene import Clauses, Pending, Reply, Scene, Slots, say
from duologue.backends.pocket.brain.skills.skill import Skill

_AT_A_TIME = 4


def count(scene: Scene, slots: Slots) -> Reply:
    if "last" not in slots:
        return say("How far should I count?", pending=Pending("count", slots, (("last", "whole"),)))
    down = slots.get("direction") == "down"
    last = int(slots["last"])
    first = int(slots.get("first", 10 if down else 1))
    if down and "first" not in slots:
        first, last = last, 0 if last > 0 else last - 10
    step = max(1, abs(int(slots.get("step", 1))))
    if down and first < last:
        first, last = last, first
    if "step" in slots and "first" not in slots and not down:
        first = step
    step = -step if first > last else step

    def clauses() -> Iterator[str]:
        numbers = range(first, last + (1 if step > 0 else -1), step)
        for start in range(0, len(numbers), _AT_A_TIME):
            group = numbers[start : start + _AT_A_TIME]
            end = "." if start + _AT_A_TIME >= len(numbers) else ","
            yield ", ".join(cardinal(number) for number in group) + end

    return Reply(Clauses(clauses), resumable=True)


def _sensible(slots: Slots) -> bool:
    """Whether a sampled count goes the way it says."""
    if "first" not in slots:
        return True
    return (int(slots["first"]) > int(slots["last"])) is (slots["direction"] == "down")


SKILLS = (
    Skill("count", """
        count to {last:whole} @direction=up
        count up to {last:whole} @direction=up
        count from {first:small} to {last:whole} @direction=up
        count up from {first:small} to {last:whole} @direction=up
        count from {first:whole} down to {last:small} @direction=down
        count down from {last:whole} @direction=down
        count backwards from {last:whole} @direction=down
        count down from {first:whole} to {last:small} @direction=down
        count backwards from {first:whole} to {last:small} @direction=down
        count to {last:whole} (by|in steps of) {step:small} @direction=up
        count from {first:small} to {last:whole} (by|in steps of) {step:small} @direction=up
        start counting to {last:whole} @direction=up
        do a countdown from {last:whole} @direction=down
        say the numbers from {first:small} to {last:whole} @direction=up
        count all the way to {last:whole} @direction=up
        let me hear you count to {last:whole} @direction=up
        begin to count to {last:whole} @direction=up
        start counting from {first:small} to {last:whole} @direction=up
        count slowly to {last:whole} @direction=up
        go and count to {last:whole} @direction=up
        count backwards starting from {last:whole} @direction=down
        count from {last:whole} backwards @direction=down
        count in steps of {step:small} to {last:whole} @direction=up
        just count to {last:whole} @direction=up
        start counting down from {last:whole} @direction=down
    """, count, weight=2.0, sensible=_sensible),
)  # fmt: skip
