"""Frames cut into fragments: the same messages, however the stream itself is cut."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable

import pytest
from websockets.frames import CTRL_OPCODES, Frame, Opcode
from websockets.streams import StreamReader

from duologue.server import fragments
from duologue.server.fragments import Cutter, joined


def _sent(chance: random.Random, opcode: Opcode, data: bytes, *, fin: bool) -> bytes:
    """A frame as a client writes it, sometimes with more bytes for its length than it needs."""
    head, mask = bytes([(0x80 if fin else 0) | opcode]), chance.randbytes(4)
    if len(data) < 126 and chance.random() < 0.8:
        length = bytes([0x80 | len(data)])
    elif chance.random() < 0.8:
        length = b"\xfe" + struct.pack("!H", len(data))
    else:
        length = b"\xff" + struct.pack("!Q", len(data))
    return head + length + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))


def _frames(stream: bytes) -> list[Frame]:
    reader, frames = StreamReader(), []
    reader.feed_data(stream)
    while reader.buffer:
        parsing = Frame.parse(reader.read_exact, mask=True)
        with pytest.raises(StopIteration) as done:
            next(parsing)
        frames.append(done.value.value)
    return frames


def _messages(frames: Iterable[Frame]) -> list[tuple[Opcode, bytes]]:
    """Control frames as they come, of the others those that belong together as one."""
    messages, begun, parts = [], Opcode.CONT, b""
    for frame in frames:
        if frame.opcode in CTRL_OPCODES:
            messages.append((frame.opcode, bytes(frame.data)))
            continue
        assert (frame.opcode is Opcode.CONT) == (begun is not Opcode.CONT), "a message begins once"
        begun, parts = begun or frame.opcode, parts + bytes(frame.data)
        if frame.fin:
            messages.append((begun, parts))
            begun, parts = Opcode.CONT, b""
    return messages


@pytest.mark.parametrize("seed", range(20))
def test_messages_are_what_was_sent(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "PIECE", 16)
    chance = random.Random(seed)
    stream = b""
    for _ in range(30):
        opcode, parts = chance.choice([Opcode.TEXT, Opcode.BINARY]), chance.choice([1, 1, 3])
        for n in range(parts):
            data = chance.randbytes(chance.choice([0, 1, 3, 15, 16, 17, 32, 33, 200, 700]))
            stream += _sent(chance, Opcode.CONT if n else opcode, data, fin=n == parts - 1)
            if chance.random() < 0.3:
                stream += _sent(chance, Opcode.PING, chance.randbytes(chance.choice([0, 20, 100])), fin=True)
    cutter, cut, at = Cutter(2**20), b"", 0
    while at < len(stream):
        size = chance.choice([1, 2, 7, 60, 500])
        cut += cutter.cut(stream[at : at + size])
        at += size
    frames = _frames(cut)
    assert _messages(frames) == _messages(_frames(stream))
    assert max(len(frame.data) for frame in frames if frame.opcode not in CTRL_OPCODES) == 16


def test_what_is_too_large_is_left_for_the_library_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "PIECE", 16)
    stream = _sent(random.Random(0), Opcode.TEXT, bytes(101), fin=True)
    assert Cutter(100).cut(stream) == stream


@pytest.mark.parametrize("text", ["plain", "naïve ☃ 🎉 and on", ""])
def test_a_text_is_joined_where_letters_are_cut_too(text: str) -> None:
    joining = joined()
    next(joining)
    data = text.encode()
    for n in range(len(data)):
        assert joining.send((data[n : n + 1], False)) is None
    assert joining.send((b"", True)) == text


@pytest.mark.parametrize("data", [b"\xff", "ï".encode()[:1]])
def test_a_text_that_is_none_is_refused(data: bytes) -> None:
    joining = joined()
    next(joining)
    with pytest.raises(UnicodeDecodeError):
        joining.send((data, True))
