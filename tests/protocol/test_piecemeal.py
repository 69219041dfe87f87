"""Large messages in pieces: what comes of them, and what is wrong with them, is as in one go."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from duologue.audio.formats import Format, decode
from duologue.protocol import piecemeal
from duologue.protocol.piecemeal import Piecemeal, Result, at_once, base64_decoded
from duologue.protocol.realtime import RealtimeConnection
from duologue.protocol.requests import AudioAppended


def pieces(work: Piecemeal[Result]) -> tuple[int, Result]:
    """In how many pieces the work was done, and its result."""
    count = 1
    while True:
        try:
            next(work)
        except StopIteration as done:
            return count, done.value
        count += 1


def outcome(work: Any) -> bytes | str:
    """What comes out, or the words for why nothing does."""
    try:
        return bytes(work())
    except ValueError as error:
        return str(error)


SCRAPS = ["AAAA", "TWFu", "=", "==", "A", "AA", "\n", "_", "é", "\x00"]


@given(
    st.one_of(
        st.binary(max_size=100).map(lambda data: base64.b64encode(data).decode()),
        st.text("AZaz09+/=", max_size=60),
        st.lists(st.sampled_from(SCRAPS), max_size=20).map("".join),
    )
)
@example("00000000=")  # padding that the standard library overlooks
def test_base64_is_what_the_standard_library_makes_of_it(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(piecemeal, "BASE64_PIECE", 8)
        ours = outcome(lambda: at_once(base64_decoded(text)))
    assert ours == outcome(lambda: base64.b64decode(text, validate=True))


def connection(form: Format = "audio/pcm") -> RealtimeConnection:
    made = RealtimeConnection(model="m", voices=("v",))
    given = {"type": form} if form != "audio/pcm" else {"type": form, "rate": 24_000}
    session = {"type": "realtime", "audio": {"input": {"format": given}}}
    made.receive(json.dumps({"type": "session.update", "session": session}))
    return made


def append(data: bytes) -> str:
    return json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(data).decode()})


@pytest.mark.parametrize("form", ["audio/pcm", "audio/pcmu", "audio/pcma"])
def test_a_large_append_is_the_sound_of_a_small_one(form: Format) -> None:
    data = np.random.default_rng(0).bytes(1_000_002)
    count, (appended,) = pieces(connection(form).receiving(append(data)))
    assert count >= 1_000_000 // 2**16, "nobody waits for all of it"
    assert isinstance(appended, AudioAppended)
    whole = decode(data, form)
    assert len(appended.wave) > len(whole) - 2_400, "but for what a resampler holds back"
    np.testing.assert_array_equal(appended.wave, whole[: len(appended.wave)])


def test_the_stream_goes_on_after_a_large_append() -> None:
    data = np.random.default_rng(1).bytes(600_000)
    large, small = connection("audio/pcmu"), connection("audio/pcmu")
    crumbs = [data[start : start + 4_000] for start in range(0, 500_000, 4_000)]
    waves = []
    for line, parts in ((large, [data[:500_000]]), (small, crumbs)):
        requests = [request for part in [*parts, data[500_000:]] for request in line.receive(append(part))]
        waves.append(np.concatenate([request.wave for request in requests if isinstance(request, AudioAppended)]))
    np.testing.assert_array_equal(*waves)


def test_a_broken_large_append_is_refused_whole() -> None:
    line = connection()
    line.outgoing()
    text = append(bytes(1_200_000))
    assert line.receive(text[:1_000_000] + "@" + text[1_000_001:]) == []
    (error,) = line.outgoing()
    assert error["error"]["message"] == "The audio is not valid base64: Only base64 data is allowed."
    assert error["error"]["param"] == "audio"
    (appended,) = line.receive(append(bytes(4_800)))
    assert isinstance(appended, AudioAppended) and len(appended.wave) == 2_400


def test_what_is_small_is_done_in_one_piece() -> None:
    for frame in (append(bytes(9_600)), "{", b"", json.dumps({"type": "response.create"})):
        assert pieces(connection().receiving(frame))[0] == 1


def item(part: dict[str, Any]) -> str:
    made = {"id": "i", "type": "message", "role": "user", "content": [part]}
    return json.dumps({"type": "conversation.item.create", "item": made})


def test_a_large_sound_or_picture_in_an_item_is_taken_in_pieces() -> None:
    sound = base64.b64encode(np.random.default_rng(2).bytes(3_000_000)).decode()
    png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 10, 10) + bytes(3_000_000)
    picture = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    for part, key in (
        ({"type": "input_audio", "audio": sound}, "audio"),
        ({"type": "input_image", "image_url": picture}, "image_url"),
    ):
        line = connection()
        assert pieces(line.receiving(item(part)))[0] >= 4_000_000 // piecemeal.BASE64_PIECE
        line.outgoing()
        line.receive(json.dumps({"type": "conversation.item.retrieve", "item_id": "i"}))
        assert line.outgoing()[-1]["item"]["content"][0][key] == part[key]


def test_what_is_broken_early_is_not_read_to_the_end() -> None:
    text = "AAAA" * 1_000_000
    count, refused = pieces(refusal(text[:600_000] + "@" + text[600_001:]))
    assert (count, refused) == (1 + 600_000 // piecemeal.BASE64_PIECE, "Only base64 data is allowed")


def refusal(text: str) -> Piecemeal[str]:
    try:
        yield from base64_decoded(text)
    except ValueError as error:
        return str(error)
    return "none"
