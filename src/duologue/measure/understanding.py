"""Understanding: what pocket's ear and brain make of spoken requests, and of speech that is none of their business.

Without sockets, floor and voice activity: each utterance lies in a quiet room (pink noise at -65 dBFS) or in louder
noise, 0.3 s before it and 0.2 s after it as the floor would cut it, and goes through the recogniser's worker processes
into the brain. A request is *right* if skill and slots are. Every voice holds conversations of six utterances; the
ear knows nothing of the voice at the beginning of each, as in a session.

Three kinds of speech: ``known`` phrasings of the grammar, freshly drawn; ``held-out`` phrasings that no template has;
``other talk``, said to somebody else. The ear's language model is made of the grammar. Its settings, its confidence
and the brain were fitted on flite's slt, kal16 and awb and on other draws and other talk than these; flite's rms,
pico and espeak-ng on nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

import numpy as np

from duologue.audio import Wave, samples
from duologue.backends.contract import Ask
from duologue.backends.pocket.brain import Brain, Utterance
from duologue.backends.pocket.brain.phrasings import held_out, known
from duologue.backends.pocket.brain.skills import BY_NAME
from duologue.backends.pocket.brain.two_ears import meaning
from duologue.backends.pocket.language import vocabulary
from duologue.ears.recognizer import EarError, Listening, Recognizer, Words
from duologue.measure import people
from duologue.measure.phrases import other_talk
from duologue.measure.voices import ESPEAK, PICO, QUIET, missing, noise, speak, with_noise
from duologue.measure.voices import VOICES as FLITE_VOICES

VOICES = (*FLITE_VOICES, *PICO)
"""What the bars are about. pico's are measured where they are installed."""
BESIDE = ESPEAK
"""Reported beside them: further from people."""
NOISE = (20.0, 10.0)
"""Signal-to-noise ratios in dB, reported beside the clean figures."""

KNOWN_SEED = 2024
"""Of the draw of known phrasings; the ear and the brain were developed on others."""

_BEFORE, _AFTER = samples(0.3), samples(0.2)
_TURNS = 6
"""Utterances in a conversation."""
_SECONDS_SINCE = 3.0
"""Since the last exchange, for words within a conversation."""

Kind: TypeAlias = Literal["known", "held-out", "other talk"]
KINDS: tuple[Kind, ...] = ("known", "held-out", "other talk")


