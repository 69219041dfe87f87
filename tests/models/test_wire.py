"""Moshi's messages: Ogg/Opus cut anywhere, and what is no audio."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duologue.protocol.moshi import Kind, Wire, WireError

TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(19_200) / 24_000)).astype(np.float32)


def spoken() -> bytes:
    """The stream of one direction, without its kinds."""
    wire = Wire()
    messages = [wire.audio(TONE[at : at + 1920]) for at in range(0, len(TONE), 1920)]
    assert all(message is not None and message[0] == Kind.AUDIO for message in messages)
    return b"".join(message[1:] for message in messages if message)


STREAM = spoken()


def heard(pieces: list[bytes]) -> np.ndarray:
    wire = Wire()
    return np.concatenate(
        [w for piece in pieces if (w := wire.receive(bytes([Kind.AUDIO]) + piece)) is not None]
    )


def test_a_tone_arrives() -> None:
    wave = heard([STREAM])
    assert len(wave) == len(TONE)
    inner = wave[4800:-4800]
    spectrum = np.abs(np.fft.rfft(inner * np.hanning(len(inner))))
    assert abs(np.argmax(spectrum) * 24_000 / len(inner) - 440) < 5


@given(cuts=st.lists(st.integers(1, len(STREAM) - 1), max_size=12))
@settings(max_examples=20)
def test_messages_may_cut_pages_anywhere(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(edges)]
    assert np.array_equal(heard(pieces), heard([STREAM]))


@pytest.mark.parametrize("message", [b"", b"\x00", b"\x02hello", b"\x03\x01", b"\x06", b"\xffwhat"])
def test_other_messages_are_no_audio(message: bytes) -> None:
    assert Wire().receive(message) is None


def test_a_broken_stream_is_an_error() -> None:
    with pytest.raises(WireError, match="Ogg/Opus"):
        Wire().receive(b"\x01" + b"not an ogg page" * 20)


def test_less_than_a_packet_waits() -> None:
    wire = Wire()
    headers = wire.audio(TONE[:100])
    assert headers is not None
    assert headers.count(b"OggS") == 2
    assert wire.audio(TONE[100:200]) is None
    assert wire.audio(TONE[200:1920]) is not None


def test_text_and_errors() -> None:
    assert Wire.text(" café") == b"\x02" + " café".encode()
    assert Wire.error("full") == b"\x05full"
