"""What a model is told: the dialogue in lines, whose sounds and pictures lie in the engine and are sent there once.

A turn's sound is stored as it stood when it was answered; only if that answer was taken back, because the person went
on, it is stored anew. So what the engine holds of a dialogue stays true, and is not read again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

import numpy as np

from duologue.audio import Wave, samples, seconds
from duologue.audio.formats import decode_pcm16
from duologue.backends.contract import Message, Respond, Turn
from duologue.backends.pocket.english import GO_ON, GREET, HELP_ON
from duologue.engine.messages import Discard, Quote, Ref, Seat, Store, Told, TurnCommand
from duologue.models.turns import Facts

LONGEST = 300.0
"""Seconds of a turn that are kept, its last ones."""

KEPT = 400.0
"""Seconds of sound that the engine keeps of a session; older turns are then known by their words."""

_MOST_PICTURES = 8


@dataclass(slots=True)
class _Heard:
    """A turn on this side of the line."""

    waves: deque[Wave] = field(default_factory=deque)
    samples: int = 0
    """Of ``waves``."""
    lost: int = 0
    """Samples from its beginning that were too many."""
    ended: bool = False
    stale: bool = False
    """Whether the answer to what is stored of it was taken back."""
    told: bool = False
    """Whether the person knows that it is too long."""

    @property
    def size(self) -> int:
        """Samples in all."""
        return self.samples + self.lost


@dataclass(frozen=True, slots=True)
class _Stored:
    """A thing on the other side."""

    refs: tuple[Ref, ...]
    samples: int = 0
    """Of sound."""
    heard: int = 0
    """Samples of the turn that it was, with those that are not kept."""


class Things:
    """A session's sounds and pictures."""

    def __init__(
        self, seat: Seat, facts: Facts, order: Callable[[TurnCommand], None], told: Callable[[str], None]
    ) -> None:
        """``told`` is given what the person should know."""
        self._seat = seat
        self._window = samples(facts.window)
        self._one = facts.sounds_per_turn == 1
        self._most = self._window if self._one else samples(LONGEST)
        self._order = order
        self._told = told
        self._keys = count(1)
        self._turns: dict[Turn, _Heard] = {}
        self._stored: dict[Hashable, _Stored] = {}
        """The oldest first."""
        self._used: set[Hashable] = set()
        """What the prompt that is being put together refers to."""
        self._short = False
        """Whether the person knows that not all of the sound is kept."""

    def begin(self) -> None:
        """A prompt is put together, beginning with its last line: of what is too much, the oldest is left out."""
        self._used.clear()

    # -- turns --------------------------------------------------------------------------------------------------

    def hear(self, turn: Turn, wave: Wave) -> None:
        """More of an open turn."""
        heard = self._turns.setdefault(turn, _Heard())
        heard.waves.append(wave)
        heard.samples += len(wave)
        while heard.samples - len(heard.waves[0]) >= self._most:
            heard.samples -= len(heard.waves[0])
            heard.lost += len(heard.waves.popleft())

    def end(self, turn: Turn) -> None:
        """The turn is over. What can no longer be answered is on the other side, or nowhere."""
        for old in [old for old, heard in self._turns.items() if heard.ended]:
            del self._turns[old]
        if turn in self._turns:
            self._turns[turn].ended = True

    def forget(self, turn: Turn) -> None:
        """The turn was nothing, or was not meant for us."""
        self._turns.pop(turn, None)
        self._discard(("turn", turn))

    def take_back(self, turn: Turn) -> None:
        """The answer to it was taken back: the person goes on."""
        if turn in self._turns:
            self._turns[turn].stale = True

    def turn(self, turn: Turn) -> tuple[Ref, ...]:
        """Its sound, as it was answered or as far as it was heard; nothing, where it is too long ago."""
        name, heard = ("turn", turn), self._turns.get(turn)
        stored = self._stored.get(name)
        if heard is None or (stored and not heard.stale and (heard.ended or heard.size == stored.heard)):
            return self._known(name)
        heard.stale = False
        self._discard(name)
        wave = np.concatenate(heard.waves)
        if heard.size > self._most and not heard.told:
            heard.told = True
            self._told(f"the turn is too long for the model, which hears its last {seconds(self._most):g} s")
        return self._store_sound(name, wave, heard.size)

    def sound(self, pcm: bytes) -> tuple[Ref, ...]:
        """Sound that was put into the conversation: 16 bits at 24 kHz. Nothing, where later ones leave it no room."""
        if pcm in self._stored:
            return self._known(pcm)
        if len(pcm) // 2 > self._most:
            self._told(f"a sound is too long for the model, which hears its last {seconds(self._most):g} s")
        return self._store_sound(pcm, decode_pcm16(pcm))

    def picture(self, file: bytes) -> tuple[Ref, ...]:
        """A picture that was shown; nothing, where later ones leave it no room."""
        if file not in self._stored:
            shown = [name for name, stored in self._stored.items() if not stored.samples]
            spare = [name for name in shown if name not in self._used]
            if not spare and len(shown) >= _MOST_PICTURES:
                return ()
            for name in spare[: len(shown) - _MOST_PICTURES + 1]:
                self._discard(name)
            self._stored[file] = _Stored((self._store(file),))
        return self._known(file)

    # -- the other side -----------------------------------------------------------------------------------------

    def _known(self, name: Hashable) -> tuple[Ref, ...]:
        """What is stored under a name, if anything is."""
        stored = self._stored.get(name)
        if stored is None or not self._fits(stored.samples):
            return ()
        self._used.add(name)
        return stored.refs

    def _fits(self, size: int) -> bool:
        """Whether the prompt may refer to so many samples more; one sound may always."""
        used = sum(self._stored[name].samples for name in self._used)
        if not used or used + size <= samples(KEPT):
            return True
        if not self._short:
            self._short = True
            self._told(f"the model knows the last {KEPT:g} s of what was said by their sound, the rest by its words")
        return False

    def _store_sound(self, name: Hashable, wave: Wave, heard: int = 0) -> tuple[Ref, ...]:
        wave = wave[-self._most :]
        if not self._fits(len(wave)):
            return ()
        parts = np.array_split(wave, max(1, -(-len(wave) // self._window)))
        self._stored[name] = stored = _Stored(tuple(self._store(part) for part in parts), len(wave), heard)
        total = sum(each.samples for each in self._stored.values())
        self._used.add(name)
        for old in [old for old, each in self._stored.items() if each.samples and old not in self._used]:
            if total <= samples(KEPT):
                break
            total -= self._stored[old].samples
            self._discard(old)
        return stored.refs

    def _store(self, thing: Wave | bytes) -> Ref:
        key = next(self._keys)
        self._order(Store(self._seat, key, thing))
        return Ref(key)

    def _discard(self, name: Hashable) -> None:
        self._used.discard(name)
        if (stored := self._stored.pop(name, None)) is not None:
            self._order(Discard(self._seat, tuple(ref.key for ref in stored.refs)))


@dataclass(slots=True)
class _Line:
    """A line that is being put together."""

    role: Literal["system", "user", "assistant"]
    texts: list[str | Quote] = field(default_factory=list)
    sounds: tuple[Ref, ...] = ()
    pictures: tuple[Ref, ...] = ()

    def told(self) -> Told:
        return Told(self.role, (*self.pictures, *self.texts, *self.sounds))


class Prompts:
    """How a dialogue is told to one model."""

    def __init__(self, facts: Facts, things: Things, ignored: Callable[[Turn], bool]) -> None:
        """``ignored``: whether a turn was left alone; the model then does not know of it either."""
        self._facts = facts
        self._things = things
        self._ignored = ignored

    def of(self, respond: Respond, *, history: bool, seen: Callable[[bytes], str]) -> tuple[Told, ...]:
        """The lines of a reply. ``history``: whether earlier turns are told to a model that was not trained on them;
        ``seen``: a picture in words, for a model that cannot see."""
        messages = [item for item in respond.history if isinstance(item, Message) and self._concerns(item)]
        remembers = history or self._facts.history == "trained"
        last = max((n for n, message in enumerate(messages) if message.role == "assistant"), default=-1)
        lines = self._lines(messages if remembers else messages[last + 1 :], respond.turn, seen)
        if (direction := self._direction(respond, lines, begun=bool(messages))) is not None:
            lines = [*(lines if remembers else ()), _Line("user", [direction])]
        body = [self._bounded(line) for line in self._joined(lines)]
        return (*self._instructions(respond), *(line.told() for line in body))

    def _concerns(self, message: Message) -> bool:
        """Whether it is a line of the dialogue; function calls and their results are nothing to these models."""
        return message.role != "system" and not (message.turn is not None and self._ignored(message.turn))

    def _direction(self, respond: Respond, lines: Sequence[_Line], *, begun: bool) -> str | None:
        """What stands for the person's words where they said none."""
        if respond.token is not None:
            return GREET
        if respond.idle:
            return HELP_ON
        if lines and lines[-1].role == "user":
            return None
        return GO_ON if begun else GREET

    def _instructions(self, respond: Respond) -> Iterator[Told]:
        texts = [respond.ask.instructions]
        texts += [item.text for item in respond.history if isinstance(item, Message) and item.role == "system"]
        told = "\n\n".join(text for text in texts if text.strip())
        if told and self._facts.instructions:
            yield Told("system", (told,))

    def _lines(self, messages: Sequence[Message], turn: Turn | None, seen: Callable[[bytes], str]) -> list[_Line]:
        """Message by message, and the turn to answer; from the last to the first, for the first may have to go."""
        self._things.begin()
        asked = [] if turn is None else [_Line("user", sounds=self._things.turn(turn))]
        told = [self._line(message, seen) for message in reversed(messages)]
        return [line for line in (*reversed(told), *asked) if line.told().parts]

    def _line(self, message: Message, seen: Callable[[bytes], str]) -> _Line:
        if message.role == "assistant":
            text = message.text if message.epoch is None else Quote(message.epoch, message.text)
            return _Line("assistant", [text])
        line = _Line(message.role)
        if message.role == "user" and self._facts.pictures:
            line.pictures = tuple(ref for image in message.images for ref in self._things.picture(image))
        elif message.role == "user":
            line.texts += [f"(I show you a picture. In it: {seen(image)}.)" for image in message.images]
        if message.turn is not None:
            line.sounds = self._things.turn(message.turn)
        elif message.pcm:
            line.sounds = self._things.sound(message.pcm)
        if message.text and not line.sounds:
            line.texts.append(message.text)
        return line

    def _joined(self, lines: Sequence[_Line]) -> list[_Line]:
        """Neighbours of the person's as one line, where the model can be given them so."""
        joined: list[_Line] = []
        for line in lines:
            last = joined[-1] if joined and joined[-1].role == line.role == "user" else None
            if last is None:
                joined.append(line)
                continue
            last.pictures += line.pictures
            if not self._facts.mixes and (line.texts or line.sounds):
                last.texts, last.sounds = [], ()  # the latest question is the question
            elif self._facts.sounds_per_turn == 1 and line.sounds:
                last.sounds = ()
            last.texts += line.texts
            last.sounds += line.sounds
        return joined

    def _bounded(self, line: _Line) -> _Line:
        if self._facts.sounds_per_turn == 1:
            line.sounds = line.sounds[-1:]
            line.pictures = line.pictures[-1:]
        return line
