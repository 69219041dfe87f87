"""The loop of the engine for models that take turns: what can be done for everybody is done at once.

    take up    new answers are laid out; each row goes back to where its prompt departs from what it holds
    hear       sounds and pictures that were not read yet go through the encoders, of all sessions together
    read       a chunk of the prompts, those first that are being waited for
    speak      one step for all that answer, wherever each of them is
    hand out   what was said

There is no clock: it ticks as long as there is anything to do. An answer that is being heard is made a few seconds
ahead and no further, so that what the person breaks off costs nothing; a tentative one rests after its first second.

What a row holds is kept as what stands at each of its positions. A prompt of which it holds the beginning is read from
there on: after a barge-in that is all but the last turn, and of the answer that was cut short just what was heard.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Generic, TypeVar

import numpy as np
import soxr
import structlog
import torch
from torch import Tensor

from duologue.audio import RATE, Wave
from duologue.audio.formats import Resampler
from duologue.engine.messages import (
    Answer,
    Command,
    Confirm,
    Discard,
    Ended,
    Event,
    Forgot,
    Join,
    Joined,
    Leave,
    Pulse,
    Quote,
    Ref,
    Refused,
    Seat,
    Spoke,
    Stop,
    Store,
    Told,
)
from duologue.engine.pace import Pace
from duologue.engine.seats import Seats
from duologue.models.contract import TurnModel
from duologue.models.reading import CHUNK
from duologue.models.stages import QUESTION
from duologue.models.turns import Column, Ids, Line, Manner, Picture, Piece, Sound, Uttered
from duologue.nn.rows import Rows, State

HELD = 1.0
"""Seconds of a tentative answer that are made ready."""

WRITTEN = 16
"""Tokens of one that is only written: a first clause, so that it can be read aloud at once."""

RESERVE = 512
"""Positions of the context that are kept for the answer; no more than a quarter of it."""

LAP = 12
"""Steps whose mean is their cost: what makes speech of them works at some only, and then for several."""

AGED = 0.5
"""The part of the context that rows are filled with for measuring."""

HEARD_EVERY = 5.0
"""Seconds between two turns that a session has heard and read, on the average: it is taken to say something six times a
minute, and each is heard twice, for every pause in it might be its end."""

S = TypeVar("S", bound=State)

log = structlog.get_logger("duologue.engine")


@dataclass(slots=True)
class Making:
    """An answer on its way."""

    order: Answer
    manner: Manner
    confirmed: float | None
    """Since when it is being heard, or may be; ``None``: it is tentative."""
    prompt: list[Piece] = field(default_factory=list)
    unread: list[Hashable] = field(default_factory=list)
    """What stands at the positions of the prompt that are still to be read."""
    x: Tensor | None = None
    """[T, …]: what is read at these."""
    read: int = 0
    """Positions of the whole prompt."""
    reread: int = 0
    steps: int = 0
    """How many were made; an answer that has begun."""
    speaking: bool = False
    seconds: float = 0.0
    """Of speech that it has said."""
    voice: Resampler | None = None
    heard: int = 0
    """Samples that the model said, at its own rate."""
    sent: int = 0
    """Samples that were handed out."""
    spent: float = 0.0
    """Seconds of computing: its share of whatever was done for several at once."""


@dataclass(slots=True)
class Guest:
    """Who has a row."""

    seat: Seat
    row: int
    seed: int
    things: dict[int, Sound | Picture] = field(default_factory=dict)
    held: list[Hashable] = field(default_factory=list)
    """What stands at each position that the row has read."""
    said: dict[int, list[tuple[Column, int]]] = field(default_factory=dict)
    """The columns of earlier answers, by epoch, each with the characters said with it."""
    making: Making | None = None
    unheard: dict[int, float] = field(default_factory=dict)
    """Answers that were made whole before they were confirmed, and the seconds of computing that went into them."""
    waiting: deque[Making] = field(default_factory=deque)


class TurnEngine(Generic[S]):
    """One model, many seats. All times are of ``clock``, in seconds."""

    def __init__(
        self,
        model: TurnModel[S],
        rows: int,
        emit: Callable[[Sequence[Event]], None],
        *,
        context: int | None = None,
        device: torch.device | str = "cpu",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``emit`` is given the events of a tick at once. ``context``: positions of each row, up to the model's."""
        self._model = model
        self._facts = model.facts
        self._context = min(context or model.facts.context, model.facts.context)
        self._rows = rows
        self._device = torch.device(device)
        self._now = clock
        self._state = model.state(rows, self._context)
        self.pace = Pace(1 / model.facts.pace, lap=LAP)
        self._seats: Seats[Guest] = Seats(rows, self.pace, emit, clock)
        self._guests = self._seats.guests
        self._taken_back, self._lost = 0, 0.0
        """Tentative answers that were stopped, and the seconds of computing that went into them."""

    # -- what a step costs ------------------------------------------------------------------------------------

    def measure(self) -> None:
        """Take the cost of steps of 1, 2, 4 … rows in the middle of long dialogues, and of a turn that is heard and
        read. Nobody may be seated."""

        def take(size: int) -> float:
            took = steps(self._model, self._state, Rows.of(range(size), self._device), LAP, self._context, self._now)
            return sum(took) / len(took)

        self.pace.measure(self._rows, take)
        row = Rows.of([0], self._device)
        heard = hearing(self._model, self._state, row, self._context, self._now)
        self.pace.beside = self.pace.period * heard / HEARD_EVERY
        self._state.reset(Rows.of(range(self._rows), self._device))

    # -- time -------------------------------------------------------------------------------------------------

    def due(self) -> float:
        """When there is something to do; never, where that depends on what is asked."""
        return min((self._due(guest) for guest in self._guests.values()), default=math.inf)

    def _due(self, guest: Guest) -> float:
        making = guest.making
        if making is None:
            return -math.inf if guest.waiting else math.inf
        if not making.speaking:
            return -math.inf
        ahead, spoken = making.order.ahead, making.order.speech and self._facts.says is not None
        if making.confirmed is None:
            ready = making.seconds >= HELD if spoken else making.steps >= WRITTEN
            return math.inf if ready else -math.inf
        if ahead is None:
            return -math.inf
        return making.confirmed + (making.seconds if spoken else making.steps / self._facts.pace) - ahead

    # -- commands ---------------------------------------------------------------------------------------------

    def take(self, command: Command, at: float) -> None:
        """Carry out a command that arrived ``at`` that time; events follow with the next tick."""
        match command:
            case Join():
                self._join(command)
            case Leave():
                self._seats.vacate(command.seat)
            case Store() | Discard() | Answer() | Confirm() | Stop():
                if (guest := self._guests.get(command.seat)) is not None:
                    try:
                        self._order(guest, command, at)
                    except Exception as error:  # noqa: BLE001  (whatever it is, the others go on)
                        self._seats.failed([guest], error)

    def _join(self, join: Join) -> None:
        if (row := self._seats.lease(join.seat)) is None:
            return
        self._state.reset(Rows.of([row], self._device))
        self._guests[join.seat] = Guest(join.seat, row, join.seed)
        self._seats.tell(Joined(join.seat))

    def _order(self, guest: Guest, command: Store | Discard | Answer | Confirm | Stop, at: float) -> None:
        match command:
            case Store():
                guest.things[command.key] = self._thing(command)
            case Discard():
                for key in command.keys:
                    guest.things.pop(key, None)
            case Answer():
                manner = Manner(guest.seed, command.speech, command.tokens)
                guest.waiting.append(Making(command, manner, None if command.tentative else at))
            case Confirm():
                guest.unheard.pop(command.epoch, None)
                for making in (guest.making, *guest.waiting):
                    if making is not None and making.order.epoch == command.epoch and making.confirmed is None:
                        making.confirmed = at
            case Stop():
                if (making := guest.making) is not None and making.order.epoch == command.epoch:
                    if making.confirmed is None:
                        guest.unheard[command.epoch] = making.spent
                    guest.making = None
                if (spent := guest.unheard.pop(command.epoch, None)) is not None:
                    self._taken_back += 1
                    self._lost += spent
                guest.waiting = deque(m for m in guest.waiting if m.order.epoch != command.epoch)

    def _thing(self, store: Store) -> Sound | Picture:
        if isinstance(store.thing, bytes):
            return Picture(store.key, store.thing)
        wave: Wave = np.asarray(soxr.resample(store.thing, RATE, self._facts.hears), np.float32)
        return Sound(store.key, wave)

    # -- ticks ------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """One round; returns once its events are handed out."""
        with torch.inference_mode():
            self._take_up()
            self._read()
            self._begin()
            self._speak()
        self._seats.hand_out()

    def hand_out(self) -> None:
        """Send the events that wait."""
        self._seats.hand_out()

    def pulse(self) -> Pulse:
        """How it does, since it was last asked."""
        return replace(self._seats.pulse(), taken_back=self._taken_back, lost_s=self._lost)

    # -- a new answer -------------------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Lay out what is to be answered next, and hear what is new in it."""
        fresh: list[tuple[Guest, list[Piece], int]] = []
        broken: list[tuple[Guest, Exception]] = []
        for guest in self._guests.values():
            while guest.making is None and guest.waiting:
                making = guest.waiting.popleft()
                try:
                    fresh.append((guest, *self._lay_out(guest, making)))
                except ValueError as error:
                    self._seats.tell(Refused(guest.seat, making.order.epoch, str(error)))
                except Exception as error:  # noqa: BLE001  (whatever it is, the others go on)
                    broken.append((guest, error))
                    break
                else:
                    guest.making = making
        if fresh:
            broken += self._embed(fresh)
        if broken:
            self._seats.failed([guest for guest, _ in broken], broken[0][1])

    def _lay_out(self, guest: Guest, making: Making) -> tuple[list[Piece], int]:
        """The pieces that are to be embedded, and how many positions of the first are held already."""
        order = making.order
        if order.speech and self._facts.says not in (None, RATE):
            making.voice = Resampler(self._facts.says, RATE, "MQ")
        lines = [_line(guest, told) for told in order.lines]
        fitted = fit(self._model, lines, making.manner, self._context)
        if fitted.lines or fitted.parts:
            self._seats.tell(Forgot(guest.seat, order.epoch, fitted.lines, fitted.parts))
        making.prompt = fitted.prompt
        stands = [each for piece in making.prompt for each in _positions(piece, self._model.size(piece))]
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(stands, guest.held, strict=False)))
        same = min(same, len(stands) - 1)  # the last position is what the answer begins with
        making.read, making.reread = len(stands), len(stands) - same
        making.unread = stands[same:]
        del guest.held[same:]
        self._model.rewind(self._state, Rows.of([guest.row], self._device), same)
        rest, skip = list(making.prompt), same
        while rest and skip >= self._model.size(rest[0]):
            skip -= self._model.size(rest.pop(0))
        return rest, skip

    def _embed(self, fresh: Sequence[tuple[Guest, list[Piece], int]]) -> list[tuple[Guest, Exception]]:
        """Everybody's new pieces at once; where that fails, one by one, so that only who is at fault is refused, or
        (with the error) returned."""
        makings = [guest.making for guest, _, _ in fresh if guest.making is not None]
        try:
            with self._spending(makings):
                pieces = iter(self._model.embed([piece for _, rest, _ in fresh for piece in rest]))
            for making, (_, rest, skip) in zip(makings, fresh, strict=True):
                making.x = torch.cat([next(pieces) for _ in rest])[skip:]
        except Exception as error:  # noqa: BLE001  (as above)
            if len(fresh) > 1:
                return [broken for each in fresh for broken in self._embed([each])]
            [(guest, _, _)], [making] = fresh, makings
            if not isinstance(error, ValueError):
                return [(guest, error)]
            self._seats.tell(Refused(guest.seat, making.order.epoch, str(error)))
            guest.making = None
        return []

    @contextmanager
    def _spending(self, makings: Sequence[Making]) -> Iterator[None]:
        """What is done meanwhile is done for these."""
        began = self._now()
        yield
        for making in makings:
            making.spent += (self._now() - began) / len(makings)

    # -- reading ------------------------------------------------------------------------------------------------

    def _reading(self) -> Iterator[tuple[Guest, Making]]:
        for guest in self._guests.values():
            if (making := guest.making) is not None and not making.speaking:
                yield guest, making

    def _read(self) -> None:
        """A chunk of the prompts that have more than their last position to read."""
        long = [(guest, making) for guest, making in self._reading() if len(making.unread) > 1]
        wanted = [pair for pair in long if pair[1].confirmed is not None] or long
        if not wanted:
            return
        wanted.sort(key=lambda pair: pair[0].row)
        count = min(CHUNK, self._context, *(len(making.unread) - 1 for _, making in wanted))
        rows = self._rows_of(wanted)
        try:
            x = torch.stack([making.x[:count] for _, making in wanted if making.x is not None])
            with self._spending([making for _, making in wanted]):
                self._model.prefill(self._state, rows, x)
        except Exception as error:  # noqa: BLE001  (as above)
            self._seats.failed([guest for guest, _ in wanted], error)
            return
        for guest, making in wanted:
            assert making.x is not None
            guest.held += making.unread[:count]
            del making.unread[:count]
            making.x = making.x[count:]

    def _begin(self) -> None:
        """Those that have only their last position left begin to answer."""
        ready = sorted((pair for pair in self._reading() if len(pair[1].unread) == 1), key=lambda pair: pair[0].row)
        if not ready:
            return
        x = torch.stack([making.x for _, making in ready if making.x is not None])
        try:
            self._model.begin(
                self._state,
                self._rows_of(ready),
                x,
                [making.prompt for _, making in ready],
                [making.manner for _, making in ready],
            )
        except Exception as error:  # noqa: BLE001  (as above)
            self._seats.failed([guest for guest, _ in ready], error)
            return
        now = self._now()
        for guest, making in ready:
            guest.said[making.order.epoch] = []
            self._forget(guest)
            making.speaking, making.x = True, None
            if making.confirmed is not None:
                making.confirmed = max(making.confirmed, now)

    # -- speaking -----------------------------------------------------------------------------------------------

    def _speak(self) -> None:
        """The next step of all that may go on."""
        began = self._now()
        going = [
            (guest, guest.making)
            for guest in self._guests.values()
            if guest.making is not None and guest.making.speaking and self._due(guest) <= began
        ]
        if not going:
            return
        going.sort(key=lambda pair: pair[0].row)
        try:
            with self._spending([making for _, making in going]):
                said = self._model.step(self._state, self._rows_of(going))
        except Exception as error:  # noqa: BLE001  (as above)
            self._seats.failed([guest for guest, _ in going], error)
            return
        self._seats.took(len(going), self._now() - began)
        broken = []
        for (guest, making), uttered in zip(going, said, strict=True):
            if uttered.wave is not None and not np.isfinite(uttered.wave).all():
                broken.append(guest)
            else:
                self._hand_over(guest, making, uttered)
        self._seats.lose(broken, "the model's numbers broke in this conversation; begin a new one")

    def _hand_over(self, guest: Guest, making: Making, uttered: Uttered) -> None:
        order = making.order
        making.steps += 1
        guest.held += making.unread  # the first step reads the prompt's last position
        making.unread = []
        guest.held += [column for column, _ in uttered.tokens]
        guest.said[order.epoch] += uttered.tokens
        wave, marks = self._voiced(making, uttered)
        if uttered.text or wave is not None:
            self._seats.tell(Spoke(guest.seat, order.epoch, uttered.text, wave, marks))
        if uttered.end is not None:
            self._seats.tell(
                Ended(
                    guest.seat,
                    order.epoch,
                    uttered.end,
                    read=making.read,
                    sounds=self._taken_by(Sound, making),
                    pictures=self._taken_by(Picture, making),
                    reread=making.reread,
                    written=making.steps,
                )
            )
            if making.confirmed is None:
                guest.unheard[order.epoch] = making.spent
            guest.making = None

    def _voiced(self, making: Making, uttered: Uttered) -> tuple[Wave | None, tuple[tuple[int, int], ...]]:
        """The wave and its marks at :data:`RATE`."""
        wave, marks, voice = uttered.wave, uttered.marks, making.voice
        if wave is not None and self._facts.says is not None:
            making.seconds += len(wave) / self._facts.says
        if voice is None:
            return wave, marks
        begun = making.heard
        parts = [] if wave is None else [voice.push(wave)]
        making.heard += 0 if wave is None else len(wave)
        if uttered.end is not None:
            parts.append(voice.finish())
        out: Wave = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        ratio = RATE / (self._facts.says or RATE)
        at = [min(max(0, round((begun + sample) * ratio) - making.sent), len(out)) for sample, _ in marks]
        making.sent += len(out)
        if not len(out):
            return None, ()
        return out, tuple((sample, chars) for sample, (_, chars) in zip(at, marks, strict=True))

    def _taken_by(self, kind: type, making: Making) -> int:
        """Positions of the prompt that are of this kind."""
        return sum(self._model.size(piece) for piece in making.prompt if isinstance(piece, kind))

    def _forget(self, guest: Guest) -> None:
        """Of what was said long ago nobody will ask for the tokens: it has left the context."""
        total = 0
        for epoch in reversed(tuple(guest.said)):
            total += len(guest.said[epoch])
            if total > self._context:
                del guest.said[epoch]

    def _rows_of(self, pairs: Sequence[tuple[Guest, Making]]) -> Rows:
        return Rows.of([guest.row for guest, _ in pairs], self._device)


