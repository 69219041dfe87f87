"""pocket behind the contract: order, silence after a cancel, effects only after a commit, pacing, wishes, failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duologue.audio import RATE, samples
from duologue.backends.contract import (
    Answers,
    Ask,
    Call,
    Cancel,
    Close,
    Commit,
    Configure,
    Delta,
    DropTurn,
    End,
    EndTurn,
    Event,
    Failed,
    Hear,
    Hypothesis,
    Link,
    Message,
    Respond,
    Wants,
    Withdrawn,
)
from duologue.backends.pocket.backend import PocketBackend
from duologue.backends.pocket.mouth import MouthError

from .parts import HOP, ScriptedEar, ScriptedMind, ScriptedMouth

Kind = TypeVar("Kind")


@dataclass
class Line:
    """A session's end: the link, what came of it, and the parts behind it."""

    link: Link
    events: list[Event]
    ear: ScriptedEar
    mind: ScriptedMind
    mouth: ScriptedMouth

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]

    def text(self, epoch: int) -> str:
        return "".join(delta.text for delta in self.of(Delta) if delta.epoch == epoch)

    def hear(self, turn: int, hops: int = 1, start: int = 0) -> None:
        for hop in range(hops):
            self.link.send(Hear(turn, start + hop * HOP, np.zeros(HOP, np.float32)))

    async def settle(self) -> None:
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
            await self.until(lambda: not self.link.busy)

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():  # noqa: ASYNC110 (what a driver does with `busy`, which has no event)
            await asyncio.sleep(0.001)


@asynccontextmanager
async def line(
    *,
    ear: ScriptedEar | None = None,
    mind: ScriptedMind | None = None,
    mouth: ScriptedMouth | None = None,
    now: Callable[[], datetime] = datetime.now,
    ahead_seconds: float | None = None,
) -> AsyncIterator[Line]:
    ear, mind, mouth = ear or ScriptedEar(), mind or ScriptedMind(), mouth or ScriptedMouth()
    backend = PocketBackend(
        ear=lambda: ear, mind=lambda _: mind, mouth=lambda: mouth, now=now, ahead_seconds=ahead_seconds
    )
    await backend.start()
    mouth.said.clear()  # the warm-up
    events: list[Event] = []
    yield Line(backend.open(events.append), events, ear, mind, mouth)
    await backend.stop()
    assert not ear.running
    assert mouth.closed


# -- a turn and its answer ----------------------------------------------------------------------------------


async def test_a_spoken_turn_is_answered() -> None:
    async with line() as it:
        it.hear(7, 4, start=1_000)
        it.link.send(Respond(1, Ask(), (), turn=7))
        it.link.send(EndTurn(7))
        await it.settle()
        assert next(e for e in it.events if not isinstance(e, Hypothesis)) == Answers(1, "what time is it")
        assert it.text(1) == "It is ten past four. Time for tea."
        assert it.events[-1] == it.of(End)[0]
        last = it.of(Hypothesis)[-1]
        assert last.final
        assert last.complete
        assert last.until == 1_000 + 4 * HOP
        utterance, _, _ = it.mind.planned[0]
        assert utterance is not None
        assert (utterance.text, utterance.confidence) == ("what time is it", 0.9)


async def test_hypotheses_come_while_the_person_speaks() -> None:
    async with line() as it:
        for hop in range(4):
            it.hear(7, 1, start=hop * HOP)
            await it.settle()
        assert [h.text for h in it.of(Hypothesis)] == ["what", "what time", "what time is", "what time is it"]
        assert [h.complete for h in it.of(Hypothesis)] == [None, None, None, True]
        assert not any(h.final for h in it.of(Hypothesis))


async def test_a_reply_waits_for_the_ear_and_hears_all_that_was_said_before_it() -> None:
    async with line(ear=ScriptedEar(delay=0.05)) as it:
        it.hear(7, 3)
        it.link.send(Respond(1, Ask(), (), turn=7))
        assert it.link.busy
        await it.settle()
        assert it.of(Answers) == [Answers(1, "what time is")]


async def test_an_ended_turn_can_be_answered_until_the_next_one_ends() -> None:
    async with line() as it:
        it.hear(7, 4)
        it.link.send(EndTurn(7))
        it.hear(8, 2)
        it.link.send(Respond(1, Ask(), (), turn=7))
        await it.settle()
        assert it.of(Answers) == [Answers(1, "what time is it")]
        it.link.send(EndTurn(8))
        with pytest.raises(ValueError, match="turn 7 cannot be answered"):
            it.link.send(Respond(2, Ask(), (), turn=7))


