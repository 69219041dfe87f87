"""Is a stranger answered, and other talk left alone? What is answered out of the blue was chosen by this.

    python -m duologue.measure.strangers [--share 0.1]

Everything is somebody's first words: draws of the grammar, and what people say to each other (the sentences marked
``tune`` and ``judge``), none of which the reports use. *Dry*, as most benchmarks have it; *near*, in rooms that
reverberate 0.2 to 0.6 s, 3 to 12 dB below the voice; from *afar* as ``bench duplex`` has it, or *across* rooms that
reverberate 0.3 to 0.8 s, 2 to 12 dB above the voice. They go through pocket's ear in this process and its brain: no
sockets, no floor, no voice activity. About 0.35 s each on one core, 20 minutes for all.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import click
import numpy as np
import pocketsphinx

from duologue.audio import Wave, samples
from duologue.audio.level import loudness
from duologue.backends.pocket.brain.phrasings import known
from duologue.backends.pocket.brain.skills import BY_NAME
from duologue.backends.pocket.language import vocabulary
from duologue.ears.channel import Channel
from duologue.ears.recognizer import Words
from duologue.ears.utterance import Utterance
from duologue.measure.duplex.scenes import far
from duologue.measure.phrases import marked, other_talk
from duologue.measure.understanding import Outcome, Request, in_a_room, judged
from duologue.measure.voices import speak

FLITE = ("slt", "kal16", "awb")
ESPEAK = ("espeak:en-us", "espeak:en-gb", "espeak:en-us+f3", "espeak:en-gb-scotland", "espeak:en-us+m3")

_SEEDS = (4711, 5822)
_LONGEST = 9
"""Words of a request."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody who says something."""

    request: Request
    voice: str
    where: str


def strangers() -> Iterator[Stranger]:
    """All of them, the same at every call."""
    report = set(marked("duologue.measure.duplex", "phrases.txt", "report", "turn"))
    asked = [Request(text, skill, slots) for seed in _SEEDS for text, skill, slots in known(seed, 3)
             if text not in report and len(text.split()) <= _LONGEST and not BY_NAME[skill].chat]  # fmt: skip
    talked = other_talk("tune") + marked("duologue.measure", "other_talk.txt", "judge")
    for number, request in enumerate(asked + [Request(text, "", {}) for text in talked]):
        voices = (*FLITE, ESPEAK[number % len(ESPEAK)])
        yield from (Stranger(request, voice, "dry") for voice in voices)
        yield Stranger(request, voices[number % 4], "near")
        if not request.skill:
            yield Stranger(request, voices[(number + 1) % 4], "afar")
            yield Stranger(request, voices[(number + 2) % 4], "across")


def reverberant(wave: Wave, seconds: float, direct: float, *, seed: int) -> Wave:
    """A voice in a room that falls by 60 dB in ``seconds``, the voice itself ``direct`` dB above the rest."""
    length = samples(seconds)
    tail = np.random.default_rng(seed).standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail[: samples(0.002)] = 0.0
    tail *= 10 ** (-direct / 20) / np.sqrt(np.sum(np.square(tail)))
    tail[0] = 1.0
    size = len(wave) + length - 1
    return np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(tail, size), size).astype(np.float32)


def _spoken(stranger: Stranger, seed: int) -> Wave:
    spoken = speak(stranger.request.text, stranger.voice)
    wave = spoken.wave[spoken.start : spoken.end]
    chance = random.Random(seed)
    match stranger.where:
        case "afar":
            return far(wave, seed=seed)
        case "near":
            heard = reverberant(wave, chance.uniform(0.2, 0.6), chance.uniform(3, 12), seed=seed)
            gain = chance.uniform(-6, 3)
        case "across":
            heard = reverberant(wave, chance.uniform(0.3, 0.8), chance.uniform(-12, -2), seed=seed)
            gain = chance.uniform(-18, -8)
        case _:
            return wave
    return (heard * 10 ** ((loudness(wave) + gain - loudness(heard)) / 20)).astype(np.float32)


def hear(stranger: Stranger, decoder: pocketsphinx.Decoder, careful: pocketsphinx.Decoder | None, seed: int) -> Outcome:
    """What pocket makes of it."""
    wave = _spoken(stranger, seed)
    utterance = Utterance(vocabulary(), decoder, Channel.unknown(), careful=careful)
    utterance.push(in_a_room(wave, 0, len(wave), None, seed=seed))
    utterance.finish()
    while utterance.ready:
        utterance.step()
    said, _ = utterance.conclude()
    words = Words(said.text, said.until, True, said.confidence, None, None, said.clarity)
    return judged(stranger.request, words)


@click.command()
@click.option("--share", type=click.FloatRange(0.001, 1.0), default=1.0, show_default=True, help="Of all of them.")
def main(share: float) -> None:
    """Strangers' first words: what is answered."""
    chosen = [*strangers()]
    random.Random(0).shuffle(chosen)
    decoder, careful = vocabulary().decoder(), vocabulary().careful_decoder()
    rows: defaultdict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for number, stranger in enumerate(chosen[: max(1, round(share * len(chosen)))]):
        kind = "requests" if stranger.request.skill else "other talk"
        synthesizer = stranger.voice.rpartition(":")[0] or "flite"
        rows[kind, stranger.where, synthesizer].append(hear(stranger, decoder, careful, number))
    for (kind, where, synthesizer), outcomes in sorted(rows.items()):
        answered = sum(outcome.answered for outcome in outcomes)
        right = sum(outcome.answered and outcome.right for outcome in outcomes)
        rightly = f", {right} rightly" if kind == "requests" else ""
        click.echo(f"{kind:<10} {where:<6} {synthesizer:<6} {answered} of {len(outcomes)} answered{rightly}")


if __name__ == "__main__":
    main()
