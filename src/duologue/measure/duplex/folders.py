"""Full-Duplex-Bench's own recordings (Lin et al., arXiv 2503.04721 and 2507.23159), by its own definitions.

A folder holds a sample each, as the data set is distributed: ``input.wav``, what the person says, and one annotation.

    pause.json          pause handling         TOR (lower is better)
    turn_taking.json    smooth turn-taking     TOR, latency from the turn's end
    interrupt.json      user interruption      TOR and latency, of what is said from the interruption's end on
    metadata.json       v1.5                   how long both speak at once, how long an answer takes
    none of them        backchannel            TOR, backchannels a second

The recording is played to the server in real time and what a listener hears meanwhile is the output, of the same
length. *TOR* (take-over rate) is the share of samples in which the model took the turn: its words last a second or
longer, or are more than three. A negative latency counts as none. The benchmark finds words and their times by a large
recogniser (Parakeet), here PocketSphinx's open vocabulary stands in, and it has no judge of contents: for figures to be
put beside published ones, have the outputs written (they lie as the benchmark's own scripts want them) and run those.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from duologue.audio import RATE, Wave, samples, seconds
from duologue.audio.files import AudioFileError, read_wave, write_wave
from duologue.ears.rate import Downsampler
from duologue.ears.vocabulary import open_decoder
from duologue.ears.voice import Onset, VoiceActivity
from duologue.measure.caller import Caller
from duologue.measure.figures import Spread
from duologue.measure.lines import dial

Task = Literal["pause handling", "smooth turn-taking", "user interruption", "backchannel", "overlap"]

ANNOTATIONS: dict[str, Task] = {
    "pause.json": "pause handling",
    "turn_taking.json": "smooth turn-taking",
    "interrupt.json": "user interruption",
    "metadata.json": "overlap",
}

TURN_SECONDS, TURN_WORDS = 1.0, 3
"""Words that last so long, or are more, take the turn (``eval_pause_handling.py``)."""
SPEECH_SECONDS = 3.0
"""A longer stretch of speech is no backchannel (``eval_backchannel.py``)."""
USER_GAP, MODEL_GAP = 0.6, 0.5
"""Pauses up to which the two sides' stretches count as one (``get_timing.py``)."""

Span = tuple[float, float]
"""Begin and end in seconds."""


