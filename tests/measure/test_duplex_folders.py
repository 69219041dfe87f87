"""Full-Duplex-Bench's folders: found, played, and judged by its definitions (on samples of our own in its layout)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from duologue.audio import Wave, samples
from duologue.audio.files import read_wave, write_wave
from duologue.measure.cli import bench
from duologue.measure.duplex import folders
from duologue.measure.duplex.folders import DataError, Sample, both_speak, gaps, judged, samples_in
from duologue.measure.voices import quiet_room, speak
from measure.scripted import Scripted, ScriptedLine

LENGTH = samples(6.0)


def side(*spoken: tuple[float, str]) -> Wave:
    wave = np.resize(quiet_room(1), LENGTH)
    for at, text in spoken:
        said = speak(text, "rms")
        wave[samples(at) : samples(at) + said.end - said.start] += said.wave[said.start : said.end]
    return wave.astype(np.float32)


def sample(task: folders.Task, event: folders.Span | None) -> Sample:
    return Sample(Path(), "set/1", task, event)


LONG = "once upon a time there was a king"


@pytest.mark.parametrize(
    ("task", "event", "heard", "took", "latency"),
    [
        ("pause handling", (2.0, 2.5), side(), False, None),
        ("pause handling", (2.0, 2.5), side((2.2, "yes")), False, None),
        ("pause handling", (2.0, 2.5), side((2.2, LONG)), True, None),
        ("smooth turn-taking", (2.0, 2.4), side((2.5, LONG)), True, 0.5),
        ("smooth turn-taking", (2.0, 2.4), side((1.5, LONG)), True, 0.0),
        ("smooth turn-taking", (2.0, 2.4), side((2.5, "yes")), False, None),
        ("user interruption", (1.0, 2.0), side((2.7, LONG)), True, 0.7),
        ("user interruption", (4.0, 5.0), side((0.5, LONG)), False, None),
    ],
)
def test_the_benchmarks_definitions(
    task: folders.Task, event: folders.Span, heard: Wave, took: bool, latency: float | None
) -> None:
    result = judged(sample(task, event), side((0.2, "hello there")), heard)
    assert result.took_turn is took
    assert (result.latency is None) is (latency is None)
    if latency is not None and result.latency is not None:
        assert result.latency == pytest.approx(latency, abs=0.12)


def test_backchannels_are_short() -> None:
    nodding = judged(sample("backchannel", None), side(), side((1.0, "yes"), (3.0, "right")))
    assert (nodding.took_turn, nodding.backchannels_a_second) == (False, pytest.approx(2 / 6.0))
    talking = judged(sample("backchannel", None), side(), side((1.0, f"{LONG} and he had a daughter and a son")))
    assert (talking.took_turn, talking.backchannels_a_second) == (True, 0.0)


def test_overlaps_and_gaps() -> None:
    person, other = [(0.0, 2.0), (4.0, 6.0)], [(2.5, 4.4), (6.25, 8.0)]
    assert both_speak(person, other) == (pytest.approx(0.4),)
    assert gaps(person, other) == (pytest.approx(0.5), pytest.approx(0.25))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    annotations: dict[str, tuple[str, Any]] = {
        "v1_0/candor_turn_taking/2": ("turn_taking.json", [{"text": "[TURN-TAKING]", "timestamp": [1.9, 2.3]}]),
        "v1_0/candor_turn_taking/10": ("turn_taking.json", [{"text": "[TURN-TAKING]", "timestamp": [1.9, 2.3]}]),
        "v1_0/icc_backchannel/1": ("transcription.json", []),
        "v1_5/talking_to_other/1": ("metadata.json", {"context_text": "", "timestamps": [0.3, 1.9]}),
    }
    for name, (file, content) in annotations.items():
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        write_wave(folder / "input.wav", side((0.3, "what time is it in london now")))
        (folder / file).write_text(json.dumps(content))
    return tmp_path / "data"


def test_the_command_plays_folders(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def dial(url: str, **options: Any) -> AsyncIterator[ScriptedLine]:
        yield ScriptedLine(Scripted(delay=0.2, reply=2.5))

    monkeypatch.setattr(folders, "dial", dial)
    kept = tmp_path / "kept"
    done = CliRunner().invoke(
        bench, ["duplex", "--url", "ws://nowhere", "--json", "--data", str(data), "--outputs", str(kept)]
    )
    assert done.exit_code == 0, done.output
    run = json.loads(done.stdout)
    assert [(row["name"], row["samples"]) for row in run["rows"]] == [
        ("candor_turn_taking", 2), ("icc_backchannel", 1), ("talking_to_other", 1),
    ]  # fmt: skip
    assert [result["name"] for result in run["results"]][:2] == ["candor_turn_taking/2", "candor_turn_taking/10"]
    assert run["results"][3]["task"] == "overlap"
    written = kept / "candor_turn_taking" / "10"
    assert len(read_wave(written / "output.wav")) == LENGTH
    assert (written / "turn_taking.json").is_file()


def test_what_is_no_data_set_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no input\.wav"):
        samples_in(tmp_path / "empty")
    (data / "v1_5/talking_to_other/1/metadata.json").write_text('{"timestamps": [1]}')
    done = CliRunner().invoke(bench, ["duplex", "--url", "ws://nowhere", "--data", str(data)])
    assert done.exit_code == 1
    assert "no annotation of Full-Duplex-Bench" in done.output
    misplaced = CliRunner().invoke(bench, ["duplex", "--outputs", str(tmp_path)])
    assert misplaced.exit_code == 2
