"""One utterance being recognised: samples in, the best words so far out, in slices of 100 ms.

The *first ear* is the closed vocabulary. The *second*, PocketSphinx's open vocabulary, listens too where free
words are expected or the first is in doubt. Both read the same samples, each at its own pace. A third, which costs
next to nothing, holds the beginning against a few interjections. A careful one hears a stranger's short first words,
where the first ear doubts them still when it has heard them twice.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pocketsphinx

from duologue.audio import Wave
from duologue.ears.channel import Channel
from duologue.ears.clarity import Clarity
from duologue.ears.rate import RATE, Downsampler
from duologue.ears.vocabulary import Vocabulary

SLICE = RATE // 10
"""Samples (16 kHz) decoded at a time: 100 ms, 3 to 10 ms of work."""
LONGEST = 20 * RATE
"""Samples after which an utterance is cut, so that its lattice, and the end of it, stay small."""
OPEN_LONGEST = 8 * RATE
"""Samples the second ear listens to at most: it costs three times the first."""
READ_LONGEST = 30 * RATE
"""The same where it listens to everything and nobody waits for it."""

INTERJECTION = RATE * 5 // 4
"""Samples within which an utterance may be an interjection: 1.25 s, with the third that came before its onset."""

_DOUBT_AFTER = RATE
"""How much must be heard before doubt counts: a second. The scores of a word or two say little."""
_REHEAR_AT = (RATE * 7 // 10, RATE * 6 // 5, RATE * 2)
"""Of an unfamiliar channel: after so many samples, listen again from the start with what was learnt of it."""

_REHEAR_DOUBT = 0.5
_REHEAR_LONGEST = 3 * RATE
_SILENCE = 15
"""And once more when it has ended, or fallen silent for so many frames (10 ms), where it is short and doubtful: the
last words teach the channel too, and more of short ones. Of 342 spoken draws of the grammar 91.2 instead of 90.6 % are
answered rightly then (confidence below 0.5; 0.2 to 0.7 give the same), of 612 sentences to others one more."""

_CAREFULLY = 0.3
"""By how much the careful decoder's acoustic score is discounted: of the same words it is 0.57 higher in the median
(0.32 to 1.06). Of 134 requests in strangers' first words that the first ear doubts, 63 are answered with it, 61 of them
rightly, instead of 50 and 48; of 206 doubtful sentences to others none instead of one. (Discounted by 0.57 it is 59, 58
and none, by nothing 74, 67 and one.)"""


@dataclass(frozen=True, slots=True)
class Heard:
    """Words of a decoding, and its two scores (see :class:`~duologue.ears.vocabulary.Calibration`)."""

    text: str
    acoustic: float
    language: float


class Hearing:
    """One decoder following the samples of one utterance."""

    def __init__(self, decoder: pocketsphinx.Decoder, channel: Channel) -> None:
        self.decoder = decoder
        self.position = 0
        self.channel = channel
        """As known when the decoding began; better after :meth:`again`."""
        self._parts: list[str] = []
        self._begin = 0
        self._listening = True
        channel.tell(decoder)
        decoder.start_utt()

    def listen(self, samples: bytes) -> None:
        """Decode 16-bit samples that follow those before."""
        if self.position - self._begin >= LONGEST:
            self._cut()
        self.decoder.process_raw(samples, False, False)
        self.position += len(samples) // 2

    def _cut(self) -> None:
        self._end()
        self._parts.append(self._heard().text)
        self._begin = self.position
        self.decoder.start_utt()
        self._listening = True

    def again(self) -> None:
        """Back to the first sample, with what was learnt of the channel."""
        self.channel = self.learnt()
        self.channel.tell(self.decoder)
        self._parts.clear()
        self.position = self._begin = 0
        self.decoder.start_utt()
        self._listening = True

    def learnt(self) -> Channel:
        """The channel, as far as this utterance tells; ends the decoding."""
        self._end()
        return self.channel.after(self.decoder, (self.position - self._begin) * 100 // RATE)

    def _end(self) -> None:
        if self._listening:
            self.decoder.end_utt()
            self._listening = False

    def heard(self) -> Heard:
        """The words so far; those of cut parts come first."""
        last = self._heard()
        return Heard(" ".join(filter(None, (*self._parts, last.text))), last.acoustic, last.language)

    @property
    def silence(self) -> int:
        """Frames (10 ms) of silence at the end of what was decoded, after words."""
        segments = list(self.decoder.seg() or ())
        last = segments[-1] if len(segments) > 1 else None
        return last.end_frame - last.start_frame + 1 if last is not None and last.word[0] in "<[" else 0

    @property
    def spoken(self) -> int:
        """Frames (10 ms) up to the end of the last word."""
        words = (segment for segment in self.decoder.seg() or () if segment.word[0] not in "<[+(")
        return max((segment.end_frame + 1 for segment in words), default=0)

    def _heard(self) -> Heard:
        words, frames, acoustic, language = [], 0, 0.0, 0.0
        for segment in self.decoder.seg() or ():
            if segment.word[0] in "<[+(":  # silence, noises, the joints of a grammar
                continue
            words.append(_spelt(segment.word))
            frames += segment.end_frame - segment.start_frame + 1
            acoustic += _log(segment.ascore)
            language += _log(segment.lscore)
        return Heard(" ".join(words), acoustic / max(frames, 1), language / max(len(words), 1))


@cache
def _spelt(word: str) -> str:
    """A word of the dictionary without the number of its pronunciation."""
    return re.sub(r"\(\d+\)$", "", word)


def _log(score: float) -> float:
    """The natural logarithm that PocketSphinx means: it hands scores out as exp(score / 1024), still some underflow."""
    return 1024.0 * (math.log(score) if score > 0 else -745.0)


@dataclass(frozen=True, slots=True)
class Said:
    """What a worker tells of an utterance."""

    text: str
    until: int
    """Samples at 24 kHz accounted for by every ear that listens."""
    final: bool
    confidence: float | None
    open_text: str | None
    interjection: str | None
    """Which interjection it is most like; ``None`` where it is too long for one, or like none."""
    clarity: float | None
    """How directly the voice comes, in dB (:mod:`.clarity`); ``None`` where noise hides it."""


class Utterance:
    """One utterance, from its first samples to its final words. Whoever drives it calls

    * :meth:`step` while :attr:`ready`, and tells what :meth:`say` returns unless that is ``None``;
    * :meth:`step_second` while :attr:`second_ready`, after everybody's first ear;
    * :meth:`listen_too` with a free open decoder where :attr:`wants_second`, :meth:`release` when it is over.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        decoder: pocketsphinx.Decoder,
        channel: Channel,
        interjections: pocketsphinx.Decoder | None = None,
        careful: pocketsphinx.Decoder | None = None,
    ) -> None:
        """``interjections``: see :meth:`Vocabulary.interjection_decoder`. ``careful``: see
        :meth:`Vocabulary.careful_decoder`; utterances of one thread share it, none needs it beyond one :meth:`step`."""
        self.first = Hearing(decoder, channel)
        self.third = None if interjections is None else Hearing(interjections, channel)
        self.second: Hearing | None = None
        self._vocabulary = vocabulary
        self._free = re.compile(vocabulary.open_after) if vocabulary.open_after else None
        self._beside = vocabulary.open_beside
        self._open_longest = READ_LONGEST if self._beside else OPEN_LONGEST
        self._rehear = [] if channel.familiar else list(_REHEAR_AT)
        self._rehear_at_end = not channel.familiar
        self._careful = careful
        self._careful_next = False
        self._carefully: tuple[Heard, int] | None = None
        """What the careful decoder made of it, and of how many frames."""
        self._furthest = 0
        self._downsampler = Downsampler()
        self._samples = bytearray()
        self._clarity = Clarity()
        self._dropped = 0
        self._pushed = 0
        self._finishing = False
        self.heard = Heard("", 0.0, 0.0)
        """What the first ear makes of it so far."""
        self._confidence: float | None = None

    # -- samples in -------------------------------------------------------------------------------------

    def push(self, wave: Wave) -> None:
        """More samples at 24 kHz."""
        self._pushed += len(wave)
        self._append(self._downsampler.push(wave))

    def finish(self) -> None:
        """No more will be pushed."""
        if not self._finishing:
            self._finishing = True
            self._append(self._downsampler.push(np.zeros(2, dtype=np.float32)))  # samples that wait for a third

    def _append(self, wave: Wave) -> None:
        self._clarity.push(wave)
        self._samples += np.rint(np.clip(wave, -1.0, 1.0) * 32_767.0).astype("<i2").tobytes()

    @property
    def _end(self) -> int:
        """Position (16 kHz) after the last sample to decode."""
        return self._dropped + len(self._samples) // 2

    def _slice(self, position: int) -> bytes:
        begin = (position - self._dropped) * 2
        return bytes(self._samples[begin : begin + SLICE * 2])

    # -- the two ears -----------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether samples wait for the first ear."""
        return self.first.position < self._end

    @property
    def waiting(self) -> int:
        """Samples (16 kHz) that the first ear has still to hear."""
        return self._end - self.first.position

    def step(self) -> None:
        """The first ear hears one slice."""
        self.first.listen(self._slice(self.first.position))
        if self.third is not None and self.third.position <= INTERJECTION:  # it hears nothing twice
            new = self.first.position - self.third.position
            if new > 0:
                self.third.listen(self._slice(self.third.position)[: 2 * new])
        if self._rehear and self.first.position >= self._rehear[0]:
            self._rehear.pop(0)
            self._furthest = self.first.position
            self.first.again()
        if self.first.position >= self._furthest:
            self._judge(self.first.heard())
            if self._worth_rehearing:
                self._rehear_at_end = False
                self._furthest = self.first.position
                self.first.again()
                self._careful_next = self._careful is not None
            elif self._careful_next:
                self._careful_next = False
                self._hear_carefully()
        self._forget()

    @property
    def _worth_rehearing(self) -> bool:
        if not self._rehear_at_end or self._confidence is None or self._confidence >= _REHEAR_DOUBT:
            return False
        over = (self._finishing and not self.ready) or self.first.silence >= _SILENCE
        return over and self.first.position <= _REHEAR_LONGEST

    def _hear_carefully(self) -> None:
        """All of it once more by the careful decoder, if it is still in doubt. Short as it is, that takes a tenth of a
        second or two, and nobody else is heard meanwhile."""
        if self._careful is None or self._confidence is None or self._confidence >= _REHEAR_DOUBT:
            return
        hearing = Hearing(self._careful, self.first.channel)
        hearing.listen(bytes(self._samples[: 2 * self.first.position]))
        hearing.learnt()
        heard = hearing.heard()
        if heard.text:
            self._carefully = replace(heard, acoustic=heard.acoustic - _CAREFULLY), self.first.position * 100 // RATE
            self._judge(self.first.heard())

    def _judge(self, heard: Heard) -> None:
        if self._carefully is not None:
            careful, frames = self._carefully
            if self.first.spoken <= frames:
                heard = careful
            else:  # the voice went on
                self._carefully = None
        self.heard = heard
        if self._vocabulary.calibration is not None and heard.text:
            self._confidence = self._vocabulary.calibration.confidence(heard.acoustic, heard.language)

    def _forget(self) -> None:
        """Let go of samples that nobody will hear again."""
        if self.second is None and self.first.position > self._open_longest:
            del self._samples[: (self.first.position - self._dropped) * 2]
            self._dropped = self.first.position

    @property
    def wants_second(self) -> bool:
        """Whether the second ear should listen, from the beginning."""
        if self.second is not None or self._end >= self._open_longest or not self.heard.text:
            return False
        if self._beside:
            return True
        if self._free is not None and self._free.search(self.heard.text):
            return True
        doubtful = self._confidence is not None and self._confidence < self._vocabulary.doubt
        return doubtful and (self._finishing or self.first.position >= _DOUBT_AFTER)

    @property
    def insists(self) -> bool:
        """Whether it waits for a second ear that is busy elsewhere."""
        return self._beside and self._finishing and self.wants_second

    def listen_too(self, decoder: pocketsphinx.Decoder) -> None:
        """The second ear begins, with what the first has learnt of the channel."""
        self.second = Hearing(decoder, self.first.channel)

    @property
    def second_ready(self) -> bool:
        """Whether samples wait for the second ear."""
        return self.second is not None and self.second.position < self._end

    def step_second(self) -> None:
        """The second ear hears one slice."""
        assert self.second is not None
        self.second.listen(self._slice(self.second.position))

    @property
    def too_long_for_second(self) -> bool:
        """Whether the second ear has heard as much as it may; release it then, its words are incomplete."""
        return self.second is not None and self.second.position >= self._open_longest

    def release(self) -> pocketsphinx.Decoder | None:
        """Give the second ear's decoder back."""
        if self.second is None:
            return None
        self.second.learnt()
        decoder, self.second = self.second.decoder, None
        return decoder

    # -- words out --------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether all was heard and no more will come: time for the last words."""
        return self._finishing and not self.ready and not self.second_ready

    def say(self) -> Said | None:
        """The words so far; ``None`` while old samples are heard again."""
        if self.first.position < self._furthest and not self.over:
            return None
        return self._said(final=False)

    def conclude(self) -> tuple[Said, Channel]:
        """The last words, and the channel as known now."""
        channel = self.end()
        self._judge(self.first.heard())
        return self._said(final=True), channel

    def end(self) -> Channel:
        """The decoders are free for the next utterance (but the second: :meth:`release`); the channel as known now."""
        if self.third is not None:
            self.third.learnt()
        return self.first.learnt()

    def _said(self, *, final: bool) -> Said:
        position = self.first.position
        caught_up = self.second is not None and self.second.position >= self._end
        if self.second is not None and not self._beside:
            position = min(position, self.second.position)
        return Said(
            text=self.heard.text,
            until=position * 3 // 2 if position < self._end else self._pushed,
            final=final,
            confidence=self._confidence,
            open_text=self.second.heard().text if self.second is not None and caught_up else None,
            interjection=self._interjection(),
            clarity=self._clarity.value,
        )

    def _interjection(self) -> str | None:
        if self.third is None or self._end > INTERJECTION or self.third.position < self.first.position:
            return None
        return self.third.heard().text or None
