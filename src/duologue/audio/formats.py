"""Audio as it travels: 16-bit PCM at 24 kHz, and G.711 (mu-law and A-law) at 8 kHz.

A session's audio is a stream, so decoding and encoding are streams as well: any cut of the same bytes gives
the same samples. PCM passes at once. G.711 is resampled by soxr at quality LQ: the quickest of its qualities
that rejects images and aliases (both below -100 dB; QQ lets images through at -11 dB). It is flat to 3 kHz,
-8 dB at 3.4 kHz, and because it works in blocks it holds back 5 to 40 ms (mean 22 ms) of the stream until
more comes or the stream is finished.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Literal, TypeAlias

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from duologue.audio import RATE, Wave

Format: TypeAlias = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
"""Names of the OpenAI Realtime protocol: PCM16 at 24 kHz, G.711 mu-law at 8 kHz, G.711 A-law at 8 kHz."""

TELEPHONE_RATE = 8_000
"""Samples per second of G.711; a sample is a byte."""

_HELD_BACK = RATE // 10
"""More samples at 24 kHz than the resampler ever holds back."""

_SUBTYPE: dict[Format, str] = {"audio/pcmu": "ULAW", "audio/pcma": "ALAW"}


def decode_pcm16(data: bytes | bytearray) -> Wave:
    """Little-endian 16-bit samples to a wave [len(data) / 2] in [-1, 1); ValueError where a sample is cut."""
    if len(data) % 2:
        raise ValueError(f"{len(data)} bytes are no whole number of 16-bit samples")
    wave: Wave = np.frombuffer(data, dtype="<i2").astype(np.float32)
    wave /= np.float32(32_768)
    return wave


def encode_pcm16(wave: Wave) -> bytes:
    """The inverse of :func:`decode_pcm16`; what lies beyond [-1, 1) is clipped."""
    return _integers(wave).tobytes()


def decode_g711(data: bytes | bytearray, form: Format) -> Wave:
    """G.711 bytes to a wave [len(data)] at 8 kHz."""
    return _expand(form)[np.frombuffer(data, dtype=np.uint8)]


def encode_g711(wave: Wave, form: Format) -> bytes:
    """A wave [n] at 8 kHz to n bytes of G.711; what lies beyond [-1, 1) is clipped."""
    return _compress(form)[_integers(wave).view(np.uint16)].tobytes()


class Resampler:
    """One stream of mono samples from one rate to another, at one of soxr's qualities."""

    def __init__(self, rate_in: int, rate_out: int, quality: Literal["LQ", "MQ", "HQ"] = "LQ") -> None:
        self._stream = soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32", quality=quality)

    def push(self, wave: Wave) -> Wave:
        """What of the output is ready after these samples; often nothing, then a block."""
        result: Wave = self._stream.resample_chunk(wave)
        return result

    def finish(self) -> Wave:
        """What was held back. Nothing may be pushed afterwards."""
        result: Wave = self._stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
        return result


class Decoder:
    """One stream of a client's audio to waves at 24 kHz."""

    def __init__(self, form: Format) -> None:
        self.form = form
        self._resampler = None if form == "audio/pcm" else Resampler(TELEPHONE_RATE, RATE)

    def push(self, data: bytes | bytearray) -> Wave:
        """Whole samples only: ValueError where a PCM sample is cut, and the stream is as before."""
        if self._resampler is None:
            return decode_pcm16(data)
        return self._resampler.push(decode_g711(data, self.form))

    def at_most(self, count: int) -> int:
        """Samples that the next ``count`` bytes give at most, what was held back before them included."""
        return count // 2 if self._resampler is None else count * RATE // TELEPHONE_RATE + _HELD_BACK


class Encoder:
    """One stream of waves at 24 kHz to a client's audio."""

    def __init__(self, form: Format) -> None:
        self.form = form
        self._resampler = None if form == "audio/pcm" else Resampler(RATE, TELEPHONE_RATE)

    def push(self, wave: Wave) -> bytes:
        """Whole samples, maybe none yet."""
        if self._resampler is None:
            return encode_pcm16(wave)
        return encode_g711(self._resampler.push(wave), self.form)

    def finish(self) -> bytes:
        """What was held back. Nothing may be pushed afterwards."""
        if self._resampler is None:
            return b""
        return encode_g711(self._resampler.finish(), self.form)


def encode(wave: Wave, form: Format) -> bytes:
    """A whole wave at 24 kHz in a client's format."""
    encoder = Encoder(form)
    return encoder.push(wave) + encoder.finish()


def decode(data: bytes | bytearray, form: Format) -> Wave:
    """Whole audio in a client's format as a wave at 24 kHz; ValueError where a PCM sample is cut."""
    if form == "audio/pcm":
        return decode_pcm16(data)
    resampler = Resampler(TELEPHONE_RATE, RATE)
    return np.concatenate((resampler.push(decode_g711(data, form)), resampler.finish()))


def _integers(wave: Wave) -> NDArray[np.int16]:
    """Samples as 16-bit integers, little-endian, clipped."""
    result: NDArray[np.int16] = np.clip(np.rint(wave * np.float32(32_768)), -32_768, 32_767).astype("<i2")
    return result


# libsndfile knows G.711; its two directions are read off it once as tables, because opening it as a "file"
# for every packet of 20 ms costs far more than the conversion.


@cache
def _expand(form: Format) -> Wave:
    """The wave's value for each of the 256 codes."""
    codes = io.BytesIO(bytes(range(256)))
    values, _ = soundfile.read(
        codes, samplerate=TELEPHONE_RATE, channels=1, format="RAW", subtype=_SUBTYPE[form], dtype="int16"
    )
    table: Wave = values.astype(np.float32) / np.float32(32_768)
    return table


@cache
def _compress(form: Format) -> NDArray[np.uint8]:
    """The code for each of the 65,536 sample values, indexed by the value's bits as an unsigned integer."""
    file = io.BytesIO()
    every = np.arange(65_536, dtype=np.uint16).view(np.int16)
    soundfile.write(file, every, TELEPHONE_RATE, format="RAW", subtype=_SUBTYPE[form])
    return np.frombuffer(file.getvalue(), dtype=np.uint8)
