"""A real session in this process, in real time and on virtual time, with a backend of known habits."""

from __future__ import annotations

import time

import pytest

from duologue.measure import inprocess
from duologue.measure.caller import Caller
from duologue.measure.exchange import Exchange, exchange
from duologue.measure.inprocess import in_process
from duologue.measure.lines import LineError
from duologue.measure.voices import speak
from measure.parrot import Parrot


async def say_hello(parrot: Parrot, *, fast: bool) -> Exchange:
    async with in_process(parrot, fast=fast) as line:
        caller = Caller(line)
        await caller.join()
        assert caller.model == "parrot"
        hello = speak("Hello, how are you?", "slt")
        turn = await exchange(caller, hello.wave, hello.end)
    assert parrot.closed == 1
    return turn


async def test_real_time() -> None:
    turn = await say_hello(Parrot(), fast=False)
    assert (turn.heard, turn.said, turn.cut_in) == ("hello", "hello", False)
    assert turn.latency is not None
    assert 0.05 < turn.latency < 1.0
    assert len(turn.audio) == pytest.approx(24_000, abs=2_000)  # played without gaps worth mentioning


async def test_virtual_time_stands_still_while_the_backend_works() -> None:
    """A slow backend and a long reply: the same conversation, in less time than it lasts."""
    began = time.monotonic()
    slow = await say_hello(Parrot(thinks=1.0, says=60.0), fast=True)
    took = time.monotonic() - began
    quick = await say_hello(Parrot(thinks=0.0, says=60.0), fast=True)
    assert (slow.heard, slow.said) == ("hello", "hello")
    assert len(slow.audio) == len(quick.audio) == 60 * 24_000
    assert slow.latency == pytest.approx(quick.latency, abs=0.001)
    assert took < 30


async def test_a_backend_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inprocess, "_HUNG", 0.2)
    with pytest.raises(LineError, match="did not finish its work"):
        await say_hello(Parrot(thinks=60.0), fast=True)
