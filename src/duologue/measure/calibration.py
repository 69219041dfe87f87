"""How sure pocket's ear may be of its words: fits the :class:`~duologue.ears.vocabulary.Calibration`.

    python -m duologue.measure.calibration            fits it and writes language/calibration.json
    python -m duologue.measure.calibration --check    only reports how the present one does

Two kinds of speech are told apart by the two scores that every decoding yields. *Ours*: known and rephrased requests,
of whose words at most a third are wrong. *Others'*: what people say to each other and what comes out of a television,
near by and from across the room, long sentences and short ones, which is as important: were all of it long, its length
would give it away. Fitted on flite's slt, kal16 and awb; reported on other sentences, and on rms, which nothing was
fitted on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import resources

import click
import numpy as np
from numpy.typing import NDArray

from duologue.backends.pocket.brain.phrasings import held_out, known
from duologue.backends.pocket.language import CALIBRATION, vocabulary
from duologue.ears.channel import Channel
from duologue.ears.utterance import Utterance
from duologue.ears.vocabulary import Calibration
from duologue.measure.duplex.scenes import far
from duologue.measure.phrases import other_talk
from duologue.measure.understanding import in_a_room, word_errors
from duologue.measure.voices import speak

FITTED_ON = ("slt", "kal16", "awb")
REPORTED_ON = (*FITTED_ON, "rms")
THRESHOLDS = (0.1, 0.2, 0.35, 0.5)

_KNOWN_SEED = 77
_TURNS = 6
"""Utterances in a conversation: the channel is a stranger's at the beginning of each."""
_RIDGE = 1e-3


@dataclass(frozen=True, slots=True)
class Sample:
    """One utterance: was it ours, and how it scored."""

    ours: bool
    acoustic: float
    language: float


def listen(texts: Sequence[str], voice: str, *, ours: bool, distant: bool = False) -> Iterator[Sample]:
    """Hears ``texts`` in a quiet room; those of ours that were misheard, and those with no words, are left out."""
    words = vocabulary()
    decoder = words.decoder()
    channel = Channel.unknown()
    for number, text in enumerate(texts):
        if number % _TURNS == 0:
            channel = Channel.unknown()
        spoken = speak(text, voice)
        wave = spoken.wave[spoken.start : spoken.end]
        wave = far(wave, seed=number) if distant else wave
        utterance = Utterance(words, decoder, channel)
        utterance.push(in_a_room(wave, 0, len(wave), None, seed=len(text)))
        utterance.finish()
        while utterance.ready:
            utterance.step()
        heard = utterance.heard
        _, channel = utterance.conclude()
        if heard.text and not (ours and 3 * word_errors(text, heard.text) > len(text.split())):
            yield Sample(ours, heard.acoustic, heard.language)


def fitted(samples: Sequence[Sample]) -> Calibration:
    """The logistic regression of ``ours`` on the two scores, both kinds weighing the same (Newton's method)."""
    ours = np.array([float(sample.ours) for sample in samples])
    scores = np.array([(1.0, sample.acoustic, sample.language) for sample in samples])
    weight = np.where(ours > 0, 0.5 / ours.sum(), 0.5 / (1 - ours).sum()) * len(ours)
    factors: NDArray[np.float64] = np.zeros(3)
    for _ in range(50):
        sure = 1 / (1 + np.exp(-scores @ factors))
        slope = scores.T @ (weight * (ours - sure)) - _RIDGE * factors
        curvature = (scores * (weight * sure * (1 - sure))[:, None]).T @ scores + _RIDGE * np.eye(3)
        factors += np.linalg.solve(curvature, slope)
    bias, acoustic, language = (round(float(factor), 4) for factor in factors)
    return Calibration(bias, acoustic, language)


def report(calibration: Calibration, samples: Sequence[Sample]) -> str:
    """What the confidence does to ``samples``, at several thresholds."""
    sure = np.array([calibration.confidence(sample.acoustic, sample.language) for sample in samples])
    ours = np.array([sample.ours for sample in samples])
    below = {at: f"{(sure[ours] < at).mean():.1%} of ours below, " if ours.any() else "" for at in THRESHOLDS}
    return ", ".join(f"{at:g}: {below[at]}{(sure[~ours] >= at).mean():.1%} of others' above" for at in THRESHOLDS)


@click.command()
@click.option("--check", is_flag=True, help="Fit nothing, only report.")
def main(check: bool) -> None:
    """Fit the confidence of pocket's ear, and report it."""
    if check:
        calibration = Calibration(**json.loads(CALIBRATION.read_text()))
    else:
        rephrased = resources.files("duologue.measure").joinpath("rephrased.txt").read_text(encoding="utf-8")
        ours = [text for text, _, _ in known(_KNOWN_SEED, 2)]
        ours += [line for line in rephrased.splitlines() if line and not line.startswith("#")]
        samples: list[Sample] = []
        for voice in FITTED_ON:
            samples += listen(ours, voice, ours=True)
            samples += listen(other_talk("tune"), voice, ours=False)
            samples += listen(other_talk("tune"), voice, ours=False, distant=True)
        calibration = fitted(samples)
        CALIBRATION.write_text(json.dumps(asdict(calibration)) + "\n")
        click.echo(f"{CALIBRATION.name}: {asdict(calibration)}, of {len(samples)} utterances")
    for voice in REPORTED_ON:
        unseen = [*listen([text for text, _, _ in held_out()], voice, ours=True)]
        unseen += listen(other_talk("report"), voice, ours=False)
        click.echo(f"{voice}: {report(calibration, unseen)}")
        away = [*listen(other_talk("report"), voice, ours=False, distant=True)]
        click.echo(f"{voice}, from across the room: {report(calibration, away)}")


if __name__ == "__main__":
    main()