async def test_a_dropped_turn_frees_the_ear_and_nothing_follows() -> None:
    async with line(ear=ScriptedEar(delay=0.02)) as it:
        it.hear(7, 3)
        it.link.send(DropTurn(7))
        await it.settle()
        await asyncio.sleep(0.05)
        assert it.events == []
        assert it.ear.opened[0].dropped
        with pytest.raises(ValueError, match="turn 7 is not open"):
            it.link.send(EndTurn(7))


async def test_marks_and_waves_say_exactly_the_text() -> None:
    reply = ("Well, the first  thing I know is this.", "…", "Done!")
    async with line(mind=ScriptedMind(reply=reply)) as it:
        it.link.send(Respond(1, Ask(voice="two", speed=1.25), ()))
        await it.settle()
        deltas = it.of(Delta)
        assert it.text(1) == " ".join(reply)
        assert len(deltas) > 2
        for delta in deltas:
            assert delta.wave is not None
            assert delta.marks[-1] == (len(delta.wave), len(delta.text))
            assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(delta.marks))
        assert {(voice, speed) for _, voice, speed in it.mouth.said} == {("two", 1.25)}
        # Between clauses there is a pause, before the first there is none.
        assert deltas[0].wave is not None
        assert deltas[0].wave[0] != 0
        assert all(delta.wave is not None and delta.wave[0] == 0 for delta in deltas[1:])


async def test_a_reply_in_text_has_no_sound() -> None:
    async with line() as it:
        it.link.send(Respond(1, Ask(speech=False), (Message("user", "what time is it"),)))
        await it.settle()
        assert it.text(1) == "It is ten past four. Time for tea."
        assert all(delta.wave is None for delta in it.of(Delta))
        assert it.mouth.said == []
        assert it.of(End)[0].usage.output_audio == 0
        assert it.of(End)[0].usage.input_text == 4


async def test_usage_counts_words_and_sound() -> None:
    async with line() as it:
        it.hear(7, 4)
        it.link.send(Respond(1, Ask(instructions="be brief"), (), turn=7))
        await it.settle()
        usage = it.of(End)[0].usage
        sound = sum(len(delta.wave) for delta in it.of(Delta) if delta.wave is not None)
        assert usage.input_text == 2
        assert usage.input_audio == 1  # 80 ms
        assert usage.output_text == 8
        assert usage.output_audio == -(-sound // samples(0.05))


@pytest.mark.parametrize("speech", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 10, 17, 1000])
async def test_a_reply_keeps_within_its_tokens(speech: bool, limit: int) -> None:
    async with line() as it:
        it.link.send(Respond(1, Ask(speech=speech, max_tokens=limit), ()))
        await it.settle()
        end = it.of(End)[0]
        assert end.usage.output_text + end.usage.output_audio <= limit
        whole = "It is ten past four. Time for tea."
        assert whole.startswith(it.text(1))
        assert (end.reason == "completed") == (it.text(1) == whole)
        assert len(it.text(1).split()) == end.usage.output_text
        for delta in it.of(Delta):
            assert not delta.marks or delta.marks[-1][1] == len(delta.text)


async def test_silence_is_an_answer() -> None:
    async with line(mind=ScriptedMind(silent=True)) as it:
        it.hear(7, 2)
        it.link.send(Respond(1, Ask(), (), turn=7, since_exchange=12.0))
        await it.settle()
        assert it.of(End)[0].reason == "silent"
        assert it.of(Delta) == []
        assert it.mind.planned[0][1:] == (12.0, False)


async def test_a_call_comes_before_the_end() -> None:
    async with line(mind=ScriptedMind(reply=(), call=("light", '{"on": true}'))) as it:
        it.link.send(Respond(1, Ask(), ()))
        await it.settle()
        assert it.events[0] == Call(1, "light", '{"on": true}')
        assert isinstance(it.events[1], End)


async def test_idle_and_obliged_reach_the_mind() -> None:
    async with line() as it:
        it.link.send(Respond(1, Ask(), (), obliged=True))
        it.link.send(Respond(2, Ask(), (), idle=True, obliged=True))
        await it.settle()
        assert it.mind.planned == [(None, None, True)]
        assert {name.split()[0] for name in it.mind.done} == {"answer", "idle"}