class DataError(ValueError):
    """The folder holds no samples, or a damaged one; the message says which."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One recording."""

    folder: Path
    name: str
    """The set it belongs to and its number: ``candor_pause_handling/12``."""
    task: Task
    event: Span | None
    """What the annotation marks."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it."""

    name: str
    task: Task
    took_turn: bool | None
    """``None`` where the benchmark does not ask."""
    latency: float | None
    backchannels_a_second: float | None = None
    both_speak: tuple[float, ...] = ()
    """Seconds of each stretch in which both do (v1.5's stop latency)."""
    answers_after: tuple[float, ...] = ()
    """Seconds from each of the person's stretches to the model's next (v1.5's response latency)."""


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one set."""

    name: str
    task: Task
    samples: int
    tor: float | None
    latency: Spread | None
    mean_latency: float | None
    """Seconds; the benchmark reports the mean."""
    backchannels_a_second: float | None
    both_speak: Spread | None
    answers_after: Spread | None


@dataclass(frozen=True, slots=True)
class Recordings:
    """A run."""

    model: str
    rows: tuple[Row, ...]
    results: tuple[Result, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def samples_in(data: Path) -> list[Sample]:
    """Every sample under ``data``, in order. Raises :class:`DataError`."""
    found = [_sample(wave.parent) for wave in sorted(data.rglob("input.wav"), key=_by_number)]
    if not found:
        raise DataError(
            f"{data} holds no input.wav; give a folder of Full-Duplex-Bench's data, as v1_0 or one set of it"
        )
    return found


def _by_number(path: Path) -> tuple[str, int, str]:
    name = path.parent.name
    return str(path.parent.parent), int(name) if name.isdecimal() else 0, name


def _sample(folder: Path) -> Sample:
    name = f"{folder.parent.name}/{folder.name}"
    for file, task in ANNOTATIONS.items():
        path = folder / file
        if path.is_file():
            try:
                given = json.loads(path.read_text(encoding="utf-8"))
                begin, end = given["timestamps"] if task == "overlap" else given[0]["timestamp"]
                return Sample(folder, name, task, (float(begin), float(end)))
            except (ValueError, KeyError, IndexError, TypeError) as error:
                raise DataError(
                    f"{path}: no annotation of Full-Duplex-Bench ({type(error).__name__}: {error})"
                ) from error
    return Sample(folder, name, "backchannel", None)


async def recordings(
    url: str,
    chosen: Sequence[Sample],
    *,
    outputs: Path | None = None,
    model: str | None = None,
    token: str | None = None,
    told: Callable[[Result], None] = lambda result: None,
) -> Recordings:
    """Plays ``chosen`` one after the other; ``outputs`` is where each ``output.wav`` goes, beside a copy of its input.

    Raises :class:`DataError` for a recording that cannot be read, :class:`~duologue.measure.lines.LineError` where the
    server fails.
    """
    results, name = [], ""
    for sample in chosen:
        try:
            said = read_wave(sample.folder / "input.wav")
        except AudioFileError as error:
            raise DataError(str(error)) from error
        async with dial(url, model=model, token=token) as line:
            caller = Caller(line)
            await caller.join()
            caller.say(said)
            while caller.position < len(said):
                await caller.tick()
        name = caller.model
        heard = caller.playback.timeline(len(said))
        if outputs is not None:
            _keep(outputs / sample.name, sample, heard)
        results.append(judged(sample, said, heard))
        told(results[-1])
    sets = dict.fromkeys(result.name.rpartition("/")[0] for result in results)
    rows = tuple(_row(of, [each for each in results if each.name.rpartition("/")[0] == of]) for of in sets)
    return Recordings(name, rows, tuple(results))


def _keep(folder: Path, sample: Sample, heard: Wave) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_wave(folder / "output.wav", heard)
    for path in sample.folder.iterdir():
        if path.is_file() and path.name != "output.wav":
            (folder / path.name).write_bytes(path.read_bytes())


# -- the benchmark's definitions ------------------------------------------------------------------------------


def judged(sample: Sample, said: Wave, heard: Wave) -> Result:
    """The figures of one sample, from its two sides."""
    if sample.task == "backchannel":
        return _backchannel(sample, heard)
    if sample.task == "overlap":
        person, other = stretches(said, USER_GAP), stretches(heard, MODEL_GAP)
        return Result(sample.name, sample.task, None, None, None, both_speak(person, other), gaps(person, other))
    assert sample.event is not None
    since = {"pause handling": 0.0, "smooth turn-taking": 0.0}.get(sample.task, sample.event[1])
    spoken = words(heard, since)
    took = bool(spoken) and (spoken[-1][1] - spoken[0][0] >= TURN_SECONDS or len(spoken) > TURN_WORDS)
    if sample.task == "pause handling" or not took:
        return Result(sample.name, sample.task, took, None)
    ended = sample.event[0] if sample.task == "smooth turn-taking" else sample.event[1]
    return Result(sample.name, sample.task, took, max(0.0, spoken[0][0] - ended))


def _backchannel(sample: Sample, heard: Wave) -> Result:
    spoken, short, took = words(heard), 0, False
    for begin, end in stretches(heard, 0.0):
        if end - begin > SPEECH_SECONDS:
            took = True
            break
        inside = sum(at < end and until > begin for at, until in spoken)
        took = inside >= TURN_WORDS or end - begin >= TURN_SECONDS  # of the last stretch, as in the benchmark
        short += 1
    return Result(sample.name, sample.task, took, None, short / seconds(len(heard)))


def words(wave: Wave, since: float = 0.0) -> list[Span]:
    """Begin and end of every word in ``wave`` from ``since`` (seconds) on, as PocketSphinx hears them."""
    heard = Downsampler().push(wave[samples(since) :])
    if not len(heard):
        return []
    decoder = open_decoder()
    decoder.start_utt()
    decoder.process_raw(np.rint(np.clip(heard, -1, 1) * 32_767).astype("<i2").tobytes(), False, True)
    decoder.end_utt()
    found = [segment for segment in decoder.seg() or () if segment.word[0] not in "<[+"]
    return [(since + segment.start_frame / 100, since + (segment.end_frame + 1) / 100) for segment in found]


def stretches(wave: Wave, gap: float) -> list[Span]:
    """Where a voice is in ``wave``, pauses of up to ``gap`` seconds counted in."""
    activity = VoiceActivity()
    activity.hear(np.concatenate((wave, np.zeros(RATE // 2, np.float32))))
    spans: list[list[float]] = []
    for event in activity.events(until=len(wave) + RATE // 2):
        at = min(seconds(event.at), seconds(len(wave)))
        if isinstance(event, Onset):
            if not spans or at - spans[-1][1] > gap:
                spans.append([at, at])
        else:
            spans[-1][1] = at
    return [(begin, end) for begin, end in spans]


def both_speak(person: Sequence[Span], other: Sequence[Span]) -> tuple[float, ...]:
    """Seconds of each stretch in which both do."""
    return tuple(
        round(min(end, until) - max(begin, since), 3)
        for begin, end in person
        for since, until in other
        if min(end, until) > max(begin, since)
    )


def gaps(person: Sequence[Span], other: Sequence[Span]) -> tuple[float, ...]:
    """Seconds to each beginning of the model's from the person's last end before it."""
    return tuple(_gaps(person, other))


def _gaps(person: Sequence[Span], other: Sequence[Span]) -> Iterator[float]:
    before = 0.0
    for begin, _ in other:
        ends = [end for _, end in person if before <= end < begin]
        if ends:
            yield round(begin - ends[-1], 3)
        before = begin


def _row(name: str, results: Sequence[Result]) -> Row:
    took = [result.took_turn for result in results if result.took_turn is not None]
    latencies = [result.latency for result in results if result.latency is not None]
    rates = [each.backchannels_a_second for each in results if each.backchannels_a_second is not None]
    return Row(
        name=name,
        task=results[0].task,
        samples=len(results),
        tor=sum(took) / len(took) if took else None,
        latency=Spread.of(latencies),
        mean_latency=sum(latencies) / len(latencies) if latencies else None,
        backchannels_a_second=sum(rates) / len(rates) if rates else None,
        both_speak=Spread.of([each for result in results for each in result.both_speak]),
        answers_after=Spread.of([each for result in results for each in result.answers_after]),
    )
