"""One reply: what the backend makes of it, on its way through the playout to the client.

It is *announced* (the client sees ``response.created``) when it has the floor and turns out to say something; until
then it can be taken back without a trace.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from duologue.audio import RATE
from duologue.audio.level import first_audible
from duologue.backends.contract import Answers, Call, Delta, End, Epoch, Failed
from duologue.protocol.params import ResponseParams
from duologue.protocol.realtime import RealtimeConnection
from duologue.protocol.response import ResponseWriter
from duologue.session.playout import Playout
from duologue.session.turn import PersonTurn


@dataclass(slots=True)
class Reply:
    """A reply attempt; its epoch names it towards the backend, its writer towards the client."""

    epoch: Epoch
    playout: Playout
    turn: PersonTurn | None = None
    """The turn it answers."""
    params: ResponseParams | None = None
    """What the client asked for; ``None``: nobody asked outright."""
    token: str | None = None
    """The wish of the backend's that it grants."""
    speech: bool = True
    live: bool = False
    """Whether it is made at the pace at which it is heard: what waits is delay then, and a pause may be shorter."""
    answers: str | None = None
    """The words it answers, once the backend said so."""
    writer: ResponseWriter | None = None
    end: End | None = None
    failure: str | None = None
    first_audible_at: float | None = None
    """Clock time at which its first audible sample leaves, once it has."""
    _calls: deque[Call] = field(default_factory=deque)

    def take(self, event: Answers | Delta | Call | End | Failed) -> None:
        """One more event of this epoch."""
        match event:
            case Answers():
                self.answers = event.text
            case Delta() if self.live and self._catches_up(event):
                pass
            case Delta():
                self.playout.push(event.text, event.wave if self.speech else None, event.marks)
            case Call():
                self._calls.append(event)
            case End():
                self.end = event
                self.playout.complete = True
            case Failed():
                self.failure = event.message

    def _catches_up(self, delta: Delta) -> bool:
        """Whether a stretch of silence is left out because what was said before it has not even left yet."""
        late = self.playout.waiting > 0 and not self.playout.held and not self.playout.paused
        return late and not delta.text and delta.wave is not None and first_audible(delta.wave) is None

    @property
    def silent(self) -> bool:
        """Whether the backend chose not to answer."""
        return self.end is not None and self.end.reason == "silent"

    @property
    def speaks(self) -> bool:
        """Whether there is something for the client to see."""
        return self.playout.begun or bool(self._calls) or (self.end is not None and not self.silent)

    @property
    def spoken(self) -> bool:
        """Whether all of it has left."""
        return self.end is not None and self.playout.drained and not self._calls

    @property
    def status(self) -> tuple[Literal["completed", "incomplete"], str | None]:
        """(status, reason) of the whole reply as the protocol names them."""
        assert self.end is not None
        return ("incomplete", "max_output_tokens") if self.end.reason == "length" else ("completed", None)

    def announce(self, connection: RealtimeConnection) -> ResponseWriter:
        """Tell the client, once."""
        if self.writer is None:
            self.writer = connection.begin_response(self.params)
        return self.writer

    def due(self, now: float) -> bool:
        """Whether :meth:`pump` has anything to do: it is asked at every turn of the loop, and mostly has not."""
        at = self.playout.next_due()
        return self.playout.complete or self.writer is None or (at is not None and now >= at - 1e-6)

    def pump(self, now: float) -> int:
        """Send what may leave by ``now``; returns the samples sent. The reply must be announced."""
        assert self.writer is not None
        sent = 0
        for piece in self.playout.due(now):
            if not self.speech:
                self.writer.text(piece.text)
                continue
            if piece.text:
                self.writer.transcript_delta(piece.text)
            if piece.wave is not None:
                at = first_audible(piece.wave) if self.first_audible_at is None else None
                if at is not None:
                    self.first_audible_at = now + at / RATE
                self.writer.audio(piece.wave, piece.said)
                sent += len(piece.wave)
        if self.playout.complete and self.playout.drained:
            while self._calls:
                call = self._calls.popleft()
                self.writer.call(call.name, call.arguments)
        return sent
