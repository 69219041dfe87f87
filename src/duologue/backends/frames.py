"""One session with a model that hears and speaks all the time: what it says, cut into replies.

A *reply* opens at the first audible frame or word, and closes when a second of silence and padding has passed. The
model is asked nothing in between: whether it talks on over the person, falls silent or answers at all is its own doing.

    quiet ──audible──→ wishing ──granted──→ speaking ──a second of silence──→ quiet
      ╰──────────── asked (response.create) ───↗   ╰──cancelled──→ hushed ──it paused──→ quiet

*Hushed*, the model is made to say silence (frame by frame, in its own codes) while it goes on hearing. That is how a
cancel is obeyed, and how it keeps silent where the client begins every response itself: there it is hushed except
while a reply is asked for.

Turns are heard beside all this by an ear of the runtime's, for their transcripts only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import structlog

from duologue.audio import milliseconds, samples
from duologue.audio.level import first_audible
from duologue.backends.contract import (
    CallResult,
    Cancel,
    Close,
    Command,
    Commit,
    Configure,
    Delta,
    DropTurn,
    End,
    EndTurn,
    Epoch,
    Event,
    Failed,
    Hear,
    Hypothesis,
    Message,
    Notice,
    Respond,
    Sound,
    Turn,
    Usage,
    Wants,
    Withdrawn,
)
from duologue.backends.pocket.parts import Listening, SessionEar, Words
from duologue.engine.messages import Dropped, Joined, Lost, Said
from duologue.engine.process import Heard, Place

SILENCE = samples(1.0)
"""Samples of silence and padding that close a reply, and after which a hushed model counts as having paused."""

ASKED = samples(4.0)
"""So long a model that was asked may take to begin; then its reply is that it said nothing."""

HELD = 25
"""Frames of a wish that are kept while nobody grants it: two seconds."""

log = structlog.get_logger("duologue.engine")


class Join(Protocol):
    """Takes a seat in the engine."""

    def __call__(self, on_event: Callable[[Heard], None], *, hushed: bool, voice: str, instructions: str) -> Place: ...


class FrameLink:
    """See :class:`duologue.backends.contract.Link`. Made by ``EngineBackend.open``."""

    def __init__(
        self,
        emit: Callable[[Event], None],
        *,
        join: Join,
        voices: tuple[str, ...],
        prompted: bool,
        ear: SessionEar | None,
        closed: Callable[[FrameLink], None],
    ) -> None:
        """Raises what ``join`` raises."""
        self._emit_event = emit
        self._join = join
        self._voices = voices
        self._prompted = prompted
        self._ear = ear
        self._on_closed = closed
        self._closed = False
        self._turns: dict[Turn, Listening | None] = {}

        self._persona = ("", "")
        self._initiative = True
        self._hushed = False
        self._place = self._new_place()

        self._epoch: Epoch | None = None
        """The open reply."""
        self._limit: int | None = None
        self._begun = False
        """Whether it has been audible."""
        self._wish: str | None = None
        self._wishes = 0
        self._held: list[Delta] = []
        """What was said since the wish, until it is granted (the epoch is put in then)."""
        self._still = 0
        """Samples since anything was audible; of a hushed model, since it would have said a word."""
        self._frames = self._words = 0

    @property
    def busy(self) -> bool:
        """A model on a clock never has anything left to do."""
        return False

    # -- commands ---------------------------------------------------------------------------------------------

    def send(self, command: Command) -> None:
        if self._closed:
            return
        match command:
            case Configure():
                self._configure(command)
            case Sound():
                self._place.hear(command.wave)
            case Hear():
                self._hear(command)
            case EndTurn():
                self._end_turn(command.turn)
            case DropTurn():
                if (listening := self._turns.pop(command.turn, None)) is not None:
                    listening.drop()
            case Respond():
                self._respond(command)
            case Cancel():
                if command.epoch == self._epoch:
                    self._close_reply()
                    self._hush(True)
            case Commit():
                pass  # nothing here is tentative
            case Close():
                self.close()

    def close(self) -> None:
        """The session is over: the seat and the ear are free, and nothing is emitted any more."""
        if self._closed:
            return
        self._closed = True
        self._place.leave()
        for listening in self._turns.values():
            if listening is not None:
                listening.drop()
        self._turns.clear()
        self._on_closed(self)

    def _configure(self, command: Configure) -> None:
        voice = command.voice if command.voice in self._voices[1:] else ""  # unknown ones are the default
        persona = (voice, command.instructions)
        if command.initiative != self._initiative:
            self._initiative = command.initiative
            if self._epoch is None:
                self._hush(not command.initiative)
        if self._prompted and persona != self._persona:
            self._persona = persona
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Another persona is another dialogue: what was said before it is not remembered."""
        self._place.leave()
        if self._wish is not None:
            self._later(Withdrawn(self._wish))
            self._forget_wish()
        if self._epoch is not None:
            self._end("completed")
        try:
            self._place = self._new_place()
        except RuntimeError as error:
            self._later(Failed(str(error)))

    def _new_place(self) -> Place:
        voice, instructions = self._persona
        return self._join(self._on_heard, hushed=self._hushed, voice=voice, instructions=instructions)

    def _hush(self, on: bool) -> None:
        if on != self._hushed:
            self._hushed, self._still = on, 0
            self._place.hush(on)

    # -- replies ------------------------------------------------------------------------------------------------

    def _respond(self, command: Respond) -> None:
        if self._epoch is not None:
            self._later(Failed("the model has one voice, and it is speaking: wait, or cancel first", command.epoch))
        elif command.token is not None:
            if command.token == self._wish:
                self._open_reply(command)
            else:
                self._later(End(command.epoch, "silent"))
        elif not command.obliged:
            self._later(End(command.epoch, "silent"))  # it speaks when it likes
        elif (problem := unsupported(command)) is not None:
            self._later(Failed(problem, command.epoch))
        else:
            if self._wish is not None:
                self._later(Withdrawn(self._wish))
            self._open_reply(command)
            self._hush(False)

    def _open_reply(self, command: Respond) -> None:
        """From what was said since the wish, if there is one, else from whenever it begins."""
        held = self._held
        self._forget_wish()
        self._epoch, self._begun = command.epoch, bool(held)
        self._limit = command.ask.max_tokens
        self._frames, self._words, self._still = len(held), sum(bool(delta.text) for delta in held), 0
        self._later(*(replace(delta, epoch=command.epoch) for delta in held))

    def _close_reply(self) -> None:
        self._epoch = None
        self._still = 0
        self._hush(not self._initiative)

    def _end(self, reason: str) -> None:
        epoch = self._epoch
        assert epoch is not None
        usage = Usage(output_text=self._words, output_audio=self._frames)
        self._later(End(epoch, "length" if reason == "length" else "completed", usage))
        self._close_reply()

    def _forget_wish(self) -> None:
        self._wish = None
        self._held = []

    # -- what the engine says -------------------------------------------------------------------------------------

    def _on_heard(self, event: Heard) -> None:
        match event:
            case Said():
                self._on_said(event)
            case Lost():
                self._emit(Failed(event.message))
            case Dropped():
                log.info("sound came too late and was dropped", seat=event.seat, samples=event.samples)
                late = milliseconds(event.samples)
                self._later(Notice(f"{late} ms of sound came too late, and the model will never hear it"))
            case Joined():
                pass

    def _on_said(self, said: Said) -> None:
        if self._hushed:
            self._still = 0 if said.inclined else self._still + len(said.wave)
            if self._still >= SILENCE and self._initiative:
                self._hush(False)
            return
        audible = bool(said.text) or first_audible(said.wave) is not None
        self._still = 0 if audible else self._still + len(said.wave)
        delta = Delta(self._epoch or 0, said.text, said.wave)
        if self._epoch is not None:
            self._speak(delta, audible)
        elif self._wish is not None:
            self._held = [*self._held, delta][-HELD:]
            if self._still >= SILENCE:
                self._emit(Withdrawn(self._wish))
                self._forget_wish()
        elif audible:
            self._wishes += 1
            self._wish, self._held = f"speech-{self._wishes}", [delta]
            self._emit(Wants(self._wish, "it begins to speak"))

    def _speak(self, delta: Delta, audible: bool) -> None:
        self._begun = self._begun or audible
        if not self._begun:
            if self._still >= ASKED:
                self._end("completed")
            return
        self._frames += 1
        self._words += bool(delta.text)
        self._later(delta)
        if self._still >= SILENCE:
            self._end("completed")
        elif self._limit is not None and self._words >= self._limit:
            self._end("length")
            self._hush(True)

    # -- turns, for their transcripts ---------------------------------------------------------------------------

    def _hear(self, command: Hear) -> None:
        if command.turn not in self._turns:
            self._turns[command.turn] = None if self._ear is None else self._listen(command.turn, command.start)
        if (listening := self._turns[command.turn]) is not None:
            listening.push(command.wave)

    def _listen(self, turn: Turn, start: int) -> Listening:
        assert self._ear is not None

        def on_words(words: Words) -> None:
            if words.final:
                self._turns.pop(turn, None)
            self._emit(Hypothesis(turn, words.text, until=start + words.until, final=words.final))

        def on_lost(message: str) -> None:
            self._turns[turn] = None
            self._emit(Failed(message, turn=turn))

        return self._ear.open(on_words, on_lost)

    def _end_turn(self, turn: Turn) -> None:
        if (listening := self._turns.get(turn)) is not None:
            listening.finish()
        else:
            self._turns.pop(turn, None)
            message = "this model gives no transcript of what it hears, and the runtime's ear is not running"
            self._later(Failed(message, turn=turn))

    # -- events -------------------------------------------------------------------------------------------------

    def _emit(self, event: Event) -> None:
        if not self._closed:
            self._emit_event(event)

    def _later(self, *events: Event) -> None:
        """Emit soon, in order, not from within :meth:`send`."""
        for event in events:
            asyncio.get_running_loop().call_soon(self._emit, event)


def unsupported(command: Respond) -> str | None:
    """What was asked that a model of speech alone cannot do."""
    if command.ask.tool_choice not in ("auto", "none"):
        return "this model cannot call functions: leave tool_choice at auto or none"
    last = command.history[-1] if command.history else None
    if isinstance(last, CallResult) or (isinstance(last, Message) and last.role == "user" and not last.spoken):
        return "this model hears speech and reads nothing: speak to it instead of sending text, images or results"
    return None