# -- speculation and cancellation ------------------------------------------------------------------------------


async def test_a_tentative_reply_has_no_effect_until_it_is_committed() -> None:
    async with line() as it:
        it.hear(7, 4)
        it.link.send(Respond(1, Ask(), (), turn=7, tentative=True))
        await it.settle()
        assert it.text(1)
        assert it.mind.done == []
        it.link.send(Commit(1))
        assert len(it.mind.done) == 1


async def test_a_commit_may_come_before_the_plan() -> None:
    async with line(ear=ScriptedEar(delay=0.03)) as it:
        it.hear(7, 4)
        it.link.send(Respond(1, Ask(), (), turn=7, tentative=True))
        it.link.send(Commit(1))
        assert it.mind.done == []
        await it.settle()
        assert len(it.mind.done) == 1


async def test_a_tentative_reply_taken_back_leaves_no_trace() -> None:
    async with line() as it:
        it.hear(7, 4)
        it.link.send(Respond(1, Ask(), (), turn=7, tentative=True))
        await it.settle()
        it.link.send(Cancel(1))
        it.link.send(Commit(1))
        await it.settle()
        assert it.mind.done == []
        assert it.mind.cut == []


async def test_a_cancelled_reply_falls_silent_at_once_and_the_mind_learns_what_was_heard() -> None:
    async with line(mouth=ScriptedMouth(delay=0.01), mind=ScriptedMind(reply=["Count on."] * 50)) as it:
        it.link.send(Respond(1, Ask(), ()))
        await it.until(lambda: len(it.of(Delta)) >= 3)
        it.link.send(Cancel(1, heard_chars=11))
        so_far, said = list(it.events), len(it.mouth.said)
        await it.settle()
        await asyncio.sleep(0.05)
        assert it.events == so_far
        assert len(it.mouth.said) == said
        assert [chars for _, chars in it.mind.cut] == [11]


async def test_cancelling_from_within_an_event_is_obeyed() -> None:
    """A session may react to an event while it is being told of it."""
    ear, mind = ScriptedEar(), ScriptedMind(reply=("Yes.",))
    backend = PocketBackend(ear=lambda: ear, mind=lambda _: mind, mouth=ScriptedMouth)
    await backend.start()
    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        if isinstance(event, Answers):
            link.send(Cancel(1))

    link = backend.open(emit)
    link.send(Hear(7, 0, np.zeros(HOP, np.float32)))
    link.send(Respond(1, Ask(speech=False), (), turn=7))
    await asyncio.sleep(0.05)
    assert [type(event) for event in events] == [Hypothesis, Answers]
    assert mind.done == []
    await backend.stop()


async def test_a_client_may_say_late_how_much_was_heard() -> None:
    async with line() as it:
        for epoch in range(1, 60):
            it.link.send(Respond(epoch, Ask(speech=False), ()))
            await it.settle()
        it.link.send(Cancel(59, heard_chars=5))
        it.link.send(Cancel(59, heard_chars=2))
        it.link.send(Cancel(1, heard_chars=2))  # long forgotten
        assert [chars for _, chars in it.mind.cut] == [5, 2]


async def test_nothing_follows_a_close() -> None:
    async with line(ear=ScriptedEar(delay=0.02), mouth=ScriptedMouth(delay=0.01)) as it:
        it.mind.wish("timer", within=0.03)
        it.link.send(Configure("", "", 1.0))
        it.hear(7, 4)
        it.hear(8, 4)
        it.link.send(EndTurn(7))
        it.link.send(Respond(1, Ask(), ()))
        await asyncio.sleep(0.015)
        it.link.send(Close())
        so_far = list(it.events)
        it.link.send(Respond(2, Ask(), ()))
        await asyncio.sleep(0.4)
        assert it.events == so_far
        assert all(listening.dropped for listening in it.ear.opened)
        assert not it.link.busy


# -- making ahead -------------------------------------------------------------------------------------------------


