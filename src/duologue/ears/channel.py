"""What a speaker and a microphone sound like on average, so that it can be taken away from what is said.

PocketSphinx subtracts a running mean of the cepstrum. It starts from a stranger's mean and counts that as five
seconds of evidence, so the first utterances of a conversation are heard through the wrong room: with a voice or a
level far from the stranger's, a third more words are wrong, at -30 dB most of them. Here the mean of each
session is estimated from its own speech, with the stranger's counting half a second only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pocketsphinx
from numpy.typing import NDArray

_DECODER_WEIGHT = 500
"""Frames of evidence that a decoder counts its starting mean as (its ``CMN_WIN``)."""
_DECODER_LIMIT = 300
"""Frames after which a decoder begins to forget (its ``CMN_WIN_HWM`` less its ``CMN_WIN``)."""
_STRANGER_WEIGHT = 50
_MEMORY = 300
"""Frames of earlier speech that are remembered at most, so that a change of room is followed."""

_STRANGER = np.array([40.0, 3.0, -1.0] + [0.0] * 10)
"""The acoustic model's own starting mean."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Mean cepstrum [13] of the speech of one session so far, and how many frames (10 ms) it is the mean of."""

    mean: NDArray[np.float64]
    frames: int

    @staticmethod
    def unknown() -> Channel:
        """A session nothing was heard of yet."""
        return Channel(_STRANGER, 0)

    @property
    def familiar(self) -> bool:
        """Whether enough was heard that a few words more will not move the estimate much."""
        return self.frames >= _MEMORY // 2

    def tell(self, decoder: pocketsphinx.Decoder) -> None:
        """Set the decoder, between two utterances, to this channel."""
        weight = _STRANGER_WEIGHT + self.frames
        mean = (_STRANGER_WEIGHT * _STRANGER + self.frames * self.mean) / weight
        decoder.set_cmn(",".join(f"{value:.5g}" for value in mean))

    def after(self, decoder: pocketsphinx.Decoder, frames: int) -> Channel:
        """This channel and the utterance of so many frames that the decoder, told of this channel, just ended."""
        if frames == 0:
            return self
        weight = _STRANGER_WEIGHT + self.frames
        told = (_STRANGER_WEIGHT * _STRANGER + self.frames * self.mean) / weight
        now = np.array([float(value) for value in decoder.get_cmn(True).split(",")])
        if frames < _DECODER_LIMIT:
            now = (now * (_DECODER_WEIGHT + frames) - _DECODER_WEIGHT * told) / frames
        total = self.frames + frames
        return Channel((self.frames * self.mean + frames * now) / total, min(total, _MEMORY))

    def to_json(self) -> str:
        return json.dumps({"mean": self.mean.tolist(), "frames": self.frames})

    @staticmethod
    def from_json(text: str) -> Channel:
        """The inverse of :meth:`to_json`."""
        fields = json.loads(text)
        return Channel(np.array(fields["mean"]), fields["frames"])
