"""Audio on the wire: exact where it is PCM, G.711 as the standard's tables have it, streams cut anywhere."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duologue.audio import RATE, Wave
from duologue.audio.formats import (
    TELEPHONE_RATE,
    Decoder,
    Encoder,
    Format,
    Resampler,
    decode,
    decode_g711,
    decode_pcm16,
    encode,
    encode_g711,
    encode_pcm16,
)

G711: tuple[Format, ...] = ("audio/pcmu", "audio/pcma")


def speechlike(rate: int, seconds: float, seed: int = 0) -> Wave:
    """Noise below 3 kHz, at -20 dBFS."""
    noise = np.random.default_rng(seed).standard_normal(int(rate * seconds))
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(len(noise), 1 / rate) > 3_000] = 0
    wave = np.fft.irfft(spectrum, len(noise))
    return (0.1 * wave / np.std(wave)).astype(np.float32)


def cut(length: int, points: list[int]) -> list[slice]:
    edges = sorted({0, length, *(p for p in points if p < length)})
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def test_every_16_bit_sample_survives() -> None:
    every = np.arange(-32_768, 32_768).astype("<i2").tobytes()
    assert encode_pcm16(decode_pcm16(every)) == every


def test_too_loud_is_clipped_not_wrapped() -> None:
    loud = np.array([2.0, 1.0, -1.0, -2.0], dtype=np.float32)
    assert np.frombuffer(encode_pcm16(loud), "<i2").tolist() == [32_767, 32_767, -32_768, -32_768]


def test_half_a_sample_is_an_error() -> None:
    with pytest.raises(ValueError, match="whole number of 16-bit samples"):
        decode_pcm16(b"\x00\x01\x02")


@pytest.mark.parametrize(
    ("form", "code", "value"),
    [  # ITU-T G.711, tables 1 and 2, as 16-bit values
        ("audio/pcmu", 0xFF, 0),
        ("audio/pcmu", 0x80, 32_124),
        ("audio/pcmu", 0x00, -32_124),
        ("audio/pcmu", 0xF0, 120),
        ("audio/pcma", 0xD5, 8),
        ("audio/pcma", 0x55, -8),
        ("audio/pcma", 0xAA, 32_256),
        ("audio/pcma", 0x2A, -32_256),
    ],
)
def test_g711_is_the_standards(form: Format, code: int, value: int) -> None:
    assert decode_g711(bytes([code]), form)[0] * 32_768 == value


@pytest.mark.parametrize("form", G711)
def test_g711_codes_survive(form: Format) -> None:
    codes = bytes(range(256))
    back = bytearray(encode_g711(decode_g711(codes, form), form))
    if form == "audio/pcmu":
        assert back[0x7F] == 0xFF  # mu-law has two zeros; one of them is written
        back[0x7F] = 0x7F
    assert back == codes


@pytest.mark.parametrize("form", G711)
def test_g711_is_close_to_what_was_said(form: Format) -> None:
    wave = speechlike(RATE, 1.0)
    back = decode(encode(wave, form), form)
    assert len(back) == pytest.approx(len(wave), abs=3)
    n, inner = min(len(wave), len(back)), slice(2_000, -2_000)
    error = (back[:n] - wave[:n])[inner]
    signal_to_noise = 10 * np.log10(np.mean(wave[:n][inner] ** 2) / np.mean(error**2))
    assert signal_to_noise > 25  # G.711's own quantisation leaves about 38 dB, the filter's edge at 3 kHz the rest


@settings(max_examples=30)
@given(st.lists(st.integers(0, 4_000), max_size=12), st.sampled_from(["audio/pcm", *G711]))
def test_a_stream_may_be_cut_anywhere(points: list[int], form: Format) -> None:
    wave = speechlike(RATE, 0.15)
    whole = encode(wave, form)
    encoder = Encoder(form)
    assert b"".join(encoder.push(wave[s]) for s in cut(len(wave), points)) + encoder.finish() == whole

    width = 2 if form == "audio/pcm" else 1
    once, decoder = Decoder(form).push(whole), Decoder(form)
    pieces = [decoder.push(whole[s.start * width : s.stop * width]) for s in cut(len(whole) // width, points)]
    heard = np.concatenate(pieces)
    n = min(len(heard), len(once))  # how much is still held back depends on the cuts, what came out does not
    assert n >= len(once) - RATE // 25
    np.testing.assert_array_equal(heard[:n], once[:n])


@pytest.mark.parametrize(("rate_in", "rate_out"), [(TELEPHONE_RATE, RATE), (RATE, TELEPHONE_RATE)])
def test_the_resampler_holds_back_at_most_40_ms(rate_in: int, rate_out: int) -> None:
    stream, wave = Resampler(rate_in, rate_out), speechlike(rate_in, 2.0)
    step, out, behind = rate_in // 50, 0, []
    for start in range(0, len(wave), step):
        out += len(stream.push(wave[start : start + step]))
        behind.append((start + step) / rate_in - out / rate_out)
    assert max(behind) <= 0.0401
    assert np.mean(behind) <= 0.025
    assert (out + len(stream.finish())) / rate_out == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize("tone", [300, 1_000, 3_000])
def test_resampling_up_leaves_no_images(tone: int) -> None:
    t = np.arange(TELEPHONE_RATE) / TELEPHONE_RATE
    stream = Resampler(TELEPHONE_RATE, RATE)
    wave = (0.5 * np.sin(2 * np.pi * tone * t)).astype(np.float32)
    out = np.concatenate((stream.push(wave), stream.finish()))[4_000:-4_000]
    spectrum = np.abs(np.fft.rfft(out * np.kaiser(len(out), 14)))
    frequency = np.fft.rfftfreq(len(out), 1 / RATE)
    there = np.abs(frequency - tone) < 40
    assert 20 * np.log10(spectrum[~there].max() / spectrum[there].max()) < -80
    assert np.abs(out).max() == pytest.approx(0.5, rel=0.05)


def test_resampling_down_leaves_no_aliases() -> None:
    t = np.arange(RATE) / RATE
    stream = Resampler(RATE, TELEPHONE_RATE)
    hiss = (0.5 * np.sin(2 * np.pi * 6_000 * t)).astype(np.float32)  # would fold to 2 kHz
    out = np.concatenate((stream.push(hiss), stream.finish()))[1_000:-1_000]
    assert np.abs(out).max() < 1e-4