@dataclass(frozen=True, slots=True)
class Request:
    """Words to be spoken, and what they ask for; ``skill`` is empty for other talk."""

    text: str
    skill: str
    slots: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One utterance, as it was heard and understood."""

    said: str
    heard: str
    open_text: str | None
    confidence: float | None
    wanted: str
    """The skill and its slots that were asked for; empty for other talk."""
    understood: str
    """The skill and its slots; empty where none was recognised."""
    right: bool
    word_errors: int
    answered: bool
    """Whether it would be answered out of the blue."""
    taken: bool
    """Whether it would be taken for a request within a conversation (and not just asked about)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One voice under one condition, saying one kind of things."""

    voice: str
    noise_db: float | None
    kind: Kind
    outcomes: tuple[Outcome, ...]

    @property
    def right(self) -> float:
        """Share (0..1) of requests whose skill and slots were right."""
        return _share(outcome.right for outcome in self.outcomes)

    @property
    def word_error_rate(self) -> float:
        """Substitutions, insertions and deletions by words said."""
        words = sum(len(outcome.said.split()) for outcome in self.outcomes)
        return sum(outcome.word_errors for outcome in self.outcomes) / max(words, 1)

    @property
    def answered(self) -> float:
        """Share answered out of the blue. Requests: of those that were right and whose skill may be asked so."""
        asked = [each for each in self.outcomes if not each.wanted or (each.right and not _small_talk(each.wanted))]
        return _share(outcome.answered for outcome in asked)

    @property
    def taken(self) -> float:
        """Share taken for some request within a conversation."""
        return _share(outcome.taken for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class Understanding:
    """A run."""

    rows: tuple[Row, ...]
    people: tuple[Outcome, ...]
    """Recordings of people (:mod:`.people`)."""
    absent: tuple[str, ...]
    """What could not be measured here, and why."""

    def of(self, kind: Kind, noise_db: float | None = None, voices: Sequence[str] = ()) -> list[Row]:
        """The rows of a kind and condition, of ``voices`` only where any are named."""
        return [row for row in self.rows
                if row.kind == kind and row.noise_db == noise_db and (not voices or row.voice in voices)]  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        rows = [{**asdict(row), "right": row.right, "word_error_rate": row.word_error_rate,
                 "answered": row.answered, "taken": row.taken} for row in self.rows]  # fmt: skip
        return {"rows": rows, "people": [asdict(each) for each in self.people], "absent": self.absent}


async def understanding(
    *,
    voices: Sequence[str] = (*VOICES, *BESIDE),
    noises: Sequence[float] = NOISE,
    per_skill: int = 3,
    workers: int = 2,
    told: Callable[[int], object] = lambda spoken: None,
) -> Understanding:
    """Measure ``voices`` clean, and those of flite also in each of ``noises``.

    Args:
        per_skill: known phrasings of every skill.
        workers: recogniser processes, each of which hears one conversation at a time.
        told: called after each utterance with 1.

    Raises :class:`~duologue.measure.voices.VoiceError` for a voice that nobody knows,
    :class:`~duologue.ears.recognizer.EarError` where the ear fails.
    """
    present = [voice for voice in voices if missing(voice) is None]
    absent = sorted({reason for voice in voices if (reason := missing(voice)) is not None})
    recognizer = Recognizer(vocabulary(), workers=workers)
    await recognizer.start()
    free = asyncio.Semaphore(workers)

    async def row(voice: str, snr: float | None, kind: Kind) -> Row:
        wanted = requests(kind, per_skill)
        talks = [wanted[at : at + _TURNS] for at in range(0, len(wanted), _TURNS)]
        done = await asyncio.gather(*(talk(voice, snr, each) for each in talks))
        return Row(voice, snr, kind, tuple(outcome for outcomes in done for outcome in outcomes))

    async def talk(voice: str, snr: float | None, wanted: Sequence[Request]) -> list[Outcome]:
        outcomes, before = [], None
        async with free:
            for request in wanted:
                wave = await asyncio.to_thread(_spoken, request.text, voice, snr)
                words, before = await _hear(recognizer, wave, before)
                outcomes.append(judged(request, words))
                told(1)
        return outcomes

    try:
        rows = [await row(voice, None, kind) for voice in present for kind in KINDS]
        rows += [
            await row(voice, snr, kind) for snr in noises for voice in present if ":" not in voice for kind in KINDS
        ]
        clips = people.clips()
        if not clips:
            absent.append(people.REMEDY)
        heard = [(clip, (await _hear(recognizer, clip.wave, None))[0]) for clip in clips]
    finally:
        await recognizer.stop()
    strangers = tuple(judged(Request(clip.said, "", {}), words) for clip, words in heard)
    return Understanding(tuple(rows), strangers, tuple(absent))


def requests(kind: Kind, per_skill: int) -> list[Request]:
    """What is said, ``per_skill`` known phrasings of each skill."""
    if kind == "other talk":
        return [Request(text, "", {}) for text in other_talk("report")]
    rows = known(KNOWN_SEED, per_skill) if kind == "known" else held_out()
    return [Request(text, skill, slots) for text, skill, slots in rows]


def in_a_room(wave: Wave, start: int, end: int, snr: float | None, *, seed: int) -> Wave:
    """Samples ``start`` to ``end`` of ``wave`` with a little of the room before and after, as a turn is cut."""
    padded = np.concatenate((np.zeros(_BEFORE, np.float32), wave[start:end], np.zeros(_AFTER, np.float32)))
    if snr is not None:
        return with_noise(padded, snr, seed=seed)
    quiet: Wave = np.clip(padded + noise(len(padded), QUIET, seed=seed), -1, 1)
    return quiet


def judged(request: Request, words: Words) -> Outcome:
    """What the brain makes of what the ear heard."""
    parse = meaning(words.text, words.open_text)
    right = parse is not None and (parse.skill, dict(parse.slots)) == (request.skill, dict(request.slots))
    brain = Brain(now=lambda: datetime(2026, 5, 13, 10, 30))
    utterance = Utterance(
        words.text, confidence=words.confidence, open_text=words.open_text, clarity=words.clarity
    )
    alone = brain.plan(utterance, ask=Ask(), since_exchange=None)
    talking = brain.plan(utterance, ask=Ask(), since_exchange=_SECONDS_SINCE)
    return Outcome(
        said=request.text,
        heard=words.text,
        open_text=words.open_text,
        confidence=words.confidence,
        wanted=_written(request.skill, request.slots),
        understood="" if parse is None else _written(parse.skill, parse.slots),
        right=right,
        word_errors=word_errors(request.text, words.text),
        answered=not alone.silent,
        taken=not talking.silent and talking.skill != "not_understood",
    )


def word_errors(said: str, heard: str) -> int:
    """Words to substitute, insert or delete: the edit distance."""
    row = list(range(len(heard.split()) + 1))
    for at, word in enumerate(said.split(), 1):
        diagonal, row[0] = row[0], at
        for column, other in enumerate(heard.split(), 1):
            diagonal, row[column] = row[column], min(diagonal + (word != other), row[column] + 1, row[column - 1] + 1)
    return row[-1]


def _spoken(text: str, voice: str, snr: float | None) -> Wave:
    spoken = speak(text, voice)
    return in_a_room(spoken.wave, spoken.start, spoken.end, snr, seed=len(text))


async def _hear(recognizer: Recognizer, wave: Wave, before: Listening | None) -> tuple[Words, Listening]:
    """The final words of one utterance."""
    final: asyncio.Future[Words] = asyncio.get_running_loop().create_future()

    def on_words(words: Words) -> None:
        if words.final:
            final.set_result(words)

    def on_failure(message: str) -> None:
        final.set_exception(EarError(message))

    listening = recognizer.open(on_words, on_failure=on_failure, after=before)
    listening.push(wave)
    listening.finish()
    return await final, listening


def _written(skill: str, slots: Mapping[str, object]) -> str:
    return " ".join([skill, *(f"{name}={value}" for name, value in sorted(slots.items()))]) if skill else ""


def _small_talk(wanted: str) -> bool:
    return BY_NAME[wanted.split()[0]].chat


def _share(marks: Iterator[bool]) -> float:
    found = list(marks)
    return sum(found) / len(found) if found else 0.0