async def test_a_long_story_is_not_made_at_once() -> None:
    story = ["Another short clause."] * 100  # 0.42 s each, and the pause
    async with line(mind=ScriptedMind(reply=story), ahead_seconds=2.0) as it:
        it.link.send(Respond(1, Ask(), ()))
        await asyncio.sleep(0.3)
        made = sum(len(delta.wave) for delta in it.of(Delta) if delta.wave is not None) / RATE
        assert 2.0 <= made <= 3.5
        assert it.link.busy
        await asyncio.sleep(1.0)
        later = sum(len(delta.wave) for delta in it.of(Delta) if delta.wave is not None) / RATE
        assert 0.3 <= later - made <= 2.0


async def test_of_a_tentative_reply_only_the_beginning_is_made() -> None:
    story = ["Another short clause."] * 10
    async with line(mind=ScriptedMind(reply=story), ahead_seconds=60.0) as it:
        it.link.send(Respond(1, Ask(), (), tentative=True))
        await it.settle()
        made = sum(len(delta.wave) for delta in it.of(Delta) if delta.wave is not None) / RATE
        assert 1.0 <= made <= 2.0
        assert it.of(End) == []
        it.link.send(Commit(1))
        await it.settle()
        assert it.text(1) == " ".join(story)
        assert len(it.of(End)) == 1