def steps(
    model: TurnModel[S],
    state: S,
    rows: Rows,
    count: int,
    context: int,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Seconds that each of ``count`` steps of these rows takes, in the middle of long dialogues; the first ones, which
    warm up, are left out. The dialogues are lost."""
    manner = Manner(0)
    prompt = model.layout([Line("user", ("Hello.",))], manner)
    with torch.inference_mode():
        last = torch.cat(model.embed(prompt))[-1:]

        def begin(some: Rows) -> None:
            many = len(some)
            model.begin(state, some, last[None].expand(many, *last.shape), [prompt] * many, [manner] * many)
            model.age(state, some, round(AGED * context))

        begin(rows)
        took = []
        for _ in range(count + 2):
            began = clock()
            said = model.step(state, rows)
            took.append(clock() - began)
            if ended := [n for n, uttered in enumerate(said) if uttered.end is not None]:
                begin(rows.pick(ended))
    return took[2:]


def hearing(
    model: TurnModel[S], state: S, row: Rows, context: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Seconds from a question of :data:`~duologue.models.stages.QUESTION` seconds (or as much of it as fits) to the
    first step of its answer: encoder and prompt; the quickest of at most three. 0 where no sound fits. The row's
    dialogue is lost."""
    room, manner, length = context - min(RESERVE, context // 4), Manner(0), min(QUESTION, model.facts.window)
    while True:
        noise = np.random.default_rng(0).normal(0, 0.1, round(length * model.facts.hears)).astype(np.float32)
        prompt = model.layout([Line("user", (Sound(1, noise),))], manner)
        if sum(map(model.size, prompt)) <= room:
            break
        if (length := length / 2) < 0.1:
            return 0.0
    took: list[float] = []
    with torch.inference_mode():
        while len(took) < 3 and sum(took) < 1.0:
            began = clock()
            read(model, state, row, torch.cat(model.embed(prompt))[None], prompt, manner)
            model.step(state, row)  # what was only launched has to be done now
            took.append(clock() - began)
    return min(took)


def read(model: TurnModel[S], state: S, row: Rows, x: Tensor, prompt: Sequence[Piece], manner: Manner) -> None:
    """A row reads a prompt from its beginning, ``x`` [1, T, …], and begins to answer."""
    model.rewind(state, row, 0)
    for at in range(0, x.shape[1] - 1, CHUNK):
        model.prefill(state, row, x[:, at : min(at + CHUNK, x.shape[1] - 1)])
    model.begin(state, row, x[:, -1:], [prompt], [manner])


def _line(guest: Guest, told: Told) -> Line:
    """What a line refers to, put in its place. Raises ``ValueError`` where it is not there."""
    return Line(told.role, tuple(_part(guest, part) for part in told.parts))


def _part(guest: Guest, part: str | Ref | Quote) -> str | Piece:
    if isinstance(part, str):
        return part
    if isinstance(part, Quote):
        said = guest.said.get(part.epoch)
        heard = None if said is None else [column for column, chars in said if chars <= len(part.text)]
        return Ids(tuple(heard)) if heard else part.text
    if part.key not in guest.things:
        raise ValueError("what was said or shown earlier is not known to the model any more: begin a new session")
    return guest.things[part.key]


def _positions(piece: Piece, size: int) -> Sequence[Hashable]:
    """What stands at each position of a piece."""
    return piece.columns if isinstance(piece, Ids) else [(piece.key, n, "thing") for n in range(size)]


# -- making a dialogue fit ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fitted:
    """A prompt that fits, and what had to go."""

    prompt: list[Piece]
    lines: int = 0
    """The oldest lines (the instructions stay)."""
    parts: int = 0
    """The oldest parts of the last line."""


def fit(model: TurnModel[S], lines: Sequence[Line], manner: Manner, context: int) -> Fitted:
    """The prompt of a dialogue in a context of so many positions, with room for the answer.

    Where the whole is too long the oldest lines go, half a context's worth at once: it then fits for a while, and what
    the model holds of the rest need not be read again at every turn. Which they are depends on the lines alone.
    Raises ``ValueError`` where the last line alone is too long, though all but its last sound are gone.
    """
    room = context - min(RESERVE, context // 4)

    def laid_out(some: Sequence[Line]) -> tuple[list[Piece], int]:
        prompt = model.layout(some, manner)
        return prompt, sum(map(model.size, prompt))

    prompt, size = laid_out(lines)
    if size <= room:
        return Fitted(prompt)
    head = [line for line in lines[:1] if line.role == "system"]
    body = list(lines[len(head) :])
    first, last, parts = 0, body[-1], 0
    if len(body) > 1:
        word = Line("user", ("?",))  # behind each of them, for some models lay out what ends with a question only
        alone = laid_out([*head, word])[1]
        *sizes, asked = [laid_out([*head, line, word])[1] - alone for line in (*body, word)]
        first = _first_that_fits(sizes, [line.role for line in body], room - (alone - asked))
    while True:
        prompt, size = laid_out([*head, *body[first:-1], replace(last, parts=last.parts[parts:])])
        if size <= room:
            return Fitted(prompt, first, parts)
        if first < len(body) - 1:
            first = len(body) - 1
        elif sum(isinstance(part, Sound) for part in last.parts[parts:]) > 1:
            parts += 1
        else:
            raise ValueError(
                f"this turn and the instructions take {size} positions, and the context has {context}, "
                f"{context - room} of them for the answer: say less at once, or serve with a larger --context"
            )


def _first_that_fits(sizes: Sequence[int], roles: Sequence[str], room: int) -> int:
    """The first line that is kept, as it came to be when the dialogue grew line by line."""
    first, total = 0, 0
    for n, size in enumerate(sizes):
        total += size
        if total > room:
            while first < n and (total > room // 2 or roles[first] != "user"):
                total -= sizes[first]
                first += 1
    while first < len(sizes) - 1 and roles[first] != "user":
        first += 1
    return first
