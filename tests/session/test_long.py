"""Long hours on a virtual clock: what a session keeps stays in bounds, and it does at the end what it did at first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import psutil
import pytest

from duologue.audio import RATE, Wave, samples
from duologue.backends.contract import Command, Hear
from duologue.measure.voices import quiet_room, speak
from session import scripted
from session.scripted import Conversation, ScriptedBackend

pytestmark = pytest.mark.timeout(300)

MEGABYTES = 10 * 2**20
"""What the process may grow by; the sound itself would be 170 (a monologue) and 340 (the hour)."""


class Forgetful(ScriptedBackend):
    """Keeps no sound: what grows is the session's."""

    def send(self, command: Command) -> None:
        super().send(command)
        if isinstance(command, Hear):
            self.commands[-1] = replace(command, wave=np.zeros(0, np.float32))


def minutes(talk: Conversation, wave: Wave, many: int) -> None:
    """``wave`` over and over, a second at a time."""
    for second in range(60 * many):
        talk.hear(np.take(wave, range(RATE * second, RATE * (second + 1)), mode="wrap"))


@contextmanager
def bounded() -> Iterator[None]:
    process = psutil.Process()
    before = process.memory_info().rss
    yield
    assert process.memory_info().rss - before < MEGABYTES


@pytest.fixture(autouse=True)
def second_by_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripted, "HOP", RATE)


def test_an_hour_of_silence() -> None:
    talk = Conversation(Forgetful())
    minutes(talk, quiet_room(0), 3)
    with bounded():
        minutes(talk, quiet_room(0), 57)
    assert talk.types() == ["session.created", "session.updated"], "nothing happened"
    assert talk.session.poll() is None, "and nothing is going to"
    talk.hear(np.concatenate([speak("what time is it").wave, np.zeros(samples(3.0), np.float32)]))
    talk.wait(3.0)
    assert talk.of("response.done"), "it still answers"


def test_a_monologue_of_half_an_hour() -> None:
    backend = Forgetful(complete=False)
    talk = Conversation(backend)
    said = speak("once upon a time there was a king who had a daughter and a son and a dog and a cat", "rms")
    speech = said.wave[said.start : said.end]
    minutes(talk, speech, 3)
    with bounded():
        minutes(talk, speech, 27)
    assert not talk.of("response.created"), "nobody cuts in"
    assert len(talk.of("input_audio_buffer.speech_started")) == 1
    talk.hear(np.zeros(samples(5.0), np.float32))
    talk.wait(3.0)
    assert len(talk.of("input_audio_buffer.committed")) == 1
    assert talk.of("response.done")[-1]["response"]["status"] == "completed"
