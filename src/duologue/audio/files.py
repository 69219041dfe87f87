"""Audio files in and out: whatever libsndfile reads becomes a :data:`~duologue.audio.Wave`.

People hand over what their recorder wrote: 8, 16, 24 or 32 bits, floats, one channel or several, 8 to
96 kHz, WAV, FLAC, OGG or MP3. What cannot be read honestly is refused with the file's name, the cause and
what to do about it; in particular a file that was cut off is not taken for a shorter one.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import soundfile
import soxr

from duologue.audio import RATE, Wave

SLOWEST, FASTEST = 4_000, 384_000
"""Sample rates accepted, in Hz. Outside them a header is more likely damaged than true."""

_LOUDEST = 4.0
"""Float samples beyond this are not overshoot (which is clipped) but another scale, such as ±32768."""

_PLAIN = 1
"""The kind of a WAV whose samples are plain numbers. libsndfile would take those of less than 8 bits for bytes."""

_UNKNOWN_LENGTH = 0x7FFF_0000
"""Data sizes from here on are what programs that write to a pipe put in a WAV header: not known."""


class AudioFileError(ValueError):
    """An audio file cannot be read or written; the message names the file, the cause and the remedy."""

    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(f"{path}: {cause}")
        self.path = path


def read_wave(path: str | Path) -> Wave:
    """The file's sound, mixed to one channel, at 24 kHz, in [-1, 1].

    Raises :class:`AudioFileError` where the file is missing, unreadable, not audio, without samples, cut
    off, or holds samples that are no sound (not finite, or of another scale).
    """
    path = Path(path)
    if path.is_dir():
        raise AudioFileError(path, "this is a directory; name an audio file in it")
    try:
        size = path.stat().st_size
        if size == 0:
            raise AudioFileError(path, "the file is empty (0 bytes); record or export it again")
        _check_whole(path, size)
        with soundfile.SoundFile(path) as file:
            rate, promised = file.samplerate, file.frames
            try:
                sound = file.read(dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise AudioFileError(
                    path, f"the file is damaged or cut off ({error.error_string}); copy or record it again"
                ) from error
    except OSError as error:
        raise AudioFileError(path, f"cannot be read: {error.strerror or error}") from error
    except soundfile.LibsndfileError as error:
        raise AudioFileError(
            path, f"not an audio file that can be read ({error.error_string}); use WAV, FLAC, OGG or MP3"
        ) from error
    if not SLOWEST <= rate <= FASTEST:
        raise AudioFileError(path, f"its header says {rate} Hz; convert it to 8 to 96 kHz")
    if len(sound) < promised < _UNKNOWN_LENGTH:
        raise AudioFileError(path, _cut_off(promised / rate, len(sound) / rate))
    if len(sound) == 0:
        raise AudioFileError(path, "a header but no samples; record or export it again")
    if not np.isfinite(sound).all():
        raise AudioFileError(path, "some samples are not numbers (NaN or infinite); export it again")
    peak = float(np.abs(sound).max())
    if peak > _LOUDEST:
        raise AudioFileError(
            path, f"float samples reach {peak:.6g}, where full scale is 1; scale them or save as 16 bits"
        )
    mono = sound.mean(axis=1, dtype=np.float32)
    wave: Wave = np.clip(soxr.resample(mono, rate, RATE), -1, 1).astype(np.float32, copy=False)
    return wave


def write_wave(path: str | Path, wave: Wave) -> None:
    """Writes a WAV file of 16 bits at 24 kHz; raises :class:`AudioFileError` where that is not possible."""
    path = Path(path)
    try:
        with path.open("wb") as file:
            soundfile.write(file, wave, RATE, format="WAV", subtype="PCM_16")
    except OSError as error:
        raise AudioFileError(path, f"cannot be written: {error.strerror or error}") from error


def _check_whole(path: Path, size: int) -> None:
    """Refuses a WAV whose header promises more than the file holds; libsndfile would read on silently."""
    with path.open("rb") as file:
        riff = file.read(12)
        if len(riff) < 12 or riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
            return
        bytes_per_second = 0
        while len(chunk := file.read(8)) == 8:
            name, length = chunk[:4], struct.unpack("<I", chunk[4:])[0]
            here = file.tell()
            if name == b"data":
                if here + length > size and length < _UNKNOWN_LENGTH:
                    if not bytes_per_second:
                        raise AudioFileError(path, "the file is damaged: no format before its data")
                    raise AudioFileError(
                        path, _cut_off(length / bytes_per_second, (size - here) / bytes_per_second)
                    )
                return
            if name == b"fmt " and length >= 12:
                form = file.read(16).ljust(16, b"\0")
                kind, _, _, bytes_per_second, _, bits = struct.unpack("<HHIIHH", form)
                if kind == _PLAIN and length >= 16 and 0 < bits < 8:
                    raise AudioFileError(path, f"samples of {bits} bits are no format of sound; save it as 16 bits")
            file.seek(here + length + length % 2)  # chunks are padded to an even length
        raise AudioFileError(path, "the file is cut off before its samples begin; copy or record it again")


def _cut_off(promised: float, there: float) -> str:
    return (
        f"the file is cut off: its header promises {promised:.2f} s and {there:.2f} s are there; "
        "copy or record it again"
    )
