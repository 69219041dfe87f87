"""What speculation is worth: the same questions answered with it and without, in turns, by one server.

With it an answer is begun at the first pause of a turn and held until the pause proves to be the turn's end; without
it, it is begun at that end. Each question is put both ways by the same voice, the other way first every second time.
*Straight* questions have no pause in them. *Paused* ones have one in the middle of the sentence, where what was begun
is taken back; the server's ``/metrics`` say how often that was, and how much computing was thrown away with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from duologue.audio import samples
from duologue.measure.caller import Caller
from duologue.measure.duplex.scenes import PAUSES
from duologue.measure.exchange import Exchange, exchange
from duologue.measure.figures import Spread
from duologue.measure.latency import QUESTIONS
from duologue.measure.lines import dial
from duologue.measure.phrases import marked
from duologue.measure.voices import VOICES, Spoken, quiet_room, speak

Kind = Literal["straight", "paused"]

TOKENS = 24
"""Text tokens of an answer at most, so that a run is short."""

_PULSE = 1.3
"""Seconds after which the server's figures of its engine are new ones."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Answers begun at one of the two moments."""

    unanswered: int
    cut_in: int
    """Answers that were audible before the last word had ended."""
    first_response: Spread | None
    """From the end of the last word; of the others."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Questions of one kind."""

    kind: Kind
    asked: int
    """Each of them both ways."""
    at_pause: Begun
    """With speculation."""
    at_endpoint: Begun
    """Without."""
    gain_ms: int | None
    """How much sooner the answer begins with it: median over the questions answered both ways."""
    taken_back: int | None
    """Answers that were begun and taken back; ``None``: the server does not say."""
    lost_s: float | None
    """Seconds of computing that went into these."""


@dataclass(frozen=True, slots=True)
class Speculation:
    """A run."""

    model: str
    kinds: tuple[Compared, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


async def speculation(
    url: str,
    *,
    questions: int = 16,
    model: str | None = None,
    token: str | None = None,
    told: Callable[[], None] = lambda: None,
) -> Speculation:
    """Puts ``questions`` of each kind, each twice. Raises as :func:`duologue.measure.latency.latency`."""
    name, kinds = "", []
    for kind in ("straight", "paused"):
        async with dial(url, model=model, token=token) as line:
            caller = Caller(line, room=quiet_room(0))
            await caller.join(session={"max_output_tokens": TOKENS})
            name = caller.model
            await exchange(caller, speak(QUESTIONS[0]).wave)  # what a server does for the first time takes longer
            await caller.listen(_PULSE)
            before = await _lost(url, token)
            pairs = []
            for number, (spoken, pause) in enumerate(_questions(kind, questions)):
                pairs.append(await _both(caller, spoken, pause, first=number % 2 == 0, told=told))
            await caller.listen(_PULSE)
            after = await _lost(url, token)
        kinds.append(_compared(kind, pairs, before, after))
    return Speculation(name, tuple(kinds))


def _questions(kind: Kind, many: int) -> Iterator[tuple[Sequence[Spoken], float]]:
    """What is said, and the seconds between its parts."""
    phrases = QUESTIONS if kind == "straight" else marked("duologue.measure.duplex", "phrases.txt", "report", "pause")
    for number in range(many):
        voice = VOICES[(number + number // len(phrases)) % len(VOICES)]
        parts = phrases[number % len(phrases)].split(" / ")
        yield [speak(part, voice) for part in parts], PAUSES[number % len(PAUSES)]


async def _both(
    caller: Caller, spoken: Sequence[Spoken], pause: float, *, first: bool, told: Callable[[], None]
) -> tuple[Exchange, Exchange]:
    """The same question with speculation and without; ``first``: in that order."""
    between = np.zeros(samples(pause), np.float32)
    parts = [part.wave[part.start : part.end] for part in spoken]
    wave = np.concatenate([piece for part in parts for piece in (between, part)][1:])
    answers = {}
    for speculate in (first, not first):
        extension = {"duologue": {"speculate": speculate}}
        await caller.line.send({"type": "session.update", "session": {"type": "realtime", **extension}})
        answers[speculate] = await exchange(caller, wave, len(wave))
        told()
    return answers[True], answers[False]


def _compared(
    kind: Kind, pairs: Sequence[tuple[Exchange, Exchange]], before: _Lost | None, after: _Lost | None
) -> Compared:
    gains = [
        one.latency - other.latency
        for other, one in pairs
        if one.latency is not None and other.latency is not None and min(one.latency, other.latency) >= 0
    ]
    return Compared(
        kind,
        len(pairs),
        _begun([pair[0] for pair in pairs]),
        _begun([pair[1] for pair in pairs]),
        round(1000 * median(gains)) if gains else None,
        None if before is None or after is None else after[0] - before[0],
        None if before is None or after is None else after[1] - before[1],
    )


def _begun(answers: Sequence[Exchange]) -> Begun:
    latencies = [answer.latency for answer in answers if answer.latency is not None]
    return Begun(
        unanswered=len(answers) - len(latencies),
        cut_in=sum(answer.cut_in for answer in answers),
        first_response=Spread.of([latency for latency in latencies if latency >= 0]),
    )


# -- the server's own figures -------------------------------------------------------------------------------------

_Lost = tuple[int, float]
"""Answers taken back, and the seconds of computing lost with them, since the engine began."""


async def _lost(url: str, token: str | None) -> _Lost | None:
    """``None`` where the server is none of ours, or has no engine."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        async with httpx.AsyncClient(timeout=5, headers=headers) as http:
            page = (await http.get(f"{url.rstrip('/')}/metrics")).raise_for_status().text
        families = [*text_string_to_metric_families(page)]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return None
    found = {sample.name: sample.value for family in families for sample in family.samples}
    try:
        return int(found["duologue_engine_taken_back"]), found["duologue_engine_lost_seconds"]
    except KeyError:
        return None
