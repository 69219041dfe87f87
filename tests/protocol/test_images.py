"""Images: two kinds of file, by value, of a reasonable size."""

from __future__ import annotations

import base64
import json
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from realtime_rules import Client

from duologue.backends.contract import Message
from duologue.protocol.images import MAX_BYTES, read_image
from duologue.protocol.piecemeal import at_once
from duologue.protocol.realtime import RealtimeConnection
from duologue.protocol.refusal import Refused


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\x00\x00") if width * height == 1 else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg(width: int, height: int, frame: int = 0xC0) -> bytes:
    """The segments up to the samples, as a camera writes them; a thumbnail's size hides in the APP1 segment."""
    thumbnail = b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x01\x00\x01\xff\xd9"
    app1 = b"\xff\xe1" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail
    tables = b"\xff\xdb\x00\x43\x00" + bytes(64) + b"\xff\xc4\x00\x05\x00\x00\x00"
    size = b"\xff\xff" + bytes([frame]) + struct.pack(">HBHHB", 8 + 3, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8" + app1 + tables + size + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + bytes(10) + b"\xff\xd9"


def url(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("frame", [0xC0, 0xC1, 0xC2, 0xCF])
def test_sizes_are_read_from_the_header(frame: int) -> None:
    image = at_once(read_image(url(png(640, 480)), "p"))
    assert (image.width, image.height) == (640, 480)
    image = at_once(read_image(url(jpeg(800, 600, frame), "jpeg"), "p"))
    assert (image.kind, image.width, image.height) == ("jpeg", 800, 600)
    assert image.url == url(jpeg(800, 600, frame), "jpeg")


@pytest.mark.parametrize(
    ("given_url", "cause"),
    [
        ("https://169.254.169.254/secret.png", "not fetched"),
        ("file:///etc/passwd", "not fetched"),
        ("data:image/svg+xml;base64,AAAA", "data URLs"),
        ("data:image/png,AAAA", "data URLs"),
        ("data:image/png;base64", "data URLs"),
        ("data:image/png;base64,***", "base64"),
        ("data:image/png;base64,", "no readable PNG"),
        (url(jpeg(4, 4)), "no readable PNG"),
        (url(png(4, 4), "jpeg"), "no readable JPEG"),
        (url(png(4, 4)[:20]), "no readable PNG"),
        (url(png(0, 4)), "no readable PNG"),
        (url(jpeg(4, 0), "jpeg"), "no readable JPEG"),
        (url(jpeg(4, 4)[:60], "jpeg"), "no readable JPEG"),
        (url(png(60_000, 60_000)), "pixels"),
        (url(jpeg(60_000, 60_000), "jpeg"), "pixels"),
        (url(png(1, 1) + bytes(MAX_BYTES)), "bytes"),
    ],
)
def test_what_is_no_image_is_refused_with_the_cause(given_url: str, cause: str) -> None:
    with pytest.raises(Refused, match=cause) as refused:
        at_once(read_image(given_url, "item.content[0].image_url"))
    assert refused.value.param == "item.content[0].image_url"


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for start, kind in ((b"\xff\xd8\xff", "jpeg"), (b"\x89PNG\r\n\x1a\n", "png"), (b"", "png")):
        try:
            image = at_once(read_image(url(start + data, kind), "p"))
        except Refused:
            continue
        assert image.width > 0
        assert image.height > 0


def test_an_image_becomes_part_of_the_history() -> None:
    server, client = RealtimeConnection(model="pocket", voices=["slt"]), Client()
    server.open()
    data = png(1, 1)
    content = [{"type": "input_text", "text": "what is this"}, {"type": "input_image", "image_url": url(data)}]
    item = {"id": "i", "type": "message", "role": "user", "content": content}
    server.receive(json.dumps({"type": "conversation.item.create", "item": item}))
    server.receive(json.dumps({"type": "conversation.item.retrieve", "item_id": "i"}))
    *_, added, done, retrieved = client.follow(server.outgoing())
    for event in (added, done):
        assert event["item"]["content"][1] == {"type": "input_image", "detail": "auto"}
    assert retrieved["item"]["content"][1]["image_url"] == url(data)
    assert server.conversation.history() == (Message("user", "what is this", (data,)),)
