"""Frames as they come out of a stream, however it is cut."""

from __future__ import annotations

import random

import pytest

from duologue.server import wire
from duologue.server.wire import Reader


@pytest.mark.parametrize("seed", range(20))
def test_what_is_read_is_what_was_sent(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LARGE", 50)
    chance = random.Random(seed)
    frames = [chance.randbytes(chance.choice([0, 1, 3, 49, 50, 51, 200, 1000])) for _ in range(30)]
    sent = b"".join(frames)
    reader, read = Reader(), []
    at = 0
    for frame in frames:
        asked = reader.read_exact(len(frame))
        while True:
            try:
                next(asked)
            except StopIteration as done:
                read.append(bytes(done.value))
                break
            size = chance.choice([1, 10, 60, 500])
            reader.feed_data(sent[at : at + size])
            at += size
    assert read == frames


def test_a_large_frame_is_cut_short_in_websockets_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LARGE", 50)
    reader = Reader()
    asked = reader.read_exact(100)
    next(asked)
    reader.feed_data(bytes(70))
    next(asked)
    reader.feed_eof()
    with pytest.raises(EOFError, match="stream ends after 70 bytes, expected 100 bytes"):
        next(asked)
