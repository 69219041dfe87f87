"""A worker by hand: when its open decoder is made, and that one still to be made is not taken for a busy one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pocketsphinx
import pytest

from duologue.audio import samples
from duologue.backends.pocket.language import vocabulary
from duologue.ears import worker as module
from duologue.ears.vocabulary import Vocabulary, english, open_decoder
from duologue.ears.wire import Kind, Message
from duologue.ears.worker import Worker
from duologue.measure.voices import noise, speak


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[pocketsphinx.Decoder]:
    """The open decoders made in the test."""
    decoders: list[pocketsphinx.Decoder] = []

    def make() -> pocketsphinx.Decoder:
        decoders.append(open_decoder())
        return decoders[-1]

    monkeypatch.setattr(module, "open_decoder", make)
    return decoders


def final(worker: Worker, told: list[Message], text: str) -> dict[str, Any]:
    """The last words of ``text``, said in slt's voice."""
    wave = speak(text, "slt").wave
    wave = np.concatenate((np.zeros(samples(0.3), np.float32), wave, np.zeros(samples(0.3), np.float32)))
    worker.take(Message(Kind.OPEN, 1))
    heard = np.rint((wave + noise(len(wave), -65.0)) * 32_767).astype("<i2")
    for at in range(0, len(heard), 480):
        worker.take(Message(Kind.PUSH, 1, heard[at : at + 480].tobytes()))
        while worker.work():
            pass
    worker.take(Message(Kind.FINISH, 1))
    while worker.work():
        pass
    said: dict[str, Any] = json.loads(told[-1].body)
    assert said["final"]
    return said


def test_the_open_decoder_is_made_for_a_session_or_when_somebody_is_doubted(
    made: list[pocketsphinx.Decoder],
) -> None:
    told: list[Message] = []
    worker = Worker(replace(vocabulary(), doubt=0.0), told.append)
    assert final(worker, told, "what is five plus seven")["open_text"] is None
    assert not made, "nobody needed it"
    worker.take(Message(Kind.PREPARE, 0))
    worker.take(Message(Kind.PREPARE, 0))
    assert len(made) == 1

    doubting = Worker(replace(vocabulary(), doubt=1.0), told.append)
    for _ in range(2):
        assert final(doubting, told, "what is five plus seven")["open_text"], "it waited for the decoder"
    assert len(made) == 2


@pytest.mark.parametrize("words", [english()])
def test_who_never_asks_it_never_has_it(words: Vocabulary, made: list[pocketsphinx.Decoder]) -> None:
    worker = Worker(words, lambda message: None)
    worker.take(Message(Kind.PREPARE, 0))
    assert not made
