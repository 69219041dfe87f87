"""What a recogniser listens for: a language model, its dictionary, and how its answers are judged."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pocketsphinx

_ENGLISH = Path(pocketsphinx.get_model_path()) / "en-us"


@dataclass(frozen=True, slots=True)
class Calibration:
    """How sure to be of an answer: a logistic function of two figures that every decoding yields.

    ``acoustic``: mean score of a frame of the words, relative to the best sound tried there;
    ``language``: mean score of a word by the language model, times its weight. Both are natural logarithms.
    Words of another domain, forced into this vocabulary, are poor in both, in the second above all.
    """

    bias: float
    acoustic: float
    language: float

    def confidence(self, acoustic: float, language: float) -> float:
        """Probability (0 to 1) that the words belong to the vocabulary's domain and are about right."""
        logit = self.bias + self.acoustic * acoustic + self.language * language
        return 0.5 + 0.5 * math.tanh(logit / 2)  # the logistic function, without overflow


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A closed vocabulary with its trigrams, beside PocketSphinx's own open one."""

    language_model: Path
    """ARPA (also gzipped) or PocketSphinx's binary form."""
    dictionary: Path
    calibration: Calibration | None = None
    """Without it no confidence is given, and doubt never asks for a second opinion."""
    open_after: str = ""
    """A regular expression: where it matches the words so far, free words follow, and the open ear listens too."""
    doubt: float = 0.5
    """Below this confidence the open ear listens too."""
    open_beside: bool = False
    """The open ear listens to every utterance, along with it where it can, else when it is over; nobody waits for it
    before."""
    interjections: Mapping[str, float] = field(default_factory=dict)
    """Phrases, and how likely each is, that the beginning of an utterance is held against by themselves."""
    language_weight: float = 6.5
    insertion: float = 0.65
    """PocketSphinx's ``lw`` and ``wip``: how much the trigrams count, and what another word costs."""

    def __post_init__(self) -> None:
        for file in (self.language_model, self.dictionary):
            if not file.is_file():
                message = f"the recogniser's {file.name} is missing from {file.parent}; reinstall duologue"
                raise FileNotFoundError(message)
        re.compile(self.open_after)

    @property
    def may_ask(self) -> bool:
        """Whether there are utterances of which the open ear is asked, too."""
        return self.open_beside or bool(self.open_after) or self.calibration is not None

    def to_json(self) -> str:
        """For a worker's command line."""
        return json.dumps(asdict(self), default=str)

    @staticmethod
    def from_json(text: str) -> Vocabulary:
        """The inverse of :meth:`to_json`."""
        fields = json.loads(text)
        calibration = fields.pop("calibration")
        return Vocabulary(
            Path(fields.pop("language_model")),
            Path(fields.pop("dictionary")),
            calibration=None if calibration is None else Calibration(**calibration),
            **fields,
        )

    def decoder(self) -> pocketsphinx.Decoder:
        """A decoder of this vocabulary: one pass, about 8 MB, 20 to 60 ms to make."""
        return _decoder(
            lm=str(self.language_model),
            dict=str(self.dictionary),
            lw=self.language_weight,
            wip=self.insertion,
        )

    def careful_decoder(self) -> pocketsphinx.Decoder | None:
        """The same with PocketSphinx's second pass over all it heard, which knows each word's neighbours and takes half
        as long again; ``None`` where there is no calibration, so that nothing is ever in doubt."""
        if self.calibration is None:
            return None
        return _decoder(
            lm=str(self.language_model),
            dict=str(self.dictionary),
            lw=self.language_weight,
            wip=self.insertion,
            fwdflat=True,
            fwdflatlw=self.language_weight,
        )

    def interjection_decoder(self) -> pocketsphinx.Decoder | None:
        """A decoder of the interjections and nothing else, about 8 MB; ``None`` where there are none."""
        if not self.interjections:
            return None
        decoder = _decoder(lm=None, dict=str(self.dictionary))
        phrases = " | ".join(f"/{weight}/ {phrase}" for phrase, weight in self.interjections.items())
        decoder.add_jsgf_string("interjections", f"#JSGF V1.0; grammar few; public <few> = {phrases};")
        decoder.activate_search("interjections")
        return decoder


def english(interjections: Mapping[str, float] | None = None) -> Vocabulary:
    """PocketSphinx's own US English as a vocabulary, where anything may be said; a decoder takes about 100 MB."""
    return Vocabulary(_ENGLISH / "en-us.lm.bin", _ENGLISH / "cmudict-en-us.dict", interjections=interjections or {})


def open_decoder() -> pocketsphinx.Decoder:
    """A decoder of PocketSphinx's own US English: 20 000 words, about 100 MB, a quarter of a second to make."""
    return _decoder()


def _decoder(**more: object) -> pocketsphinx.Decoder:
    settings: dict[str, object] = {
        "hmm": str(_ENGLISH / "en-us"),
        "lm": str(_ENGLISH / "en-us.lm.bin"),
        "dict": str(_ENGLISH / "cmudict-en-us.dict"),
        "samprate": 16_000,
        "fwdflat": False,  # the second and third pass wait for the end of the utterance
        "bestpath": False,
        "loglevel": "FATAL",  # an utterance that is no interjection to its end is an "error", what matters is raised
    }
    return pocketsphinx.Decoder(pocketsphinx.Config(**{**settings, **more}))
