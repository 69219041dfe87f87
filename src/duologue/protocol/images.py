"""Images that clients send: data URLs of PNG or JPEG files, looked at before anyone decodes them.

Remote addresses are refused: fetching them would let a client reach whatever this server can reach. The size
in pixels is read from the file's header, so that a small file that unpacks to gigabytes is refused unopened.
Sources: PNG specification 11.2.2 (IHDR); ITU-T T.81 annex B (JPEG markers).
"""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from typing import Literal

from duologue.protocol.piecemeal import Piecemeal, base64_decoded
from duologue.protocol.refusal import Refused

MAX_BYTES = 15 * 1024 * 1024
MAX_PIXELS = 50_000_000


@dataclass(frozen=True, slots=True)
class Image:
    """An image file as it came."""

    kind: Literal["png", "jpeg"]
    data: bytes
    width: int
    height: int

    @property
    def url(self) -> str:
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode('ascii')}"


def read_image(url: str, param: str) -> Piecemeal[Image]:
    """The image in a data URL; raises :class:`Refused`, naming ``param``, for anything else."""
    head, comma, _ = url[:64].partition(",")
    kinds: dict[str, Literal["png", "jpeg"]] = {
        "data:image/png;base64": "png",
        "data:image/jpeg;base64": "jpeg",
    }
    kind = kinds.get(head.lower()) if comma else None
    if kind is None:
        message = (
            "Images must be data URLs, data:image/png;base64,… or data:image/jpeg;base64,…; "
            "remote addresses are not fetched."
        )
        raise Refused("invalid_value", message, param)
    size_in_bytes = 3 * (len(url) - len(head) - 1) // 4 - url[-2:].count("=")
    if size_in_bytes > MAX_BYTES:
        message = f"The image has {size_in_bytes} bytes; at most {MAX_BYTES} are taken."
        raise Refused("invalid_value", message, param)
    try:
        data = yield from base64_decoded(url[len(head) + 1 :])
    except ValueError as error:
        raise Refused("invalid_value", f"The image is not valid base64: {error}.", param) from error
    size = _png_size(data) if kind == "png" else _jpeg_size(data)
    if size is None:
        raise Refused("invalid_value", f"The image is no readable {kind.upper()} file.", param)
    width, height = size
    if width * height > MAX_PIXELS:
        message = f"The image has {width} × {height} pixels; at most {MAX_PIXELS} are taken."
        raise Refused("invalid_value", message, param)
    return Image(kind, bytes(data), width, height)


def _png_size(data: bytes | bytearray) -> tuple[int, int] | None:
    if len(data) < 33 or not data.startswith(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"):
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return (width, height) if width and height else None


def _jpeg_size(data: bytes | bytearray) -> tuple[int, int] | None:
    """The frame header's size, found by walking from segment to segment."""
    if not data.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte before a marker
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # markers without a segment
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header (SOF)
            if length < 8 or at + 9 > len(data):
                return None
            height, width = struct.unpack_from(">HH", data, at + 5)
            return (width, height) if width and height else None
        if marker in (0xD9, 0xDA) or length < 2:  # the image's end or its samples, and no frame header so far
            return None
        at += 2 + length
    return None
