"""Exchanges: what was heard, said, and how long it took, against a server whose figures are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from duologue.audio import RATE, seconds
from duologue.measure.caller import Caller
from duologue.measure.exchange import exchange, joined
from duologue.measure.lines import LineError
from measure.scripted import ENDPOINT, Scripted, ScriptedLine, tone


async def converse(script: Scripted, *waves: np.ndarray):  # type: ignore[no-untyped-def, type-arg]
    caller = Caller(ScriptedLine(script))
    await caller.join()
    return caller, [await exchange(caller, wave) for wave in waves]


@pytest.mark.parametrize("delay", [0.0, 0.3, 1.5])
async def test_the_known_latency_is_measured(delay: float) -> None:
    _, (turn,) = await converse(Scripted(delay=delay), tone(0.7))
    assert turn.heard == "what time is it"
    assert turn.said == "it is noon"
    assert turn.answered
    assert not turn.cut_in
    assert turn.latency == pytest.approx(ENDPOINT + delay, abs=0.021)  # a frame is heard when it is over
    assert seconds(len(turn.audio)) == pytest.approx(0.5)


async def test_silence_after_the_voice_is_not_voice() -> None:
    """A file's trailing silence is no part of the wait, nor is the synthesizer's."""
    wave = np.concatenate([tone(0.7), np.zeros(RATE // 10, np.float32)])
    _, (turn,) = await converse(Scripted(), wave)
    assert turn.end - turn.start == pytest.approx(0.7 * RATE, abs=25)
    assert turn.latency == pytest.approx(ENDPOINT + 0.3, abs=0.021)


async def test_the_next_turn_begins_after_the_reply() -> None:
    caller, (first, second) = await converse(Scripted(reply=2.0), tone(0.5), tone(0.5))
    assert first.answer is not None
    assert second.start >= first.answer + 2.0 * RATE
    assert len(second.responses) == 1
    assert second.latency == pytest.approx(ENDPOINT + 0.3, abs=0.021)
    assert caller.calm


async def test_a_reply_far_ahead_of_its_playback_is_heard_out() -> None:
    """All audio comes at once and response.done long before it was played."""
    _, (first, second) = await converse(Scripted(reply=3.0, lead=9.0), tone(0.5), tone(0.5))
    assert first.answer is not None
    assert second.start >= first.answer + 3.0 * RATE
    assert seconds(len(first.audio)) == pytest.approx(3.0)


async def test_silence_was_the_answer() -> None:
    caller, (turn,) = await converse(Scripted(does="ignore"), tone(0.5))
    assert not turn.answered
    assert turn.latency is None
    assert turn.heard == "what time is it"
    assert (turn.said, len(turn.audio), turn.problem) == ("", 0, "")
    assert seconds(caller.position - turn.end) < 1.5  # the server said so: nothing to wait for


async def test_a_server_that_never_answers_is_given_up() -> None:
    caller, (turn,) = await converse(Scripted(does="nothing"), tone(0.5))
    assert not turn.answered
    assert 15 <= seconds(caller.position - turn.end) < 16


async def test_what_is_no_speech_is_given_up_soon() -> None:
    caller, (turn,) = await converse(Scripted(), np.zeros(RATE, np.float32))
    assert not turn.answered
    assert turn.heard == ""
    assert 3 <= seconds(caller.position - RATE) < 3.5


async def test_a_failed_response_says_what_broke() -> None:
    _, (turn,) = await converse(Scripted(does="fail"), tone(0.5))
    assert not turn.answered
    assert turn.problem == "the mouth broke"


async def test_a_response_that_never_ends_is_an_error() -> None:
    with pytest.raises(LineError, match="did not end"):
        await converse(Scripted(does="hang"), tone(0.5))


async def test_a_reply_that_cuts_in_has_a_negative_latency() -> None:
    """The person pauses for 0.3 s in mid-sentence, the server takes it for the end and cannot be stopped."""
    wave = np.concatenate([tone(0.5), np.zeros(int(0.3 * RATE), np.float32), tone(0.6)])
    _, (turn,) = await converse(Scripted(delay=0.0, reply=2.0, obeys_after=None), wave)
    assert turn.latency is not None
    assert turn.latency == pytest.approx(ENDPOINT - 0.3 - 0.6, abs=0.03)
    assert turn.cut_in


async def test_a_taken_back_reply_is_not_the_answer() -> None:
    """It cut in, was interrupted by the rest of the sentence, and then answered properly."""
    wave = np.concatenate([tone(0.5), np.zeros(int(0.5 * RATE), np.float32), tone(0.8)])
    _, (turn,) = await converse(Scripted(delay=0.0, reply=2.0, obeys_after=0.1), wave)
    assert len(turn.responses) == 2
    assert turn.latency == pytest.approx(ENDPOINT, abs=0.03)
    assert turn.cut_in


@dataclass
class LateTranscript(Scripted):
    """As slow recognisers are."""

    def _at(self, when: float, **event: object) -> None:
        super()._at(when + (2.0 if "transcription" in str(event["type"]) else 0.0), **event)


async def test_a_late_transcript_is_waited_for() -> None:
    _, (turn,) = await converse(LateTranscript(), tone(0.5))
    assert turn.heard == "what time is it"


def test_joined_waves_have_gaps_between() -> None:
    one, two = np.ones(10, np.float32), np.full(20, 0.5, np.float32)
    wave = joined([one, two], gap=0.001)
    assert np.array_equal(wave, np.concatenate([one, np.zeros(24, np.float32), two]))
    assert np.array_equal(joined([one]), one)
    assert len(joined([])) == 0
