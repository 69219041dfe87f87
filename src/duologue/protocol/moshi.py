"""Moshi's own wire format, as its servers and clients speak it on a WebSocket at ``/api/chat``.

Every message is binary: a kind byte, then its payload (``rust/protocol.md`` of kyutai-labs/moshi). Audio is
one Ogg/Opus stream for each direction, cut into messages anywhere: a message holds parts of pages, a page or
several. This end writes as the Python server does: an Opus packet of 40 ms a page, the stream's two header
pages in front of the first audio.

Without I/O: messages in, waves out, and the other way round. One :class:`Wire` a connection.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import sphn  # type: ignore[import-untyped]

from duologue.audio import RATE, Wave


class Kind(IntEnum):
    """The first byte of a message."""

    HANDSHAKE = 0
    AUDIO = 1
    TEXT = 2
    CONTROL = 3
    METADATA = 4
    ERROR = 5
    PING = 6


class WireError(Exception):
    """The other end sent what cannot be understood; the connection cannot go on."""


HANDSHAKE = bytes([Kind.HANDSHAKE])
"""What a server sends once the session is ready. (Kyutai's Rust server adds eight bytes of versions.)"""


class Wire:
    """One connection's two audio streams."""

    def __init__(self) -> None:
        self._reader = sphn.OpusStreamReader(RATE)
        self._writer = sphn.OpusStreamWriter(RATE)

    def receive(self, message: bytes) -> Wave | None:
        """A client's message: the audio that has become decodable with it, or ``None`` where it is no audio.

        Kinds that a server has no use for, unknown ones and empty messages are ``None`` too, as with the
        reference. Raises :class:`WireError` where the Ogg/Opus stream is broken.
        """
        if not message or message[0] != Kind.AUDIO:
            return None
        try:
            wave = self._reader.append_bytes(message[1:])
        except (ValueError, RuntimeError) as error:
            raise WireError(f"the audio is not a sound Ogg/Opus stream: {error}") from error
        return np.asarray(wave, dtype=np.float32).reshape(-1)

    def audio(self, wave: Wave) -> bytes | None:
        """The message that carries ``wave`` on; ``None`` while it does not fill an Opus packet."""
        pages = bytes(self._writer.append_pcm(np.ascontiguousarray(wave, dtype=np.float32)))
        return bytes([Kind.AUDIO]) + pages if pages else None

    @staticmethod
    def text(shown: str) -> bytes:
        """A piece of text as it is shown."""
        return bytes([Kind.TEXT]) + shown.encode()

    @staticmethod
    def error(message: str) -> bytes:
        """Why the session cannot go on."""
        return bytes([Kind.ERROR]) + message.encode()
