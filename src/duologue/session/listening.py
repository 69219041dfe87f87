"""The person's side of a session: sound becomes turns, turns become items of the conversation.

With turn detection, voice activity opens turns and endpointing ends them. Without it (push-to-talk) the client's
``commit`` does both, and voice activity only decides what is worth giving to the ear.
"""

from __future__ import annotations

from itertools import count

from duologue.audio import Wave, milliseconds, samples, seconds
from duologue.backends.contract import DropTurn, EndTurn, Hear, Hypothesis, Link, Sound, Turn
from duologue.ears.voice import Onset, Pause
from duologue.floor import Action, Signal, State
from duologue.protocol.conversation import MAX_ITEMS
from duologue.protocol.realtime import RealtimeConnection
from duologue.protocol.requests import CommitAsked, SettingsChanged
from duologue.protocol.settings import ServerVad
from duologue.session.endpointing import Patience, patience
from duologue.session.floor import Floor
from duologue.session.hearing import HeardTimeline, Step
from duologue.session.observer import Observer
from duologue.session.turn import VERDICT, PersonTurn

SHORTEST_COMMIT = samples(0.1)
"""The protocol refuses to commit less than 100 ms."""

SLACK = 3
"""Frames of voice detection (32 ms) that wait for other sessions' where a model decides itself when to speak: as many
as come in a message of 80 ms. With fewer, each message means runs of the network of its own."""

PREFIX_MS = 300
"""Padding before an onset where the client's turn detection names none."""


