"""Clients that misbehave: each connects, does one thing that no client should, and is replaced by the next. They speak
OpenAI Realtime, or Moshi's protocol.

They run in a process of their own (:func:`make_trouble`), for minutes of sound that are made and sent at once hold up
whoever makes them, and that must not be whoever is measured. They stand for other people's machines, so that process
yields to everything else on this one.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Literal, TypeAlias, cast

import numpy as np
import websockets.asyncio.client as ws
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.protocol import State

from duologue.audio import RATE
from duologue.audio.formats import encode_pcm16
from duologue.measure.lines import LineError
from duologue.measure.voices import VOICES, speak

Protocol = Literal["realtime", "moshi"]

_PATHS: dict[Protocol, str] = {"realtime": "/v1/realtime?model=duologue", "moshi": "/api/chat"}


async def make_trouble(
    url: str, seed: int, seconds: float, kind: str | None = None, *, protocol: Protocol = "realtime"
) -> dict[str, int]:
    """One thing after the other for so long, against the server at ``url``; how often each was done, by its name.

    Only ``kind``, one of the protocol's :data:`MISBEHAVIOURS`, where it is given.
    """
    kinds = list(MISBEHAVIOURS[protocol]) if kind is None else [kind]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, url, protocol, str(seed), str(seconds), *kinds),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        told, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        raise
    if process.returncode:
        raise LineError(f"the troublemaker itself was in trouble: it exited with {process.returncode}")
    done: dict[str, int] = json.loads(told)
    return done


async def _misbehave(
    url: str, protocol: Protocol, chance: random.Random, until: float, kinds: list[str]
) -> dict[str, int]:
    done: dict[str, int] = {}
    address = url.replace("http", "ws", 1) + _PATHS[protocol]
    while time.monotonic() < until:
        name = chance.choice(kinds)
        try:
            async with ws.connect(address, compression=None, max_size=None, proxy=None, close_timeout=0.5) as socket:
                await MISBEHAVIOURS[protocol][name](socket, chance)
        except (ConnectionClosed, InvalidHandshake, OSError):
            pass  # it was shown the door, which is what it came for
        done[name] = done.get(name, 0) + 1
        await asyncio.sleep(0.2)
    return done


Socket = ws.ClientConnection


def _append(pcm: bytes) -> str:
    return json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode("ascii")})


def _written(text: str) -> list[str]:
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    return [json.dumps({"type": "conversation.item.create", "item": item}), json.dumps({"type": "response.create"})]


async def _never_reads(socket: Socket, chance: random.Random) -> None:
    """Asks for story after story and reads none of it."""
    socket.transport.pause_reading()
    for _ in range(20):
        for message in _written("tell me a story"):
            await socket.send(message)
        await asyncio.sleep(0.25)


async def _dies(socket: Socket, chance: random.Random) -> None:
    """Gone in the middle of a reply, in the middle of a frame."""
    for message in _written("tell me a story"):
        await socket.send(message)
    await asyncio.sleep(chance.uniform(0.1, 1.5))
    if socket.state is State.OPEN:  # a full house has shown it the door
        socket.transport.write(b"\x81\xfe\x10\x00half")
        socket.transport.abort()


async def _babbles(socket: Socket, chance: random.Random) -> None:
    """Frames that are no events."""
    for _ in range(50):
        await socket.send(
            chance.choice(
                [
                    "",
                    "{",
                    "null",
                    "[" * 2000,
                    '{"type": 5}',
                    '{"type": "no.such.thing"}',
                    '{"type":"session.update"}',
                    "\u2603",
                ]
            )
        )
        await socket.send(chance.randbytes(chance.randrange(1, 2000)))


async def _hisses(socket: Socket, chance: random.Random) -> None:
    """Sound at the rails, odd bytes, no base64, and commits of nothing."""
    noise = encode_pcm16(
        np.sign(np.random.default_rng(chance.randrange(2**31)).normal(size=RATE // 2)).astype(np.float32)
    )
    for _ in range(10):
        await socket.send(_append(noise))
        await socket.send(_append(noise[:-1]))
        await socket.send('{"type": "input_audio_buffer.append", "audio": "@@@"}')
        await socket.send('{"type": "input_audio_buffer.commit"}')
        await asyncio.sleep(0.3)


async def _pours(socket: Socket, chance: random.Random) -> None:
    """Three minutes of speech in one go."""
    await socket.send(_minutes())
    await asyncio.sleep(3.0)


@cache
def _minutes() -> str:
    spoken = speak("once upon a time there was a king", VOICES[0]).wave
    return _append(encode_pcm16(np.resize(spoken, 180 * RATE)))


async def _knocks(socket: Socket, chance: random.Random) -> None:
    """Comes and goes."""


# -- in Moshi's protocol ----------------------------------------------------------------------------------


async def _garbles(socket: Socket, chance: random.Random) -> None:
    """Audio that is no Ogg/Opus, or stops being any: each is shown the door."""
    sound = b"".join(message[1:] for message in _frames(25))
    broken = bytearray(sound)
    for _ in range(40):
        broken[chance.randrange(len(broken))] ^= chance.randrange(1, 256)
    pages = chance.choice([chance.randbytes(4000), bytes(broken), sound[: len(sound) // 2] + sound, b"OggS" * 500])
    for at in range(0, len(pages), 400):
        await socket.send(b"\x01" + pages[at : at + 400])
        await asyncio.sleep(0.02)


async def _mumbles(socket: Socket, chance: random.Random) -> None:
    """Kinds that nobody has, kinds that are the server's, nothing at all, and text."""
    odd: list[str | bytes] = [b"", b"\x00", b"\x01", b"\x05\xff\xfe", "{}"]
    for _ in range(100):
        await socket.send(bytes([chance.randrange(2, 256)]) + chance.randbytes(chance.randrange(1000)))
        await socket.send(chance.choice(odd))