async def test_an_endless_reply_ends() -> None:
    class Endless(list[str]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            while True:
                yield "and again and again and again"

    async with line(mind=ScriptedMind(reply=Endless())) as it:
        it.link.send(Respond(1, Ask(speech=False), ()))
        await it.settle()
        assert it.of(End)[0].reason == "length"


# -- wishes ------------------------------------------------------------------------------------------------------


async def test_a_wish_is_told_when_due_and_granted() -> None:
    async with line() as it:
        it.link.send(Respond(1, Ask(speech=False), ()))
        it.mind.wish("tea", within=0.05)  # the reply sets a timer
        await it.settle()
        assert it.of(Wants) == []
        await asyncio.sleep(0.08)
        assert it.of(Wants) == [Wants("tea", "timer")]
        it.link.send(Respond(2, Ask(speech=False), (), token="tea"))
        await it.settle()
        assert it.mind.done[-1].startswith("initiative tea")
        assert it.of(Withdrawn) == []
        await asyncio.sleep(0.05)
        assert it.of(Wants) == [Wants("tea", "timer")]


async def test_a_wish_that_is_gone_is_withdrawn_only_if_it_was_told() -> None:
    async with line() as it:
        it.mind.wish("now", within=-1)
        it.mind.wish("later", within=60)
        it.link.send(Configure("", "", 1.0))
        await asyncio.sleep(0.35)
        assert it.of(Wants) == [Wants("now", "timer")]
        it.mind.wished = []
        it.link.send(Respond(1, Ask(speech=False), ()))
        await it.settle()
        assert it.of(Withdrawn) == [Withdrawn("now")]


async def test_a_greeting_leaves_the_client_the_first_word() -> None:
    async with line() as it:
        it.mind.wish("greeting", within=0)
        it.link.send(Configure("greet the user", "", 1.0))
        await asyncio.sleep(0.1)
        assert it.of(Wants) == []
        it.mind.wished = []
        it.link.send(Respond(1, Ask(speech=False), (), obliged=True))
        await asyncio.sleep(0.4)
        assert it.of(Wants) == []
        assert it.of(Withdrawn) == []


async def test_a_wish_follows_the_wall_clock_it_is_given() -> None:
    """The clock in the test stands still, so the timer waits; then it jumps."""
    at = datetime(2024, 5, 1, 12, 0)
    async with line(now=lambda: at) as it:
        it.mind.wish("tea", due=at + timedelta(seconds=0.05))
        it.link.send(Respond(1, Ask(speech=False), ()))
        await asyncio.sleep(0.15)
        assert it.of(Wants) == []
        at += timedelta(seconds=1)
        await asyncio.sleep(0.1)
        assert it.of(Wants) == [Wants("tea", "timer")]


async def test_a_timer_that_is_moved_comes_at_its_new_time() -> None:
    async with line() as it:
        it.mind.wish("tea", within=0.05)
        it.link.send(Respond(1, Ask(speech=False), ()))
        await it.settle()
        it.mind.wish("tea", within=0.2)
        it.link.send(Respond(2, Ask(speech=False), ()))
        await asyncio.sleep(0.1)
        assert it.of(Wants) == []
        await asyncio.sleep(0.2)
        assert it.of(Wants) == [Wants("tea", "timer")]


# -- failures ----------------------------------------------------------------------------------------------------


async def test_a_broken_mouth_fails_the_reply_and_the_next_one_works() -> None:
    async with line(mind=ScriptedMind(reply=("Fine so far.", "Now it is broken."))) as it:
        it.link.send(Respond(1, Ask(), ()))
        await it.settle()
        assert it.text(1) == "Fine so far."
        assert it.events[-1] == Failed("the synthesizer broke off; install another", epoch=1)
        it.mind.reply = ("All is well.",)
        it.link.send(Respond(2, Ask(), ()))
        await it.settle()
        assert it.of(End)[0].epoch == 2


async def test_a_lost_turn_is_told_and_so_is_the_reply_that_waited_for_it() -> None:
    async with line(ear=ScriptedEar(delay=0.05)) as it:
        it.hear(7, 4)
        it.link.send(Respond(1, Ask(), (), turn=7, tentative=True))
        await asyncio.sleep(0)
        it.ear.opened[0].lose("the worker died")
        await it.settle()
        assert set(it.of(Failed)) == {Failed("the worker died", turn=7), Failed("the worker died", epoch=1)}
        it.hear(7, 1)  # the session may not know yet
        it.link.send(EndTurn(7))
        it.hear(8, 1)
        it.link.send(Respond(2, Ask(), (), turn=8))
        await it.settle()
        assert it.of(End)[0].epoch == 2


async def test_a_fault_in_a_skill_fails_that_reply_only() -> None:
    async with line(mind=ScriptedMind(broken=True)) as it:
        it.link.send(Respond(1, Ask(), ()))
        await it.settle()
        assert it.of(Failed)[0].epoch == 1
        assert "divides by zero" in it.of(Failed)[0].message
        it.mind.broken = False
        it.link.send(Respond(2, Ask(), ()))
        await it.settle()
        assert it.of(End)[0].epoch == 2


async def test_a_fault_in_a_judgement_loses_that_turn_only() -> None:
    async with line(mind=ScriptedMind(broken=True)) as it:
        it.hear(7, 2)
        await it.settle()
        assert [(failed.turn, failed.epoch) for failed in it.of(Failed)] == [(7, None)]
        assert it.ear.opened[0].dropped
        it.mind.broken = False
        it.link.send(EndTurn(7))
        it.hear(8, 2)
        await it.settle()
        assert it.of(Hypothesis)[-1].text == "what time"


async def test_a_session_that_cannot_take_an_event_ends_and_others_go_on() -> None:
    def refuse(event: Event) -> None:
        raise KeyError("a fault in the session")

    async with line() as it:
        backend = PocketBackend(ear=lambda: it.ear, mind=lambda _: ScriptedMind(), mouth=ScriptedMouth)
        await backend.start()
        faulty = backend.open(refuse)
        faulty.send(Hear(1, 0, np.zeros(HOP, np.float32)))
        it.hear(7, 2)
        await it.settle()
        assert it.of(Hypothesis)[-1].text == "what time"
        assert it.ear.opened[0].dropped
        assert not faulty.busy
        faulty.send(Respond(1, Ask(), ()))
        assert not faulty.busy


async def test_what_the_contract_forbids_is_refused() -> None:
    async with line() as it:
        it.link.send(Respond(1, Ask(speech=False), ()))
        with pytest.raises(ValueError, match="epoch 1"):
            it.link.send(Respond(1, Ask(speech=False), ()))
        with pytest.raises(ValueError, match="turn 9"):
            it.link.send(Respond(2, Ask(), (), turn=9))
        it.hear(7, 1)
        it.link.send(EndTurn(7))
        with pytest.raises(ValueError, match="turn 7 has ended"):
            it.hear(7, 1)


async def test_without_a_mouth_pocket_does_not_start() -> None:
    def none() -> ScriptedMouth:
        raise MouthError("There is nothing to speak with")

    backend = PocketBackend(ear=ScriptedEar, mind=lambda _: ScriptedMind(), mouth=none)
    with pytest.raises(MouthError, match="nothing to speak with"):
        await backend.start()
    with pytest.raises(RuntimeError, match="not running"):
        backend.open(lambda event: None)


async def test_a_start_that_fails_leaves_nothing_running() -> None:
    class Deaf(ScriptedEar):
        async def start(self) -> None:
            await super().start()
            raise FileNotFoundError("the language model is missing")

    ear, mouth = Deaf(), ScriptedMouth()
    backend = PocketBackend(ear=lambda: ear, mind=lambda _: ScriptedMind(), mouth=lambda: mouth)
    with pytest.raises(FileNotFoundError):
        await backend.start()
    assert not ear.running
    assert mouth.closed


# -- any order of commands ----------------------------------------------------------------------------------------


@dataclass
class Driver:
    """Sends what the contract allows in some order, and notes what may be expected."""

    it: Line
    turn: int = 0
    epoch: int = 0
    open: bool = False
    sent: dict[int, bool] = field(default_factory=dict)
    """Epoch: was it tentative?"""
    committed: set[int] = field(default_factory=set)
    cancelled: dict[int, int] = field(default_factory=dict)
    """Epoch: how many events of it had come when it was cancelled."""

    async def do(self, what: str, pick: int) -> None:
        link = self.it.link
        match what:
            case "hear":
                if not self.open:
                    self.turn, self.open = self.turn + 1, True
                self.it.hear(self.turn, 1 + pick % 3)
            case "end" | "drop" if self.open:
                link.send(EndTurn(self.turn) if what == "end" else DropTurn(self.turn))
                self.open = False
            case "respond" | "speculate":
                self.epoch += 1
                self.sent[self.epoch] = what == "speculate"
                turn = self.turn if self.open and pick % 2 else None
                ask = Ask(speech=pick % 3 > 0)
                link.send(Respond(self.epoch, ask, (), turn=turn, tentative=what == "speculate"))
            case "commit" if self.sent:
                epoch = sorted(self.sent)[pick % len(self.sent)]
                link.send(Commit(epoch))
                if epoch not in self.cancelled:
                    self.committed.add(epoch)
            case "cancel" if self.sent:
                epoch = sorted(self.sent)[pick % len(self.sent)]
                link.send(Cancel(epoch, heard_chars=pick if pick % 2 else None))
                self.cancelled.setdefault(epoch, self.count(epoch))
            case "wait":
                await asyncio.sleep(0.001 * (pick % 4))

    def count(self, epoch: int) -> int:
        return sum(getattr(event, "epoch", None) == epoch for event in self.it.events)


COMMANDS = st.lists(
    st.tuples(
        st.sampled_from(["hear", "hear", "end", "drop", "respond", "speculate", "commit", "cancel", "wait"]),
        st.integers(0, 11),
    ),
    max_size=30,
)


@settings(max_examples=150)
@given(COMMANDS, st.sampled_from([None, 0.5]), st.sampled_from([0.0, 0.002]))
def test_any_order_of_commands(commands: list[tuple[str, int]], ahead: float | None, delay: float) -> None:
    asyncio.run(_any_order(commands, ahead, delay))


async def _any_order(commands: list[tuple[str, int]], ahead: float | None, delay: float) -> None:
    async with line(ear=ScriptedEar(delay=delay), mouth=ScriptedMouth(delay=delay), ahead_seconds=ahead) as it:
        driver = Driver(it)
        for what, pick in commands:
            await driver.do(what, pick)
        for epoch, tentative in driver.sent.items():
            if tentative and epoch not in driver.cancelled:
                it.link.send(Commit(epoch))
                driver.committed.add(epoch)
        if driver.open:
            it.link.send(EndTurn(driver.turn))
        await it.settle()

        for epoch, tentative in driver.sent.items():
            ends = [e for e in it.events if isinstance(e, End | Failed) and e.epoch == epoch]
            if epoch in driver.cancelled:
                assert driver.count(epoch) == driver.cancelled[epoch], "emitted after its cancel"
            else:
                assert len(ends) == 1, "exactly one end"
                of_epoch = [e for e in it.events if getattr(e, "epoch", None) == epoch]
                assert of_epoch[-1] is ends[0], "nothing after the end"
                if isinstance(ends[0], End):
                    assert it.text(epoch) == " ".join(it.mind.reply)
            if tentative and epoch not in driver.committed:
                assert driver.count(epoch) == 0 or epoch in driver.cancelled
        committed = len(driver.committed | {e for e, tentative in driver.sent.items() if not tentative})
        assert len(it.mind.done) <= committed, "an effect without a commit"
        finals = [h.turn for h in it.of(Hypothesis) if h.final]
        assert len(finals) == len(set(finals))
