"""One session with a model that takes turns: commands in, events out.

As with pocket, commands take effect in the order in which they are sent, and at once; what takes time happens in tasks
and in the engine, and comes back as events, never from within :meth:`TurnLink.send`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from duologue.backends.contract import (
    Cancel,
    Close,
    Command,
    Commit,
    Configure,
    Delta,
    DropTurn,
    EndTurn,
    Epoch,
    Event,
    Failed,
    Hear,
    Message,
    Notice,
    Respond,
    Turn,
)
from duologue.backends.pocket import english
from duologue.backends.pocket.brain import Want
from duologue.backends.pocket.brain.persona import read
from duologue.backends.pocket.brain.pictures import see
from duologue.backends.pocket.brain.skills.pictures import in_words
from duologue.backends.pocket.hearing import EarLost, TurnHeard
from duologue.backends.pocket.mouth import Mouth
from duologue.backends.pocket.parts import SessionEar
from duologue.backends.pocket.wishes import Wishes
from duologue.backends.turns.prompt import Prompts, Things
from duologue.backends.turns.reply import TurnReply
from duologue.engine.messages import Ended, Forgot, Lost, Refused, Spoke, Told
from duologue.engine.process import Heard, Place
from duologue.models.turns import Facts

_GREETING = "greeting"
_UNSEEN = "nothing that I could make out"

log = structlog.get_logger("duologue.engine")


class Join(Protocol):
    """Takes a seat in the engine."""

    def __call__(self, on_event: Callable[[Heard], None]) -> Place: ...


class TurnLink:
    """See :class:`duologue.backends.contract.Link`. Made by ``EngineBackend.open``."""

    def __init__(
        self,
        emit: Callable[[Event], None],
        *,
        join: Join,
        facts: Facts,
        ear: SessionEar | None,
        mouth: Mouth | None,
        closed: Callable[[TurnLink], None],
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        """``ear`` gives words, ``None``: there are none, and whatever is said is meant; ``mouth`` reads aloud what the
        model writes, ``None``: it speaks itself, or not at all. Raises what ``join`` raises."""
        self._emit_event = emit
        self._facts = facts
        self._ear = ear
        self._mouth = mouth
        self._on_closed = closed
        self._now = now
        self._closed = False
        self._settings = Configure("", "", 1.0)
        self._configured = now()
        self._begun = False
        """Whether the model has said anything yet."""
        self._turns: dict[Turn, TurnHeard | None] = {}
        """Those open, those whose final words are owed, and the one that ended last; without an ear nobody listens."""
        self._ignored: set[Turn] = set()
        self._replies: dict[Epoch, TurnReply] = {}
        self._seen: dict[bytes, str] = {}
        self._forgotten = 0
        self._wishes = Wishes(self._wants, self._emit, now)
        self._place = join(self._on_heard)
        self._things = Things(self._place.seat, facts, self._place.order, self._notice)
        self._prompts = Prompts(facts, self._things, self._ignored.__contains__)

    @property
    def busy(self) -> bool:
        """Whether the ear owes words or a reply is being made."""
        listening = any(turn is not None and turn.busy for turn in self._turns.values())
        return listening or any(not reply.over for reply in self._replies.values())

    def send(self, command: Command) -> None:
        """Carry out a command; see the contract. After ``Close`` nothing has an effect."""
        if self._closed:
            return
        match command:
            case Configure():
                self._configure(command)
            case Hear():
                self._hear(command)
            case EndTurn():
                self._end_turn(command.turn)
            case DropTurn():
                if (turn := self._turns.pop(command.turn, None)) is not None:
                    turn.drop()
                self._things.forget(command.turn)
            case Respond():
                self._respond(command)
            case Commit():
                self._commit(command.epoch)
            case Cancel():
                self._cancel(command.epoch)
            case Close():
                self.close()

    def close(self) -> None:
        """The session is over: seat and ear are free, nothing is made or emitted any more."""
        if self._closed:
            return
        self._closed = True
        self._wishes.close()
        for reply in self._replies.values():
            reply.cancel()
        for turn in self._turns.values():
            if turn is not None:
                turn.drop()
        self._replies.clear()
        self._turns.clear()
        self._place.leave()
        self._on_closed(self)

    def _configure(self, command: Configure) -> None:
        if read(command.instructions).greeting != read(self._settings.instructions).greeting:
            self._configured = self._now()
        self._settings = command
        self._wishes.be_courteous()
        self._wishes.look()

    # -- turns -------------------------------------------------------------------------------------------------

    def _hear(self, command: Hear) -> None:
        id_ = command.turn
        if id_ not in self._turns:
            listening = None
            if self._ear is not None:
                listening = TurnHeard(id_, command.start, ear=self._ear, judge=english.judge, emit=self._emit)
            self._turns[id_] = listening
        self._things.hear(id_, command.wave)
        if (turn := self._turns[id_]) is not None:
            turn.push(command.wave)

    def _end_turn(self, id_: Turn) -> None:
        if id_ not in self._turns:
            raise ValueError(f"turn {id_} is not open: it was never heard, or is over")
        for old, turn in tuple(self._turns.items()):
            if old != id_ and (turn is None or (turn.ended and turn.final)):
                del self._turns[old]
        self._things.end(id_)
        if (turn := self._turns[id_]) is not None:
            turn.end()
        else:
            message = "this model gives no transcript of what it hears, and the runtime's ear is not running"
            self._later(Failed(message, turn=id_))

    async def _meant(self, respond: Respond) -> bool:
        """Whether what is to be answered is meant for the model."""
        turn = None if respond.turn is None else self._turns.get(respond.turn)
        if turn is None or respond.obliged:
            return True
        try:
            utterance = await turn.utterance()
        except EarLost as error:
            log.info("words were lost, the model hears for itself", cause=str(error))
            return True
        meant = english.is_for_us(
            utterance.text,
            name=read(self._settings.instructions).name,
            strictness=self._settings.strictness,
            history=respond.history,
            since_exchange=respond.since_exchange,
        )
        if not meant:
            self._ignored.add(turn.id)
        return meant

    # -- replies -----------------------------------------------------------------------------------------------

    def _respond(self, command: Respond) -> None:
        if command.turn is not None and command.turn not in self._turns:
            raise ValueError(f"turn {command.turn} cannot be answered: it was never heard, or is long over")
        if (problem := self._unsupported(command)) is not None:
            self._later(Failed(problem, command.epoch))
            return
        self._replies = {epoch: reply for epoch, reply in self._replies.items() if not reply.over}
        if command.turn is not None:
            self._ignored.discard(command.turn)
        self._replies[command.epoch] = TurnReply(
            command,
            place=self._place,
            lines=lambda: self._lines(command),
            meant=lambda: self._meant(command),
            mouth=self._mouth,
            emit=self._emit,
        )
        if not command.tentative:
            self._commit(command.epoch)

    def _unsupported(self, command: Respond) -> str | None:
        if command.ask.tool_choice not in ("auto", "none"):
            return "this model cannot call functions: leave tool_choice at auto or none"
        if command.ask.speech and self._facts.says is None and self._mouth is None:
            return (
                "this model only writes, and there is no synthesizer here to read it aloud: install flite, "
                'or ask for text (output_modalities: ["text"])'
            )
        return None

    async def _lines(self, command: Respond) -> Sequence[Told]:
        if not self._facts.pictures:
            await self._look(command)
        return self._prompts.of(command, history=self._settings.history, seen=self._seen.__getitem__)

    async def _look(self, command: Respond) -> None:
        """Put the pictures into words for a model that does not see."""
        images = [image for item in command.history if isinstance(item, Message) for image in item.images]
        for image in images:
            if image not in self._seen:
                sight = await asyncio.to_thread(see, image)
                self._seen[image] = _UNSEEN if sight is None else in_words(sight)
        self._seen = {image: self._seen[image] for image in images}

    def _commit(self, epoch: Epoch) -> None:
        if (reply := self._replies.get(epoch)) is not None:
            reply.commit()
            if reply.respond.token is not None:
                self._wishes.granted(reply.respond.token)

    def _cancel(self, epoch: Epoch) -> None:
        """The reply is stopped. What of it was heard the history will say."""
        reply = self._replies.pop(epoch, None)
        if reply is None:
            return  # it is over
        reply.cancel()
        if not reply.committed and reply.respond.turn is not None:
            self._things.take_back(reply.respond.turn)

    def _wants(self) -> Sequence[Want]:
        """To speak first, where the instructions say so."""
        if self._begun or read(self._settings.instructions).greeting is None:
            return ()
        return (Want(_GREETING, _GREETING, self._configured),)

    # -- what the engine says ----------------------------------------------------------------------------------

    def _on_heard(self, event: Heard) -> None:
        match event:
            case Spoke() | Ended() | Refused():
                if (reply := self._replies.get(event.epoch)) is not None:
                    reply.told(event)
            case Forgot():
                self._on_forgot(event)
            case Lost():
                self._emit(Failed(event.message))

    def _on_forgot(self, event: Forgot) -> None:
        if event.lines > self._forgotten:
            self._forgotten = event.lines
            self._emit(Notice(f"the conversation is too long for the model: it has forgotten {event.lines} messages"))
        if event.parts:
            self._emit(Notice("the turn is too long for the model, which does not know its beginning"))

    # -- events ------------------------------------------------------------------------------------------------

    def _notice(self, message: str) -> None:
        self._later(Notice(message))

    def _emit(self, event: Event) -> None:
        if self._closed:
            return
        if isinstance(event, Delta) and not self._begun:
            self._begun = True
            self._wishes.look()
        try:
            self._emit_event(event)
        except Exception:
            # Whoever emits may be the ear, which all sessions share: this session ends, the others go on.
            log.exception("session could not take an event and is closed", event_kind=type(event).__name__)
            self.close()

    def _later(self, event: Event) -> None:
        """Emit soon, not from within :meth:`send`."""
        asyncio.get_running_loop().call_soon(self._emit, event)