async def _turns_away(socket: Socket, chance: random.Random) -> None:
    """Talks, and reads none of what comes back."""
    socket.transport.pause_reading()
    for message in _frames(60):
        await socket.send(message)
        await asyncio.sleep(0.08)


async def _hangs_up(socket: Socket, chance: random.Random) -> None:
    """Gone in the middle of what it says, in the middle of a frame."""
    for message in _frames(chance.randrange(2, 20)):
        await socket.send(message)
        await asyncio.sleep(0.08)
    if socket.state is State.OPEN:  # a full house has shown it the door
        socket.transport.write(b"\x82\xfe\x10\x00half")
        socket.transport.abort()


async def _floods(socket: Socket, chance: random.Random) -> None:
    """A minute of speech as fast as it is taken."""
    for message in _frames(750):
        await socket.send(message)
    await asyncio.sleep(1.0)


@cache
def _frames(count: int) -> list[bytes]:
    """So many frames of 80 ms, as a client of Moshi's sends them."""
    from duologue.protocol.moshi import Wire

    spoken = np.resize(speak("once upon a time there was a king", VOICES[0]).wave, (count, RATE * 2 // 25))
    wire = Wire()
    return [message for frame in spoken if (message := wire.audio(frame)) is not None]


Deed: TypeAlias = Callable[[Socket, random.Random], Awaitable[None]]

MISBEHAVIOURS: dict[Protocol, dict[str, Deed]] = {
    "realtime": {
        "never reads": _never_reads,
        "dies in mid-frame": _dies,
        "sends no events": _babbles,
        "sends no sound": _hisses,
        "sends minutes at once": _pours,
        "comes and goes": _knocks,
    },
    "moshi": {
        "never reads": _turns_away,
        "dies in mid-frame": _hangs_up,
        "sends unknown kinds": _mumbles,
        "sends no Opus": _garbles,
        "sends minutes at once": _floods,
        "comes and goes": _knocks,
    },
}


if __name__ == "__main__":
    where, spoken_, seed_, seconds_, *kinds_ = sys.argv[1:]
    os.nice(10)
    until_ = time.monotonic() + float(seconds_)
    doing = _misbehave(where, cast("Protocol", spoken_), random.Random(int(seed_)), until_, kinds_)
    print(json.dumps(asyncio.run(doing)))
