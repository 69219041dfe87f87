"""A model on a clock behind OpenAI Realtime: when replies open and close, what overlap, cancel and settings do."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from duologue.audio import RATE, Wave
from duologue.audio.formats import encode_pcm16
from duologue.backends.contract import Card, Event, NoRoom
from duologue.backends.frames import FrameLink
from duologue.engine.messages import Joined, Lost, Said
from duologue.engine.process import Heard
from duologue.session import Session
from protocol.realtime_rules import Client
from session.scripted import silence, voice

FRAME = 1920
TONE = (0.2 * np.sin(np.arange(FRAME) * 2 * np.pi * 200 / RATE)).astype(np.float32)
STILL = np.zeros(FRAME, np.float32)
CARD = Card("frames", "Frames", ("en",), ("audio",), ("audio",), ("a", "b"), False, "", gait="frame")


@dataclass
class Seat:
    """What the session did to its seat."""

    on_event: Callable[[Heard], None]
    settings: dict[str, Any]
    heard: int = 0
    hushed: bool = False
    left: bool = False

    def __post_init__(self) -> None:
        self.hushed = self.settings["hushed"]

    def hear(self, wave: Wave) -> None:
        self.heard += len(wave)

    def hush(self, on: bool) -> None:
        self.hushed = on

    def leave(self) -> None:
        self.left = True


@dataclass
class Frames:
    """A backend of frames that says what the test says."""

    prompted: bool = False
    full: bool = False
    seats: list[Seat] = field(default_factory=list)
    card: Card = CARD

    def open(self, emit: Callable[[Event], None]) -> FrameLink:
        return FrameLink(
            emit, join=self.join, voices=("a", "b"), prompted=self.prompted, ear=None, closed=lambda link: None
        )

    def join(self, on_event: Callable[[Heard], None], **settings: Any) -> Seat:  # type: ignore[return]
        if self.full:
            raise NoRoom("all seats are taken")
        self.seats.append(Seat(on_event, settings))
        return self.seats[-1]

    @property
    def seat(self) -> Seat:
        return self.seats[-1]

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None


class Talk:
    """80 ms at a time: what the person says, and what the model says."""

    def __init__(self, backend: Frames | None = None, **settings: Any) -> None:
        self.now = 50.0
        self.backend = backend or Frames()
        self.session = Session(self.backend, clock=lambda: self.now)  # type: ignore[arg-type]
        self.events: list[dict[str, Any]] = []
        self.client = Client()
        self.send("session.update", session={"type": "realtime", "duologue": {"events": ["floor"]}, **settings})

    def send(self, type: str, **fields: Any) -> None:
        self.session.receive(json.dumps({"type": type, **fields}))
        self.collect()

    def collect(self) -> None:
        self.session.poll()
        self.events += self.client.follow(self.session.outgoing())

    async def frame(
        self, heard: Wave | None = None, said: Wave = STILL, text: str = "", inclined: bool = False
    ) -> None:
        wave = STILL if heard is None else heard
        for start in range(0, FRAME, FRAME // 4):
            self.now += 0.02
            piece = base64.b64encode(encode_pcm16(wave[start : start + FRAME // 4])).decode()
            self.send("input_audio_buffer.append", audio=piece)
        self.backend.seat.on_event(Said(1, said, text, inclined))
        for _ in range(3):
            await asyncio.sleep(0)
            self.collect()

    async def speak(self, frames: int, heard: Wave | None = None, text: str = " word") -> None:
        """The model speaks, perhaps while it hears."""
        for n in range(frames):
            part = None if heard is None else np.resize(heard[n * FRAME : (n + 1) * FRAME], FRAME)
            await self.frame(part, TONE, text if n % 4 == 0 else "", inclined=True)

    async def hear(self, heard: Wave) -> None:
        """The model is silent."""
        for start in range(0, len(heard), FRAME):
            part = np.zeros(FRAME, np.float32)
            piece = heard[start : start + FRAME]
            part[: len(piece)] = piece
            await self.frame(part)

    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    def of(self, type: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == type]

    def said(self) -> float:
        deltas = self.of("response.output_audio.delta")
        return sum(len(base64.b64decode(delta["delta"])) for delta in deltas) / 2 / RATE

    @property
    def floor(self) -> str:
        states = self.of("duologue.floor")
        return states[-1]["state"] if states else "idle"


@pytest.fixture(scope="module")
def question() -> Wave:
    return voice("What is the weather like in Paris today?")


async def test_a_reply_is_what_lies_between_two_silences() -> None:
    talk = Talk()
    await talk.hear(silence(1.0))
    assert not talk.of("response.created")
    await talk.speak(10)
    assert len(talk.of("response.created")) == 1
    assert not talk.of("response.done")
    await talk.hear(silence(0.72))
    await talk.speak(5)
    await talk.hear(silence(1.2))
    [done] = talk.of("response.done")
    assert done["response"]["status"] == "completed"
    assert "".join(event["delta"] for event in talk.of("response.output_audio_transcript.delta")) == " word" * 5
    frames = 10 + 9 + 5 + 13  # the last ones are the silence that ends it
    assert talk.said() == pytest.approx(frames * 0.08, abs=0.001)
    usage = done["response"]["usage"]["output_token_details"]
    assert (usage["text_tokens"], usage["audio_tokens"]) == (5, frames)
    assert talk.floor == "idle"


async def test_it_hears_everything() -> None:
    talk = Talk()
    await talk.hear(silence(2.0))
    assert talk.backend.seat.heard == 2.0 * RATE


async def test_a_turn_and_its_answer(question: Wave) -> None:
    talk = Talk()
    await talk.hear(question)
    await talk.hear(silence(0.4))
    await talk.speak(6)
    await talk.hear(silence(1.5))
    types = [t for t in talk.types() if not t.startswith("duologue")]
    order = [
        "input_audio_buffer.speech_started",
        "response.created",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "response.done",
    ]
    assert [t for t in types if t in order] == order
    assert talk.floor == "idle"


async def test_it_talks_on_over_the_person_and_nothing_is_cut(question: Wave) -> None:
    """An overlap that the model talks through becomes an item; no client is told to flush."""
    talk = Talk()
    await talk.speak(5)
    await talk.speak(len(question) // FRAME + 1, heard=question)
    await talk.speak(25)
    assert not talk.of("input_audio_buffer.speech_started")
    assert not talk.of("response.done")
    assert len(talk.of("input_audio_buffer.committed")) == 1
    assert talk.said() >= (30 + len(question) / FRAME) * 0.08 - 0.3
    await talk.hear(silence(1.2))
    assert len(talk.of("response.done")) == 1


async def test_it_falls_silent_for_the_person(question: Wave) -> None:
    """Then that is an interruption, and said to be one."""
    talk = Talk()
    await talk.speak(10)
    await talk.speak(4, heard=question)
    await talk.hear(question[4 * FRAME :])
    [done] = talk.of("response.done")
    assert done["response"]["status"] == "completed"
    types = talk.types()
    assert types.index("response.done") < types.index("input_audio_buffer.speech_started")
    assert talk.floor == "hearing"
    await talk.hear(silence(1.5))
    assert len(talk.of("input_audio_buffer.speech_stopped")) == 1


async def test_it_may_begin_while_the_person_speaks(question: Wave) -> None:
    talk = Talk()
    await talk.hear(question[: 8 * FRAME])
    await talk.speak(3, heard=question[8 * FRAME :])
    assert talk.floor == "overlapped"
    assert len(talk.of("response.created")) == 1
    await talk.hear(silence(2.5))
    assert len(talk.of("input_audio_buffer.speech_started")) == 1
    assert len(talk.of("response.done")) == 1


async def test_cancel_silences_it_until_it_pauses_of_itself() -> None:
    talk = Talk()
    await talk.speak(10)
    talk.send("response.cancel")
    [done] = talk.of("response.done")
    assert done["response"]["status"] == "cancelled"
    assert talk.backend.seat.hushed
    said = talk.said()
    for _ in range(20):
        await talk.frame(said=TONE, inclined=True)  # it would go on: for all that comes out is still hushed
    assert talk.backend.seat.hushed
    assert talk.said() == said
    await talk.hear(silence(1.1))
    assert not talk.backend.seat.hushed
    await talk.speak(3)
    assert len(talk.of("response.created")) == 2


async def test_a_new_response_frees_it_at_once() -> None:
    talk = Talk()
    await talk.speak(5)
    talk.send("response.cancel")
    talk.send("response.create")
    assert not talk.backend.seat.hushed
    assert len(talk.of("response.created")) == 2
    await talk.speak(5)
    await talk.hear(silence(1.2))
    assert [done["response"]["status"] for done in talk.of("response.done")] == ["cancelled", "completed"]


async def test_asked_it_may_still_say_nothing() -> None:
    talk = Talk()
    talk.send("response.create", response={"metadata": {"client": "1"}})
    assert len(talk.of("response.created")) == 1
    await talk.hear(silence(4.2))
    [done] = talk.of("response.done")
    assert (done["response"]["status"], done["response"]["metadata"]) == ("completed", {"client": "1"})


@pytest.mark.parametrize("detection", [None, {"type": "server_vad", "create_response": False}])
async def test_where_the_client_begins_every_response_it_is_silent_until_then(detection: Any) -> None:
    talk = Talk(audio={"input": {"turn_detection": detection}})
    assert talk.backend.seat.hushed
    await talk.hear(silence(2.0))
    assert talk.backend.seat.hushed
    talk.send("response.create")
    assert not talk.backend.seat.hushed
    await talk.speak(5)
    await talk.hear(silence(1.2))
    assert len(talk.of("response.done")) == 1
    assert talk.backend.seat.hushed


async def test_what_it_cannot_do_is_said() -> None:
    talk = Talk()
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
    talk.send("conversation.item.create", item=item)
    talk.send("response.create")
    await talk.frame()
    [done] = talk.of("response.done")
    assert done["response"]["status"] == "failed"
    assert "hears speech" in done["response"]["status_details"]["error"]["message"]


async def test_only_so_many_words() -> None:
    talk = Talk(max_output_tokens=3)
    await talk.speak(30)
    [done] = talk.of("response.done")
    assert done["response"]["status"] == "incomplete"
    assert talk.backend.seat.hushed


async def test_another_persona_is_another_dialogue() -> None:
    talk = Talk(Frames(prompted=True), instructions="You are a pirate.", audio={"output": {"voice": "b"}})
    assert [seat.left for seat in talk.backend.seats] == [True, False]
    assert talk.backend.seat.settings == {"hushed": False, "voice": "b", "instructions": "You are a pirate."}
    talk.send("session.update", session={"type": "realtime", "max_output_tokens": 50})
    assert len(talk.backend.seats) == 2
    await talk.speak(3)
    talk.send("session.update", session={"type": "realtime", "instructions": "You are a nurse."})
    await talk.frame()
    assert len(talk.backend.seats) == 3
    assert talk.of("response.done")[-1]["response"]["status"] == "completed"


async def test_without_personas_settings_are_only_echoed() -> None:
    talk = Talk(instructions="You are a pirate.")
    assert len(talk.backend.seats) == 1
    assert talk.of("session.updated")[0]["session"]["instructions"] == "You are a pirate."


async def test_a_lost_seat_ends_the_session_with_an_error() -> None:
    talk = Talk()
    await talk.speak(3)
    talk.backend.seat.on_event(Lost(1, "the model broke down"))
    talk.collect()
    [error] = talk.of("error")
    assert (error["error"]["code"], error["error"]["type"]) == ("session_lost", "server_error")
    assert talk.session.lost == "the model broke down"
    assert talk.backend.seat.left


async def test_a_full_engine_opens_no_session() -> None:
    with pytest.raises(NoRoom):
        Talk(Frames(full=True))


async def test_joined_and_drained() -> None:
    talk = Talk()
    talk.backend.seat.on_event(Joined(1))
    talk.session.drain()
    assert talk.backend.seat.hushed, "it begins no new replies"


async def test_what_is_late_is_made_up_for_in_a_pause() -> None:
    """After a burst the reply lags; silence in it is left out until it does no more."""
    talk = Talk()
    await talk.speak(5)
    for _ in range(6):  # six frames at once: the engine caught up
        talk.backend.seat.on_event(Said(1, TONE, "", True))
    await talk.speak(5)
    spoken = 16
    await talk.hear(silence(0.8))
    await talk.speak(2)
    lead = 0.16
    assert talk.said() < (spoken + 10 + 2) * 0.08 - 6 * 0.08 + lead + 0.001
