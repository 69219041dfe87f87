"""Verdicts on scenes whose two timelines are known, and the page that shows them."""

from __future__ import annotations

import numpy as np
import pytest

from duologue.audio import Wave, samples
from duologue.measure.duplex.report import page
from duologue.measure.duplex.run import Duplex, Played
from duologue.measure.duplex.scenes import KINDS, Cue, Kind, Scene, scenes
from duologue.measure.duplex.stage import Part, Performance
from duologue.measure.duplex.verdict import judge

LENGTH = samples(10.0)


def sound(*spans: tuple[float, float]) -> Wave:
    wave = np.zeros(LENGTH, np.float32)
    for begin, end in spans:
        wave[samples(begin) : samples(end)] = 0.1
    return wave


def played(kind: Kind, cues: list[tuple[float, float]], *, story: Wave | None = None, reply: Wave) -> Performance:
    spoken = tuple(Cue(begin, sound((0, 0.1)), "words") for begin, _ in cues)
    parts = [Part("answer", reply, "completed", "an answer")]
    if story is not None:
        parts.append(Part("story", story, "completed", "a story"))
    return Performance(
        scene=Scene(kind, 0, "slt", "words", spoken, story is not None, 3.0, np.zeros(1, np.float32)),
        model="scripted",
        heard=np.zeros(LENGTH, np.float32),
        said=reply if story is None else reply + story,
        replies=tuple(parts),
        cues=tuple((samples(begin), samples(end)) for begin, end in cues),
        story=None if story is None else "story",
        transcripts=(),
    )


@pytest.mark.parametrize(
    ("kind", "cues", "story", "reply", "right"),
    [
        ("pause", [(1, 2), (3, 4)], None, [(4.3, 6)], True),
        ("pause", [(1, 2), (3, 4)], None, [(2.5, 6)], False),
        ("turn", [(1, 2)], None, [(2.3, 4)], True),
        ("turn", [(1, 2)], None, [], False),
        ("turn", [(1, 2)], None, [(1.8, 4)], False),
        ("turn", [(1, 2)], None, [(5.5, 7)], False),
        ("interruption", [(3, 4)], [(0, 3.2)], [(4.4, 6)], True),
        ("interruption", [(3, 4)], [(0, 3.2)], [], False),
        ("interruption", [(3, 4)], [(0, 9)], [], False),
        ("stop", [(3, 3.5)], [(0, 3.2)], [], True),
        ("stop", [(3, 3.5)], [(0, 3.2), (6, 8)], [], False),
        ("backchannel", [(3, 3.5)], [(0, 3.2), (3.8, 9)], [], True),
        ("backchannel", [(3, 3.5)], [(0, 3.2)], [], False),
        ("backchannel", [(3, 3.5)], [(0, 3.2)], [(4, 5)], False),
        ("others", [(1, 2)], None, [], True),
        ("noise", [(1, 2)], None, [(3, 4)], False),
    ],
)
def test_verdicts(
    kind: Kind,
    cues: list[tuple[float, float]],
    story: list[tuple[float, float]] | None,
    reply: list[tuple[float, float]],
    right: bool,
) -> None:
    verdict = judge(played(kind, cues, story=None if story is None else sound(*story), reply=sound(*reply)))
    assert verdict.right is right
    assert bool(verdict.why) is not right


def test_the_same_seed_gives_the_same_scenes_and_tuning_phrases_are_not_reported() -> None:
    def told(part: str, seed: int) -> list[tuple[str, str, float]]:
        made = scenes(KINDS[:5], part="tune" if part == "tune" else "report", many=3, seed=seed)
        return [(scene.kind, scene.text, scene.cues[0].at) for scene in made]

    assert told("report", 1) == told("report", 1) != told("report", 2)
    longer = {text for kind, text, _ in told("report", 1) if kind in ("pause", "turn", "interruption")}
    assert not longer & {text for _, text, _ in told("tune", 1)}


def test_the_page_shows_what_went_wrong_first_and_escapes_what_was_said() -> None:
    def kept(right: bool, text: str) -> Played:
        why = "" if right else "was <not> answered"
        return Played(
            "turn", 0, "slt", text, right, why, 0.3, None, 0, 1.0, ((0, 1, text),), (), (), (-20,) * 50, (-80,) * 50
        )

    shown = page(Duplex("pocket", "report", (), (kept(True, "good"), kept(False, "<b>bad"))))
    assert shown.index("&lt;b&gt;bad") < shown.index("slt: good")
    assert "<not>" not in shown
    assert shown.count("<svg") == 2
