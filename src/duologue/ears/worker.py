"""A worker process of the recogniser: ``python -m duologue.ears.worker VOCABULARY`` (JSON), messages on its pipes.

PocketSphinx holds the interpreter's lock while it decodes, so it must not live where the sockets are. One worker
serves many utterances in slices of 100 ms of audio, those that have least to be heard first, second ears only when no
first ear waits.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pocketsphinx

from duologue import memory
from duologue.ears.channel import Channel
from duologue.ears.utterance import Said, Utterance
from duologue.ears.vocabulary import Vocabulary, open_decoder
from duologue.ears.wire import Kind, Message, Unpacker

NICE = 10
"""Where there are too few cores for all, the sockets come first: one who sends minutes at once waits, nobody else."""

_SPARE = 8
"""Decoders kept for the next utterances, 8 MB each."""

_SAID = tuple(field.name for field in fields(Said))


class Worker:
    """The utterances of one process. ``emit`` sends a message to the recogniser."""

    def __init__(self, vocabulary: Vocabulary, emit: Callable[[Message], None]) -> None:
        self._vocabulary = vocabulary
        self._emit = emit
        self._utterances: dict[int, Utterance] = {}
        self._turn: deque[int] = deque()
        self._spare = [vocabulary.decoder(), vocabulary.decoder()]
        self._spare_interjections = [vocabulary.interjection_decoder() for _ in range(2)]
        self._careful = vocabulary.careful_decoder()
        self._open: pocketsphinx.Decoder | None = None  # while an utterance has it, and before it is made
        self._open_made = False

    def prepare(self) -> None:
        """Make the open decoder, if the vocabulary ever asks for it: 95 MB, and nothing is decoded for 0.4 s."""
        if not self._open_made and self._vocabulary.may_ask:
            self._open, self._open_made = open_decoder(), True

    @property
    def _open_free(self) -> bool:
        """Whether an utterance may have the open decoder; one that is still to be made is not busy."""
        return self._open is not None or not self._open_made

    def take(self, message: Message) -> None:
        """Carry out one message."""
        if message.kind is Kind.PREPARE:
            self.prepare()
            return
        if message.kind is Kind.OPEN:
            decoder = self._spare.pop() if self._spare else self._vocabulary.decoder()
            channel = Channel.from_json(message.body.decode()) if message.body else Channel.unknown()
            third = self._spare_interjections.pop() if self._spare_interjections else None
            third = third or self._vocabulary.interjection_decoder()
            self._utterances[message.utterance] = Utterance(self._vocabulary, decoder, channel, third, self._careful)
            self._turn.append(message.utterance)
            return
        utterance = self._utterances.get(message.utterance)
        if utterance is None:
            raise ValueError(f"{message.kind.name} of an utterance that is not open")
        if message.kind is Kind.PUSH:
            utterance.push(np.frombuffer(message.body, dtype="<i2").astype(np.float32) / 32_767.0)
        elif message.kind is Kind.FINISH:
            utterance.finish()
        elif message.kind is Kind.DROP:
            utterance.end()
            self._close(message.utterance)
        else:
            raise ValueError(f"{message.kind.name} is not for a worker")

    def work(self) -> bool:
        """Decode one slice, or conclude an utterance; ``False`` where nothing waits."""
        for attempt in (self._first, self._second, self._last):
            # Who has least to be heard comes first: a file sent in one go never delays those who talk live.
            for key in sorted(self._turn, key=lambda key: self._utterances[key].waiting):
                if attempt(key, self._utterances[key]):
                    if key in self._utterances:
                        self._turn.remove(key)
                        self._turn.append(key)
                    return True
        return False

    def _first(self, key: int, utterance: Utterance) -> bool:
        if not utterance.ready:
            return self._last(key, utterance)
        utterance.step()
        self._tell(key, utterance.say())
        return True

    def _second(self, key: int, utterance: Utterance) -> bool:
        if self._open_free and utterance.wants_second:
            self.prepare()
            assert self._open is not None
            utterance.listen_too(self._open)
            self._open = None
        if not utterance.second_ready:
            return False
        utterance.step_second()
        if utterance.too_long_for_second:
            self._open = utterance.release()
        self._tell(key, utterance.say())
        return True

    def _last(self, key: int, utterance: Utterance) -> bool:
        if not utterance.over or utterance.insists or (self._open_free and utterance.wants_second):
            return False
        said, channel = utterance.conclude()
        self._tell(key, said, channel)
        self._close(key)
        return True

    def _close(self, key: int) -> None:
        utterance = self._utterances.pop(key)
        self._turn.remove(key)
        self._open = utterance.release() or self._open
        if len(self._spare) < _SPARE:
            self._spare.append(utterance.first.decoder)
        if utterance.third is not None and len(self._spare_interjections) < _SPARE:
            self._spare_interjections.append(utterance.third.decoder)

    def _tell(self, key: int, said: Said | None, channel: Channel | None = None) -> None:
        if said is None:
            return
        told = {name: getattr(said, name) for name in _SAID}  # asdict would copy each, 50 times a second
        told["channel"] = channel.to_json() if channel is not None else None
        self._emit(Message(Kind.WORDS, key, json.dumps(told).encode()))


def main() -> None:
    """Serve until the recogniser closes the pipe. Signals are the recogniser's business: a server drains first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(NICE)
    memory.return_large_blocks()
    source, sink = sys.stdin.fileno(), os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints must not get between the messages

    def emit(message: Message) -> None:
        data = memoryview(message.packed())
        while data:
            data = data[os.write(sink, data) :]

    worker = Worker(Vocabulary.from_json(sys.argv[1]), emit)
    emit(Message(Kind.READY, 0))
    unpacker = Unpacker()
    busy = False
    while True:
        if select.select([source], [], [], 0 if busy else None)[0]:
            data = os.read(source, 1 << 20)
            if not data:
                return
            for message in unpacker.push(data):
                worker.take(message)
        busy = worker.work()


if __name__ == "__main__":
    main()