class Listening:
    """Turns, from onset to transcript."""

    def __init__(
        self,
        connection: RealtimeConnection,
        link: Link,
        floor: Floor,
        observer: Observer,
        now: float,
        *,
        continuous: bool = False,
    ) -> None:
        """``continuous``: the backend hears everything, not only turns, and decides itself when to speak."""
        self._connection = connection
        self._link = link
        self._floor = floor
        self._observer = observer
        self._continuous = continuous
        self.heard = HeardTimeline(now, slack=SLACK if continuous else 0)
        self.turn: PersonTurn | None = None
        """The open turn."""
        self.unanswered: PersonTurn | None = None
        """The latest committed turn, as long as nobody answered it."""
        self._ids = count(1)
        self._ended: dict[Turn, PersonTurn] = {}
        """Turns that await their final transcript."""
        self._words_come = False
        """Whether the backend has told words of a turn before its end."""
        self.turns: dict[str, Turn] = {}
        """Which turn of the backend's an item is, where it heard any of it."""
        self._onset = 0
        self._earliest = 0
        """Where the next turn may begin: the end of the last."""
        self._verdict_by: float | None = None
        floor.carry_out(
            {
                Action.OPEN_TURN: self._open_turn,
                Action.ANNOUNCE_START: self._announce_start,
                Action.ANNOUNCE_STOP: self._announce_stop,
                Action.COMMIT_TURN: self._commit_turn,
                Action.DROP_TURN: self._drop_turn,
                Action.JUDGE: self._judge,
            }
        )
        self._restart_voice()

    @property
    def manual(self) -> bool:
        """Push-to-talk: the client decides about turns."""
        return self._connection.settings.turn_detection is None

    # -- sound ----------------------------------------------------------------------------------------

    def hear(self, wave: Wave, now: float) -> None:
        """The next of the person's sound, any length. What it means is found out by :meth:`step`."""
        self._observer.heard(len(wave))
        if self._continuous:
            self._link.send(Sound(self.heard.arrived, wave))
        self.heard.arrive(wave, now)

    @property
    def waiting(self) -> int:
        """Samples that have arrived and are not heard yet."""
        return self.heard.arrived - self.heard.position

    @property
    def behind(self) -> bool:
        """Whether there are any."""
        return self.waiting > 0

    @property
    def owed(self) -> int:
        """Samples of turns that the backend was given and has not found the words of yet; of one that has never told
        words of a turn that goes on, none: it may have no ear."""
        if not self._words_come:
            return 0
        turns = self._ended.values() if self.turn is None else (*self._ended.values(), self.turn)
        return sum(turn.owed for turn in turns)

    def step(self) -> None:
        """Hear a little of what arrived."""
        if self.manual and self.turn is None and self.behind:
            start = self.heard.position
            self.turn = PersonTurn(next(self._ids), start, start, fed=start, last_voice=start, heard=False)
        if (step := self.heard.step()) is not None:
            self._hear_step(step)

    def _hear_step(self, step: Step) -> None:
        if self.turn is not None and self.heard.speaking:
            self.turn.last_voice = max(self.turn.last_voice, self.heard.last_voice)
        for event in step.events:
            if self.manual:
                self._on_voice_unbidden(event)
            else:
                self._on_voice(event)
        if self.turn is not None:
            self.turn.keep(step.wave) if not self.turn.heard else self._feed(self.turn)
        self._raise_signals(step.at)

    def _on_voice(self, event: Onset | Pause) -> None:
        if isinstance(event, Onset):
            self._onset = event.at
            self._floor.signal(Signal.ONSET)
        else:
            if self.turn is not None:
                self.turn.last_voice = max(self.turn.onset, event.at)
            self._floor.signal(Signal.PAUSE)

    def _on_voice_unbidden(self, event: Onset | Pause) -> None:
        """Push-to-talk: the ear is given the turn from its first voice on."""
        turn = self.turn
        assert turn is not None
        turn.last_voice = max(turn.onset, event.at)
        if isinstance(event, Onset) and not turn.heard:
            turn.heard = True
            turn.fed, _ = self.heard.recent.since(max(turn.start, event.at - samples(PREFIX_MS / 1000)))

    def _feed(self, turn: PersonTurn) -> None:
        """Give the turn's new sound to the backend, and keep it for the client."""
        start, new = self.heard.recent.since(turn.fed)
        if len(new):
            self._link.send(Hear(turn.id, start, new))
            turn.fed = self.heard.position
            turn.keep(new)

    # -- what the floor wants done --------------------------------------------------------------------

    def _open_turn(self) -> None:
        detection = self._connection.settings.turn_detection
        prefix = detection.prefix_padding_ms if isinstance(detection, ServerVad) else PREFIX_MS
        begin = max(0, self._onset - samples(prefix / 1000), self._earliest)
        start, _ = self.heard.recent.since(begin)
        onset = max(start, self._onset)
        self.turn = PersonTurn(next(self._ids), start, onset, fed=start, last_voice=onset)
        self._verdict_by = None
        self._feed(self.turn)

    def _announce_start(self) -> None:
        assert self.turn is not None
        if not self.turn.item_id:
            self.turn.item_id = self._connection.speech_started(milliseconds(self.turn.start))

    def _announce_stop(self) -> None:
        assert self.turn is not None
        if self.turn.item_id:
            self._connection.speech_stopped(self.turn.item_id, milliseconds(self.turn.last_voice))

    def _commit_turn(self) -> None:
        turn = self.turn
        assert turn is not None
        turn.item_id = self._connection.commit_turn(turn.item_id or None, turn.pcm)
        self._forget_turn()
        self.unanswered = turn
        if turn.heard:
            self.turns[turn.item_id] = turn.id
            if len(self.turns) > MAX_ITEMS:  # an item that old is not in the conversation any more
                del self.turns[next(iter(self.turns))]
        if turn.failure:
            self._connection.transcript_failed(turn.item_id, turn.failure)
        elif turn.heard:
            self._ended[turn.id] = turn
            self._link.send(EndTurn(turn.id))
        else:
            self._connection.transcript_completed(turn.item_id, "", 0.0)
        self._observer.turn_heard()

    def _drop_turn(self) -> None:
        if self.turn is not None and self.turn.heard:
            self._link.send(DropTurn(self.turn.id))
        self._forget_turn()

    def _forget_turn(self) -> None:
        self.turn, self._earliest = None, self.heard.position

    def _judge(self) -> None:
        self._verdict_by = self.heard.clock.arrived + VERDICT

    # -- what the client and the backend say -------------------------------------------------------

    def commit(self, request: CommitAsked) -> None:
        """``input_audio_buffer.commit``."""
        if self.turn is None or self.heard.position - self.turn.start < SHORTEST_COMMIT:
            self._connection.refuse(
                "input_audio_buffer_commit_empty",
                "The input audio buffer holds less than 100 ms of audio; append more before committing it.",
                event_id=request.event_id,
            )
        else:
            self._floor.signal(Signal.COMMIT)

    def change_settings(self, request: SettingsChanged) -> None:
        """Another turn detection holds from now on."""
        before, after = request.previous.turn_detection, request.current.turn_detection
        if before == after:
            return
        if after is None and self.turn is not None:
            # From now on the client decides about turns; what is being said becomes one.
            self._floor.signal(Signal.COMMIT)
        elif before is None:
            self._drop_turn()
        self._restart_voice()

    def _restart_voice(self) -> None:
        detection = self._connection.settings.turn_detection
        self.heard.restart_voice(detection.threshold if isinstance(detection, ServerVad) else 0.5)

    def take(self, hypothesis: Hypothesis) -> None:
        """What the ear makes of a turn."""
        self._words_come |= not hypothesis.final
        turn = self.turn
        if turn is not None and turn.id == hypothesis.turn:
            changed = turn.text != hypothesis.text
            turn.take(hypothesis)
            if changed:
                self._connection.extension("partial", item_id=turn.item_id, text=turn.text)
        elif hypothesis.final and hypothesis.turn in self._ended:
            turn = self._ended.pop(hypothesis.turn)
            turn.take(hypothesis)
            self._connection.transcript_completed(turn.item_id, turn.text, seconds(turn.fed - turn.start))

    def lose(self, id: Turn, message: str) -> None:
        """The ear lost a turn: its words will not come."""
        if self.turn is not None and self.turn.id == id:
            self.turn.failure = message
        elif id in self._ended:
            self._connection.transcript_failed(self._ended.pop(id).item_id, message)

    # -- time -----------------------------------------------------------------------------------------

    def settle(self, now: float) -> None:
        """Raise the signals that follow from where things stand at ``now``, once all that arrived is heard."""
        if not self.behind:
            self._raise_signals(now)

    def _raise_signals(self, now: float) -> None:
        if self.manual:
            return
        self.heard.check_stall(now)
        turn = self.turn
        if turn is None:
            return
        if self._floor.state is State.HEARING and not self.heard.speaking:
            self._floor.signal(Signal.PAUSE)
        elif self._floor.state is State.CONTESTED:
            self._settle_overlap(turn, now)
        if self.turn is turn and self._may_end:
            quiet = self.heard.clock.quiet(turn.last_voice, now)
            if quiet >= self._wait(turn):
                self._floor.signal(Signal.ENDPOINT)

    def _settle_overlap(self, turn: PersonTurn, now: float) -> None:
        if turn.wants_floor(over=not self.heard.speaking):
            self._floor.signal(Signal.WORDS)
        elif not self.heard.speaking:
            if self._verdict_by is None:
                self._floor.signal(Signal.PAUSE)
            elif turn.accounted >= turn.last_voice or turn.failure or now >= self._verdict_by:
                self._floor.signal(Signal.NO_WORDS)

    @property
    def _may_end(self) -> bool:
        return self._floor.state in {State.SPECULATING, State.OVERLAPPED} and not self.heard.speaking

    def _wait(self, turn: PersonTurn) -> float:
        """Seconds of silence that end the turn, as far as is known. An ear that is behind (the machine is busy) may yet
        find that the words are unfinished, so it is waited for as if they were; once it has caught up they decide."""
        if turn.behind:
            return self._patience.incomplete if self._words_come else self._patience.unknown
        return self._patience.wait(None if turn.failure else turn.complete)

    @property
    def _patience(self) -> Patience:
        detection = self._connection.settings.turn_detection
        assert detection is not None, "push-to-talk has no endpoints of its own"
        return patience(detection)

    def deadline(self) -> float | None:
        """When :meth:`settle` has something to do if nothing is heard before."""
        if self.turn is None or self.manual:
            return None
        if self.heard.speaking:
            return self.heard.stalls_at
        if self._floor.state is State.CONTESTED:
            return self._verdict_by
        return self.heard.clock.quiet_at(self.turn.last_voice, self._wait(self.turn))
