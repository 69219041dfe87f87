"""A session with a model that takes turns, behind the contract: what the engine is told, and what comes of it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image

from duologue.audio import RATE, samples
from duologue.audio.formats import encode_pcm16
from duologue.backends.contract import (
    Ask,
    Cancel,
    Close,
    Commit,
    Configure,
    Delta,
    DropTurn,
    End,
    EndTurn,
    Failed,
    Hear,
    Hypothesis,
    Message,
    Notice,
    Respond,
    Wants,
    Withdrawn,
)
from duologue.backends.turns.link import TurnLink
from duologue.engine.messages import (
    Answer,
    Confirm,
    Discard,
    Ended,
    Forgot,
    Lost,
    Quote,
    Ref,
    Refused,
    Spoke,
    Stop,
    Store,
    Told,
)
from duologue.engine.process import Heard
from duologue.models.turns import Facts
from pocket.parts import HOP, ScriptedEar, ScriptedMouth

Kind = TypeVar("Kind")

SPEAKS = Facts(
    hears=16_000, says=RATE, context=1000, window=30.0, sounds_per_turn=None, history="trained", pictures=False,
    writes=True, mixes=True, instructions=True, pace=4.0,
)  # fmt: skip
WRITES = replace(SPEAKS, says=None)
SINGLE = replace(
    SPEAKS, history="untrained", sounds_per_turn=1, window=2.0, pictures=True, mixes=False, instructions=False
)


@dataclass
class Seat:
    """A place in an engine that only notes what it is told."""

    on_event: Callable[[Heard], None]
    seat: int = 7
    orders: list[Any] = field(default_factory=list)
    left: bool = False

    def order(self, command: Any) -> None:
        assert not self.left
        self.orders.append(command)

    def leave(self) -> None:
        self.left = True


class Line:
    """A session's end, and the engine's."""

    def __init__(self, facts: Facts, ear: ScriptedEar | None, mouth: ScriptedMouth | None) -> None:
        self.events: list[Any] = []
        self.ear = ear
        self.link = TurnLink(
            self.events.append, join=self._join, facts=facts, ear=ear, mouth=mouth, closed=lambda link: None
        )
        self.link.send(Configure("", "", 1.0))

    def _join(self, on_event: Callable[[Heard], None]) -> Any:
        self.seat = Seat(on_event)
        return self.seat

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]

    def ordered(self, kind: type[Kind]) -> list[Kind]:
        return [order for order in self.seat.orders if isinstance(order, kind)]

    def send(self, *commands: Any) -> None:
        for command in commands:
            self.link.send(command)

    def hear(self, turn: int, hops: int = 4, value: float = 0.1) -> None:
        for hop in range(hops):
            self.send(Hear(turn, hop * HOP, np.full(HOP, value, np.float32)))

    def says(self, *events: Any) -> None:
        for event in events:
            self.seat.on_event(event)

    async def settle(self) -> None:
        for _ in range(40):
            await asyncio.sleep(0.002)

    def stored(self, ref: Ref) -> Any:
        [thing] = [order.thing for order in self.ordered(Store) if order.key == ref.key]
        return thing


@contextmanager
def line(
    facts: Facts = SPEAKS, script: str | None = "what time is it", mouth: ScriptedMouth | None = None
) -> Iterator[Line]:
    made = Line(facts, None if script is None else ScriptedEar(script), mouth)
    yield made
    made.send(Close())
    assert made.seat.left


def wave(seconds: float = 0.5) -> np.ndarray[Any, Any]:
    return np.full(samples(seconds), 0.1, np.float32)


def spoke(epoch: int, text: str, seconds: float = 0.5) -> Spoke:
    return Spoke(7, epoch, text, wave(seconds), ((samples(seconds), len(text)),))


def ended(epoch: int) -> Ended:
    return Ended(7, epoch, "completed", read=100, sounds=60, pictures=0, reread=80, written=12)


async def test_a_turn_is_answered_speculatively_and_the_rest_once_it_is_committed() -> None:
    with line() as it:
        it.hear(1)
        it.send(Respond(5, Ask("Be brief."), (), turn=1, tentative=True))
        await it.settle()
        [answer] = it.ordered(Answer)
        assert (answer.epoch, answer.tentative, answer.speech) == (5, True, True)
        assert answer.lines[0] == Told("system", ("Be brief.",))
        [ref] = answer.lines[1].parts
        assert len(it.stored(ref)) == 4 * HOP
        assert not it.ordered(Confirm)
        it.says(spoke(5, "Ten "), spoke(5, "past four."))
        await it.settle()
        assert "".join(delta.text for delta in it.of(Delta)) == "Ten past four."
        it.send(EndTurn(1), Commit(5))
        assert [order.epoch for order in it.ordered(Confirm)] == [5]
        it.says(ended(5))
        await it.settle()
        [end] = it.of(End)
        assert (end.reason, end.usage.input_audio, end.usage.input_text, end.usage.output_text) == (
            "completed", 60, 40, 12,
        )  # fmt: skip
        assert end.usage.output_audio == 20
        assert not it.link.busy
        assert it.of(Hypothesis)[-1].final
        assert not it.ordered(Stop)


async def test_what_the_person_adds_is_heard_anew_and_what_was_answered_is_not() -> None:
    with line() as it:
        it.hear(1)
        it.send(Respond(1, Ask(), (), turn=1, tentative=True))
        await it.settle()
        it.send(Cancel(1))
        assert [order.epoch for order in it.ordered(Stop)] == [1]
        it.says(spoke(1, "too late"))
        it.hear(1, hops=6)
        it.send(Respond(2, Ask(), (), turn=1, tentative=True))
        await it.settle()
        first, second = (answer.lines[-1].parts[0] for answer in it.ordered(Answer))
        assert len(it.stored(second)) == 10 * HOP
        assert [order.keys for order in it.ordered(Discard)] == [(first.key,)]
        it.hear(1, hops=2)  # the silence until the endpoint
        it.send(EndTurn(1), Commit(2))
        it.says(spoke(2, "Yes.", 1.0), ended(2))
        await it.settle()
        assert not [delta for delta in it.of(Delta) if delta.epoch == 1]
        it.hear(2)
        history = (
            Message("user", "what time is it", spoken=True, turn=1),
            Message("assistant", "Yes.", spoken=True, epoch=2),
        )
        it.send(Respond(3, Ask(), history, turn=2))
        await it.settle()
        lines = it.ordered(Answer)[-1].lines
        assert lines[0].parts == (second,), "it stands as it was answered"
        assert lines[1] == Told("assistant", (Quote(2, "Yes."),))
        assert len(it.stored(lines[2].parts[0])) == 4 * HOP


async def test_what_is_not_meant_for_it_is_stopped_and_never_known() -> None:
    with line(script="mum can you help me") as it:
        it.hear(1, hops=6)
        it.send(Respond(1, Ask(), (), turn=1, tentative=True))
        await it.settle()
        assert [order.epoch for order in it.ordered(Stop)] == [1]
        assert [end.reason for end in it.of(End)] == ["silent"]
        it.send(EndTurn(1))
        await it.settle()
        it.send(Respond(2, Ask(), (Message("user", "mum can you help me", turn=1),), obliged=True))
        await it.settle()
        [told] = it.ordered(Answer)[-1].lines
        assert "begins" in str(told.parts[0]), "the model is asked to speak first: there was nothing for it"
        it.hear(3, hops=6)
        it.send(Respond(4, Ask(), (), turn=3, obliged=True))
        it.says(spoke(4, "Of course."))
        await it.settle()
        assert it.of(Delta)[-1].text == "Of course.", "asked outright it answers anything"


async def test_without_an_ear_everything_is_meant_and_there_are_no_words() -> None:
    with line(script=None) as it:
        it.hear(1)
        it.send(Respond(1, Ask(), (), turn=1), EndTurn(1))
        it.says(spoke(1, "Hello."), ended(1))
        await it.settle()
        assert [end.reason for end in it.of(End)] == ["completed"]
        [failed] = it.of(Failed)
        assert failed.turn == 1 and "transcript" in failed.message


async def test_earlier_turns_are_kept_from_a_model_that_knows_none_unless_they_are_asked_for() -> None:
    history = (
        Message("system", "Be a pirate."),
        Message("user", "Who are you?"),
        Message("assistant", "A model.", epoch=1),
        Message("user", "Really?"),
    )
    with line(SINGLE) as it:
        it.send(Respond(2, Ask("Be brief."), history, obliged=True))
        await it.settle()
        assert it.ordered(Answer)[-1].lines == (Told("user", ("Really?",)),)
        it.send(Configure("", "", 1.0, history=True))
        it.send(Respond(3, Ask("Be brief."), history, obliged=True))
        await it.settle()
        assert [told.role for told in it.ordered(Answer)[-1].lines] == ["user", "assistant", "user"]
    with line() as it:
        it.send(Respond(3, Ask("Be brief."), history, obliged=True))
        await it.settle()
        lines = it.ordered(Answer)[-1].lines
        assert lines[0] == Told("system", ("Be brief.\n\nBe a pirate.",))
        assert [told.role for told in lines] == ["system", "user", "assistant", "user"]


def png(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(file, "PNG")
    return file.getvalue()


async def test_pictures_are_shown_to_a_model_that_sees_and_told_to_one_that_does_not() -> None:
    shown = Message("user", "", images=(png("red"), png("blue")))
    with line(SINGLE) as it:
        it.hear(1)
        it.send(Respond(1, Ask(), (shown,), turn=1))
        await it.settle()
        [told] = it.ordered(Answer)[-1].lines
        picture, sound = told.parts
        assert it.stored(picture) == png("blue")
        assert len(it.stored(sound)) == 4 * HOP
    with line() as it:
        it.hear(1)
        it.send(Respond(1, Ask(), (shown,), turn=1))
        await it.settle()
        [told] = it.ordered(Answer)[-1].lines
        assert "nothing but red" in told.parts[0] and "nothing but blue" in told.parts[1]
        assert len(told.parts) == 3


async def test_what_it_writes_is_read_aloud_and_its_words_are_those_that_it_wrote() -> None:
    mouth = ScriptedMouth()
    with line(WRITES, mouth=mouth) as it:
        it.hear(1)
        it.send(Respond(1, Ask(), (), turn=1, tentative=True))
        await it.settle()
        for word in ("I ", "am ", "well, ", "thank ", "you. ", "And ", "you?"):
            it.says(Spoke(7, 1, word, None, ()))
        it.send(EndTurn(1), Commit(1))
        it.says(ended(1))
        await it.settle()
        deltas = it.of(Delta)
        assert "".join(delta.text for delta in deltas) == "I am well, thank you. And you?"
        assert all(delta.wave is not None and len(delta.wave) for delta in deltas)
        assert [said for said, _, _ in mouth.said]
        [answer] = it.ordered(Answer)
        assert answer.ahead is None, "how fast it will be read is not known to the engine"
        [end] = it.of(End)
        assert end.reason == "completed"
    with line(WRITES) as it:
        it.send(Respond(1, Ask(), (Message("user", "Hello"),), obliged=True))
        await it.settle()
        assert "install flite" in it.of(Failed)[0].message
        it.send(Respond(2, Ask(speech=False), (Message("user", "Hello"),), obliged=True))
        it.says(Spoke(7, 2, "Hello!", None, ()), ended(2))
        await it.settle()
        assert [delta.text for delta in it.of(Delta)] == ["Hello!"]


async def test_a_turn_beyond_the_window_is_split_or_cut_and_the_person_is_told() -> None:
    with line(SINGLE) as it:
        it.hear(1, hops=150)  # three seconds, of which it hears two
        it.send(Respond(1, Ask(), (), turn=1, tentative=True))
        await it.settle()
        [ref] = it.ordered(Answer)[-1].lines[-1].parts
        assert len(it.stored(ref)) == samples(2.0)
        [notice] = it.of(Notice)
        assert "its last 2 s" in notice.message
        it.send(Cancel(1))
        it.hear(1, hops=10)
        it.send(Respond(2, Ask(), (), turn=1, tentative=True))
        await it.settle()
        assert len(it.of(Notice)) == 1, "once a turn"
    with line(replace(SPEAKS, window=2.0)) as it:
        it.hear(1, hops=250)
        it.send(Respond(1, Ask(), (), turn=1))
        await it.settle()
        parts = it.ordered(Answer)[-1].lines[-1].parts
        assert sum(len(it.stored(ref)) for ref in parts) == 250 * HOP
        assert {len(it.stored(ref)) for ref in parts} == {250 * HOP // 3}
        assert not it.of(Notice)


async def test_ten_minutes_at_once_are_bounded_on_both_sides() -> None:
    with line() as it:
        for minute in range(12):
            it.send(Hear(1, minute, np.zeros(samples(60.0), np.float32)))
        it.send(Respond(1, Ask(), (), turn=1, obliged=True))
        await it.settle()
        held = sum(len(order.thing) for order in it.ordered(Store))
        assert held <= samples(300.0)
        assert "its last 300 s" in it.of(Notice)[0].message
        it.send(EndTurn(1))
        for turn in (2, 3):
            it.send(Hear(turn, 0, np.zeros(samples(200.0), np.float32)))
            it.send(Respond(turn, Ask(), (Message("user", "words", turn=1),), turn=turn, obliged=True))
            it.send(EndTurn(turn))
            await it.settle()
        assert it.ordered(Discard), "the oldest leaves"
        lines = it.ordered(Answer)[-1].lines
        assert lines[0].parts[0] == "words", "and is then known by its words"


async def test_sound_that_was_put_into_the_conversation_is_heard_too() -> None:
    pcm = encode_pcm16(wave(1.0))
    with line() as it:
        for epoch in (1, 2):
            it.send(Respond(epoch, Ask(), (Message("user", "", spoken=True, pcm=pcm),), obliged=True))
            await it.settle()
        assert len(it.ordered(Store)) == 1, "stored once"
        [ref] = it.ordered(Answer)[-1].lines[-1].parts
        np.testing.assert_allclose(it.stored(ref), wave(1.0), atol=1e-4)


async def test_of_more_sound_and_pictures_than_are_kept_the_latest_are_told() -> None:
    """And never what the engine does not hold any more."""
    many = [encode_pcm16(np.full(samples(150.0), 0.1 * n, np.float32)) for n in range(1, 5)]
    talk = tuple(Message("user", f"sound {n}", spoken=True, pcm=pcm) for n, pcm in enumerate(many))
    with line(replace(SPEAKS, mixes=True)) as it:
        for epoch in (1, 2):
            it.send(Respond(epoch, Ask(), talk, obliged=True))
            await it.settle()
            [told] = it.ordered(Answer)[-1].lines
            held = _held(it)
            assert {part.key for part in told.parts if isinstance(part, Ref)} <= held
            assert [part for part in told.parts if isinstance(part, str)] == ["sound 0", "sound 1"]
        assert [notice.message for notice in it.of(Notice)].count(it.of(Notice)[-1].message) == 1, "told once"
    shown = tuple(
        message
        for n in range(10)
        for message in (Message("user", f"picture {n}", (bytes([n]),)), Message("assistant", "I see."))
    )
    with line(replace(SPEAKS, pictures=True)) as it:
        for epoch in (1, 2):
            it.send(Respond(epoch, Ask(), (*shown, Message("user", "And now?")), obliged=True))
            await it.settle()
            refs = {p.key for told in it.ordered(Answer)[-1].lines for p in told.parts if isinstance(p, Ref)}
            assert refs <= _held(it) and len(refs) == 8


def _held(it: Line) -> set[int]:
    """What the engine holds of the session."""
    gone = {key for order in it.ordered(Discard) for key in order.keys}
    return {order.key for order in it.ordered(Store)} - gone


async def test_it_greets_where_it_is_told_to_and_helps_on_when_nobody_speaks() -> None:
    with line() as it:
        it.send(Configure("Greet the caller.", "", 1.0))
        async with asyncio.timeout(2):
            while not it.of(Wants):  # noqa: ASYNC110 (an event of the link's)
                await asyncio.sleep(0.01)
        [wish] = it.of(Wants)
        it.send(Respond(1, Ask("Greet the caller."), (), token=wish.token))
        it.says(spoke(1, "Hello!"), ended(1))
        await it.settle()
        assert "Speak first" in str(it.ordered(Answer)[0].lines[-1].parts[0])
        assert it.of(Delta) and not it.of(Withdrawn)
        it.send(Respond(2, Ask(), (Message("assistant", "Hello!", epoch=1),), idle=True, obliged=True))
        await it.settle()
        lines = it.ordered(Answer)[-1].lines
        assert [told.role for told in lines] == ["assistant", "user"]
        assert "helps them on" in str(lines[-1].parts[0])


async def test_what_cannot_be_done_is_said_and_the_session_goes_on() -> None:
    with line() as it:
        asked = Ask(tool_choice="required")
        it.send(Respond(1, asked, (Message("user", "Hello"),), obliged=True))
        await it.settle()
        assert "cannot call functions" in it.of(Failed)[0].message
        it.send(Respond(2, Ask(), (Message("user", "Hello"),), obliged=True))
        await it.settle()
        it.says(Refused(7, 2, "too long"))
        await it.settle()
        assert it.of(Failed)[1] == Failed("too long", epoch=2)
        it.says(Forgot(7, 3, 4, 0), Forgot(7, 4, 4, 0), Forgot(7, 5, 6, 0))
        assert [notice.message.split()[-2] for notice in it.of(Notice)] == ["4", "6"], "told when it changes"
        with pytest.raises(ValueError, match="never heard"):
            it.send(Respond(9, Ask(), (), turn=99))
        it.says(Lost(7, "the model broke down"))
        assert it.of(Failed)[-1] == Failed("the model broke down")


async def test_a_turn_that_was_nothing_leaves_nothing() -> None:
    with line() as it:
        it.hear(1)
        it.send(Respond(1, Ask(), (), turn=1, tentative=True))
        await it.settle()
        it.send(Cancel(1), DropTurn(1))
        assert len(it.ordered(Discard)) == 1
        assert not it.link.busy
