"""Audio files as recorders write them, and those that no recorder should have written."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from duologue.audio import RATE, Wave
from duologue.audio.files import AudioFileError, read_wave, write_wave


def melody(rate: int, seconds: float = 0.5) -> Wave:
    """440 Hz at half of full scale."""
    t = np.arange(int(rate * seconds)) / rate
    return (0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)


def assert_melody(wave: Wave, seconds: float = 0.5, tolerance: float = 0.02) -> None:
    assert wave.dtype == np.float32
    assert wave.ndim == 1
    assert len(wave) == pytest.approx(seconds * RATE, abs=2)
    inner = slice(RATE // 20, -RATE // 20)  # a resampler rings at the edges
    assert np.abs(wave[inner] - melody(RATE, seconds)[: len(wave)][inner]).max() < tolerance


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_U8"),
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "PCM_32"),
        ("WAV", "FLOAT"),
        ("WAV", "DOUBLE"),
        ("WAV", "ULAW"),
        ("WAVEX", "PCM_24"),
        ("AIFF", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("FLAC", "PCM_24"),
    ],
)
def test_every_sample_format(tmp_path: Path, container: str, subtype: str) -> None:
    path = tmp_path / "in"
    soundfile.write(path, melody(RATE), RATE, format=container, subtype=subtype)
    assert_melody(read_wave(path))


@pytest.mark.parametrize(("container", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)])
def test_lossy_formats(tmp_path: Path, container: str, subtype: str | None) -> None:
    path = tmp_path / "in"
    soundfile.write(path, melody(RATE, 1.0), RATE, format=container, subtype=subtype)
    wave = read_wave(path)
    assert len(wave) == pytest.approx(RATE, abs=0.1 * RATE)
    spectrum = np.abs(np.fft.rfft(wave[:RATE] * np.hanning(min(RATE, len(wave)))))
    assert np.argmax(spectrum) * RATE / min(RATE, len(wave)) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000])
def test_every_rate_is_converted(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "in.wav"
    soundfile.write(path, melody(rate), rate)
    assert_melody(read_wave(path))


@pytest.mark.parametrize("channels", [2, 6])
def test_channels_are_mixed(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "in.wav"
    sound = np.stack([melody(RATE)] * channels, axis=1)
    sound[:, 0] += 0.2
    sound[:, 1] -= 0.2  # what only one channel has is averaged away
    soundfile.write(path, sound, RATE)
    assert_melody(read_wave(path))


def test_overshoot_of_float_files_is_clipped(tmp_path: Path) -> None:
    path = tmp_path / "in.wav"
    soundfile.write(path, 2.5 * melody(RATE), RATE, subtype="FLOAT")
    wave = read_wave(path)
    assert np.abs(wave).max() == 1.0


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    write_wave(path, melody(RATE))
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
    assert np.abs(read_wave(path) - melody(RATE)).max() < 1e-4


def test_a_wav_from_a_pipe_has_no_length_in_its_header(tmp_path: Path) -> None:
    """Recorders that write to a pipe cannot go back to fill in the sizes: not a cut-off file."""
    whole = wav_bytes()
    for unknown in (0xFFFF_FFFF, 0x7FFF_F000):
        path = tmp_path / f"{unknown}.wav"
        path.write_bytes(whole[:40] + struct.pack("<I", unknown) + whole[44:])
        assert_melody(read_wave(path))


def wav_bytes() -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, melody(RATE), RATE, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def refusal(path: Path) -> str:
    with pytest.raises(AudioFileError) as caught:
        read_wave(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message


def test_a_cut_off_wav_is_no_shorter_recording(tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    whole = wav_bytes()
    path.write_bytes(whole[: 44 + (len(whole) - 44) // 2])
    message = refusal(path)
    assert "cut off" in message
    assert "promises 0.50 s and 0.25 s are there" in message


@pytest.mark.parametrize("kept", [12, 20, 30, 36, 40, 43])
def test_a_wav_cut_in_its_header(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.wav"
    path.write_bytes(wav_bytes()[:kept])
    assert "cut off before its samples begin" in refusal(path)


def test_a_cut_off_flac(tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    rng = np.random.default_rng(0)
    soundfile.write(path, rng.uniform(-0.5, 0.5, 2 * RATE), RATE)
    path.write_bytes(path.read_bytes()[:50_000])
    assert "cut off" in refusal(path)


def test_four_bits_a_sample(tmp_path: Path) -> None:
    """As plain samples no file has them; as ADPCM they are read."""
    whole = bytearray(wav_bytes())
    whole[34:36] = struct.pack("<H", 4)
    path = tmp_path / "four.wav"
    path.write_bytes(whole)
    assert "samples of 4 bits" in refusal(path)
    soundfile.write(path, melody(RATE), RATE, format="WAV", subtype="IMA_ADPCM")
    assert len(read_wave(path)) == pytest.approx(RATE / 2, abs=1024)


def test_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "none.wav"
    soundfile.write(path, np.zeros(0, np.float32), RATE)
    assert "no samples" in refusal(path)


def test_empty_missing_directory(tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    empty.touch()
    assert "0 bytes" in refusal(empty)
    assert "No such file" in refusal(tmp_path / "absent.wav")
    assert "directory" in refusal(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"hello, this is a text file\n" * 50, b"\x00" * 4096, bytes(range(200, 256)), b"RIFF", b"\x89PNG\r\n\x1a\n" * 9],
)
def test_not_audio(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.wav"
    path.write_bytes(content)
    assert "not an audio file" in refusal(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers(tmp_path: Path, bad: float) -> None:
    path = tmp_path / "nan.wav"
    sound = melody(RATE)
    sound[100] = bad
    soundfile.write(path, sound, RATE, subtype="FLOAT")
    assert "not numbers" in refusal(path)


def test_another_scale(tmp_path: Path) -> None:
    path = tmp_path / "scale.wav"
    soundfile.write(path, 32768 * melody(RATE), RATE, subtype="FLOAT")
    assert "full scale is 1" in refusal(path)


def test_a_rate_no_recorder_has(tmp_path: Path) -> None:
    path = tmp_path / "slow.wav"
    soundfile.write(path, melody(RATE), 100)
    assert "100 Hz" in refusal(path)


def test_writing_where_one_cannot(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="cannot be written"):
        write_wave(tmp_path / "absent" / "out.wav", melody(RATE))
    with pytest.raises(AudioFileError, match="cannot be written"):
        write_wave(tmp_path, melody(RATE))
