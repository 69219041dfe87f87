"""Verdicts on scenes whose two timelines are known, and the page that shows them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from duologue.audio import Wave, samples
from duologue.measure.cli import bench
from duologue.measure.duplex import run
from duologue.measure.duplex.report import page
from duologue.measure.duplex.run import Duplex, Played, many_enough
from duologue.measure.duplex.scenes import KINDS, Cue, Kind, Scene, scenes
from duologue.measure.duplex.stage import Part, Performance
from duologue.measure.duplex.verdict import judge
from measure.scripted import Scripted, ScriptedLine

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
        ("pause", [(1, 2), (3, 4)], None, [(3.5, 6)], False),
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
        ("backchannel", [(3, 3.5)], [(0, 3.2), (3.8, 5)], [], False),
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


@pytest.mark.parametrize(
    ("scenes", "least", "enough"), [(2, 0.9, False), (10, 0.9, True), (49, 0.98, False), (50, 0.98, True)]
)
def test_a_bar_is_judged_by_enough_scenes(scenes: int, least: float, enough: bool) -> None:
    assert many_enough(scenes, least) is enough


@pytest.mark.parametrize(
    ("script", "right", "wrong"),
    [
        ({"delay": 0.2}, ("turn",), ("others", "pause")),
        ({"does": "ignore"}, ("others", "pause"), ("turn",)),
    ],
)
def test_the_command_tells_one_server_from_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: dict[str, Any], right: Sequence[str], wrong: Sequence[str]
) -> None:
    @asynccontextmanager
    async def dial(url: str, **options: Any) -> AsyncIterator[ScriptedLine]:
        yield ScriptedLine(Scripted(**script))

    monkeypatch.setattr(run, "dial", dial)
    page_file = tmp_path / "report.html"
    kinds = [option for kind in (*right, *wrong) for option in ("--kind", kind)]
    done = CliRunner().invoke(
        bench, ["duplex", "--url", "ws://nowhere", "--quick", "--json", "--html", str(page_file), *kinds]
    )
    assert done.exit_code == 0, done.output
    rows = {row["kind"]: row for row in json.loads(done.stdout)["rows"]}
    assert {kind: rows[kind]["right"] for kind in (*right, *wrong)} == dict.fromkeys(right, 2) | dict.fromkeys(wrong, 0)
    assert all(row["holds"] is None for row in rows.values()), "two scenes decide nothing"
    assert page_file.read_text().count("<svg") == 6


def test_the_command_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    lost = CliRunner().invoke(bench, ["duplex", "--html", str(tmp_path / "nowhere" / "report.html")])
    assert lost.exit_code == 2
    assert "there is no folder" in lost.output
    unknown = CliRunner().invoke(bench, ["duplex", "--kind", "sermon"])
    assert unknown.exit_code == 2
    assert "no scenario sermon" in unknown.output
