"""What the two timelines say about a scene: one rule a kind.

Only what was heard counts, sample by sample, and which reply a sample belonged to; never what the server says of its
own turns. *Audible* is as everywhere (:mod:`duologue.audio.level`).

    pause          wrong if a reply is audible before the sentence has ended
    turn           right if a reply is audible within 3 s of the last word, and none before it
    interruption   right if the story is silent within 1 s and a new reply is heard after it
    stop           right if the story is silent within 1 s and stays so
    backchannel    right if the story is heard again within 2 s of it and is still told 2 s after, and no new reply is
    others, background, noise   wrong for every reply that is heard
"""

from __future__ import annotations

from dataclasses import dataclass

from duologue.audio import Wave, samples, seconds
from duologue.audio.level import first_audible, last_audible
from duologue.measure.duplex.stage import Performance

ANSWER = 3.0
"""Seconds in which an answer must have begun."""

SILENT = 1.0
"""Seconds after an interrupter's onset in which a story must have fallen silent."""

RESUMED = 2.0
"""Seconds after a backchannel in which a story must be heard again."""

_HANGING = 0.12
"""Seconds after a cue in which what is heard of a story was already on its way."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a scene went."""

    right: bool
    why: str
    """What was wrong; empty where nothing was."""
    latency: float | None = None
    """Seconds from the last word to the answer's first audible sample."""
    silent: float | None = None
    """Seconds from an interrupter's onset to the story's last audible sample."""
    answers: int = 0
    """Replies that were heard and should not have been."""


def judge(played: Performance) -> Verdict:
    """The verdict on a scene."""
    match played.scene.kind:
        case "pause":
            return _pause(played)
        case "turn":
            return _turn(played)
        case "interruption" | "stop":
            return _interruption(played)
        case "backchannel":
            return _backchannel(played)
        case _:
            return _nothing(played)


def _pause(played: Performance) -> Verdict:
    (_, begins), (goes_on, ends) = played.cues[0], played.cues[-1]
    at = first_audible(played.said)
    if at is not None and at < ends:
        where = "into the pause" if at < goes_on else "after the pause had begun, over the rest of the sentence"
        return Verdict(False, f"took the turn {seconds(at - begins):.2f} s {where}", answers=1)
    return Verdict(True, "", None if at is None else seconds(at - ends))


def _turn(played: Performance) -> Verdict:
    end = played.cues[-1][1]
    if (at := first_audible(played.said)) is None:
        return Verdict(False, "was not answered")
    latency = seconds(at - end)
    if latency < 0:
        return Verdict(False, f"cut in {-latency:.2f} s before the last word had ended")
    return Verdict(latency <= ANSWER, "" if latency <= ANSWER else f"was answered after {latency:.2f} s only", latency)


def _interruption(played: Performance) -> Verdict:
    start, end = played.cues[-1]
    last = last_audible(_story(played)[start:])
    silent = seconds(last or 0)
    if silent > SILENT:
        return Verdict(False, f"the story was heard for {silent:.2f} s more", silent=silent)
    answer = _answer(played, start)
    if played.scene.kind == "stop":
        return Verdict(True, "", silent=silent)
    if answer is None:
        return Verdict(False, "the story stopped, but no answer came", silent=silent)
    latency = seconds(answer - end)
    return Verdict(
        latency <= ANSWER, "" if latency <= ANSWER else f"the answer came after {latency:.2f} s", latency, silent
    )


def _backchannel(played: Performance) -> Verdict:
    start, end = played.cues[-1]
    if _answer(played, start) is not None:
        return Verdict(False, "was answered", answers=1)
    story = _story(played)
    again = first_audible(story, end + samples(_HANGING))
    if again is None:
        return Verdict(False, "stopped the story")
    if first_audible(story, end + samples(RESUMED)) is None:
        return Verdict(False, "let the story end soon after")
    gap = seconds(again - end)
    return Verdict(gap <= RESUMED, "" if gap <= RESUMED else f"held the story up for {gap:.2f} s")


def _nothing(played: Performance) -> Verdict:
    heard = [part for part in played.replies if first_audible(part.wave) is not None]
    said = "; ".join(repr(part.said) for part in heard)
    return Verdict(not heard, f"was answered: {said}" if heard else "", answers=len(heard))


def _story(played: Performance) -> Wave:
    return next(part.wave for part in played.replies if part.response == played.story)


def _answer(played: Performance, after: int) -> int | None:
    """The first audible sample after that of another reply than the story."""
    found = [first_audible(part.wave, after) for part in played.replies if part.response != played.story]
    return min((at for at in found if at is not None), default=None)
