"""The loop of the engine for frame models: at every tick, one step for the seats whose frames have arrived.

    gather     the frames that are complete; whoever has none is left out, and holds nobody up
    step       one batched forward over their rows
    catch up   a second one for those who have still a frame waiting, if it ends before the next tick
    prime      a piece of a persona, likewise
    hand out   what was said
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import structlog
import torch
from numpy.typing import NDArray

from duologue.engine.inlet import BACKLOG, Beat, Inlet
from duologue.engine.messages import (
    Command,
    Dropped,
    Event,
    Hush,
    Join,
    Joined,
    Leave,
    Pulse,
    Said,
    Seat,
    Sound,
)
from duologue.engine.pace import Pace
from duologue.engine.seats import Seats
from duologue.engine.spelling import Spelling
from duologue.engine.stepping import Recorder, stepper
from duologue.models.contract import FrameModel, Prompted
from duologue.nn.rows import Rows, State

BURST = 8
"""Frames that a seat may be given as fast as they can be stepped, to catch up."""

CATCH_UP = 2.0
"""Frames in the time of a frame that it may be given for long: whoever sends minutes at once would otherwise have the
share of thirty, also of what it takes to code what is said to it."""

TOLD_AGAIN = 1.0
"""Seconds between two tellings that sound was dropped."""

STARVED = 1.0
"""Seconds after which a persona gets its next piece although there is no time for it."""

S = TypeVar("S", bound=State)

log = structlog.get_logger("duologue.engine")


class Spoken(NamedTuple):
    """What a step said, on the host, in the order of its batch."""

    wave: NDArray[np.float32]
    """[N, frame]."""
    pieces: list[str | None]
    ready: tuple[bool, ...]
    inclined: tuple[bool, ...]


@dataclass(slots=True)
class Guest:
    """Who has a row."""

    seat: Seat
    row: int
    manner: str
    inlet: Inlet
    hushed: bool
    spelling: Spelling = field(default_factory=Spelling)
    priming: Iterator[None] | None = None
    """The rest of its persona; until it is through, nothing is heard."""
    steps: int = 0
    credit: float = BURST
    """Frames that it may be given at once."""
    credited: float = 0.0
    """When it was last counted."""
    dropped: int = 0
    """Samples that came too late, and are not told yet."""
    told: float = -math.inf
    """When such were last told."""


class Engine(Generic[S]):
    """One model, many seats. All times are of ``clock``, in seconds."""

    def __init__(
        self,
        model: FrameModel[S],
        rows: int,
        emit: Callable[[Sequence[Event]], None],
        *,
        device: torch.device | str = "cpu",
        recorder: Recorder | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``emit`` is given the events of a tick at once; ``recorder`` as in :mod:`.stepping`."""
        self._model = model
        self._rows = rows
        self._device = torch.device(device)
        self._now = clock
        self._stepper = stepper(model, rows, self._device, recorder)
        self._state = self._stepper.state
        self.pace = Pace(model.frame / model.rate, together=self._stepper.together)
        self._seats: Seats[Guest] = Seats(rows, self.pace, emit, clock)
        self._guests = self._seats.guests
        self._zero = clock()
        self._beats = 1
        self._primed_at = clock()

    # -- what a step costs --------------------------------------------------------------------------------

    def measure(self, context: int, repeats: int = 5) -> None:
        """Take the cost of steps of 1, 2, 4 … rows that have run for ``context`` steps. Nobody may be seated."""

        def take(size: int) -> float:
            rows = Rows.of(range(size), self._device)
            self._model.reset(self._state, rows, [0] * size)
            wave = torch.zeros(size, self._model.frame)
            took = []
            for attempt in range(repeats + 2):
                self._model.age(self._state, rows, context)
                began = self._now()
                self._step_model(rows.host, wave)
                if attempt >= 2:  # the first ones also warm up
                    took.append(self._now() - began)
            return sorted(took)[len(took) // 2]

        self.pace.measure(self._rows, take)
        self._state.reset(Rows.of(range(self._rows), self._device))
        self._new_beats()

    def _step_model(self, rows: Sequence[int], wave: torch.Tensor) -> Spoken:
        frames = self._stepper.step(rows, wave)
        pieces = [None if token is None else self._model.text(token) for token in frames.text]
        return Spoken(frames.wave.numpy(), pieces, frames.ready, frames.inclined)

    # -- time -----------------------------------------------------------------------------------------------

    @property
    def beat(self) -> Beat:
        """When ticks are."""
        return Beat(self._zero, self.pace.period / self._beats)

    def due(self) -> float:
        """When the next tick is; never, while nobody is seated."""
        if self.empty:
            return math.inf
        beat, now = self.beat, self._now()
        return beat.zero + math.ceil((now - beat.zero) / beat.every - 1e-9) * beat.every

    @property
    def empty(self) -> bool:
        """Whether nobody is seated."""
        return not self._guests

    def _new_beats(self) -> None:
        self._beats = self.pace.beats(max(1, len(self._guests)))

    # -- commands ---------------------------------------------------------------------------------------------

    def take(self, command: Command, at: float) -> None:
        """Carry out a command that arrived ``at`` that time; events follow with the next tick."""
        match command:
            case Join():
                self._join(command)
            case Sound():
                guest = self._guests.get(command.seat)
                if guest is not None and guest.priming is None:
                    self._hear(guest, command, at)
            case Hush():
                if (guest := self._guests.get(command.seat)) is not None:
                    guest.hushed = command.on
            case Leave():
                self._seats.vacate(command.seat)
                self._new_beats()

    def _join(self, join: Join) -> None:
        if (row := self._seats.lease(join.seat)) is None:
            return
        rows = Rows.of([row], self._device)
        guest = Guest(join.seat, row, join.manner, self._inlet(join.manner), join.hushed)
        self._model.reset(self._state, rows, [join.seed])
        self._guests[join.seat] = guest
        if isinstance(self._model, Prompted):
            guest.priming = self._model.prime(self._state, rows, join.voice, join.instructions)
        else:
            self._seats.tell(Joined(join.seat))
        self._new_beats()

    def _inlet(self, manner: str) -> Inlet:
        live = manner == "live"
        rate, frame = self._model.rate, self._model.frame
        return Inlet(rate=rate, frame=frame, backlog=BACKLOG[manner], live=live, now=self._now())

    def _hear(self, guest: Guest, sound: Sound, at: float) -> None:
        mended = guest.inlet.mended
        dropped = guest.inlet.push(sound.wave, at, self.beat)
        if guest.inlet.mended and not mended:
            log.warning("a client's sound holds what is no number; it is heard as silence", seat=guest.seat)
        guest.dropped += dropped

    def _lose(self, guests: Sequence[Guest], message: str) -> None:
        self._seats.lose(guests, message)
        self._new_beats()

    def _failed(self, guests: Sequence[Guest], error: Exception) -> None:
        self._seats.failed(guests, error)
        self._new_beats()

    # -- ticks ------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """One tick; returns once its events are handed out."""
        began = self._now()
        seated = [guest for guest in self._guests.values() if guest.priming is None]
        for guest in seated:
            guest.inlet.fill(began)
            guest.credit = min(BURST, guest.credit + CATCH_UP * (began - guest.credited) / self.pace.period)
            guest.credited = began
            self._tell_dropped(guest, began)
        self._step(self._ready())
        self.hand_out()
        until = began + self.beat.every
        behind = self._ready()
        if behind and self._now() + self.pace.cost(self._width(behind)) <= until:
            self._step(behind)
        self._prime(until)
        self.hand_out()

    def _ready(self) -> list[Guest]:
        """Those who have a frame, and may be given it."""
        seated = (guest for guest in self._guests.values() if guest.priming is None)
        return [guest for guest in seated if guest.inlet.ready and guest.credit >= 1]

    def _tell_dropped(self, guest: Guest, now: float) -> None:
        if guest.dropped and now - guest.told >= TOLD_AGAIN:
            self._seats.tell(Dropped(guest.seat, guest.dropped))
            guest.dropped, guest.told = 0, now

    def hand_out(self) -> None:
        """Send the events that wait."""
        self._seats.hand_out()

    def _step(self, guests: list[Guest]) -> None:
        if not guests:
            return
        guests.sort(key=lambda guest: guest.row)  # neighbouring rows are taken without a copy
        rows = [guest.row for guest in guests]
        for guest in guests:
            guest.credit -= 1
        wave = torch.from_numpy(np.stack([guest.inlet.take() for guest in guests]))
        began = self._now()
        try:
            self._hush([guest for guest in guests if guest.hushed])
            spoken = self._step_model(rows, wave)
        except Exception as error:  # noqa: BLE001  (whatever it is, the others go on)
            self._failed(guests, error)
            return
        self._seats.took(self._width(guests), self._now() - began)
        self._hand_over(guests, spoken)

    def _width(self, guests: Sequence[Guest]) -> int:
        """How many rows a step of these costs."""
        return self._stepper.width([guest.row for guest in guests])

    def _hand_over(self, guests: list[Guest], spoken: Spoken) -> None:
        whole = [bool(np.isfinite(wave).all()) for wave in spoken.wave]
        broken = []
        for n, guest in enumerate(guests):
            guest.steps += 1
            if guest.steps == 1 and guest.manner == "kyutai":
                self._model.restart_codec(self._state, Rows.of([guest.row], self._device))
            if not whole[n]:
                broken.append(guest)
            elif spoken.ready[n]:
                piece = spoken.pieces[n]
                shown = "" if piece is None else guest.spelling.show(piece)
                self._seats.tell(Said(guest.seat, spoken.wave[n], shown, spoken.inclined[n]))
        self._lose(broken, "the model's numbers broke in this conversation; begin a new one")

    def _hush(self, guests: Sequence[Guest]) -> None:
        if guests:
            with torch.inference_mode():
                self._model.hush(self._state, Rows.of([guest.row for guest in guests], self._device))

    def _prime(self, until: float) -> None:
        """A piece of a persona, where there is time before ``until`` or there was none for long."""
        waiting = [guest for guest in self._guests.values() if guest.priming is not None]
        if not waiting:
            self._primed_at = self._now()
            return
        now = self._now()
        if len(waiting) < len(self._guests) and now + self.pace.cost(1) > until and now - self._primed_at < STARVED:
            return
        self._primed_at, guest = now, waiting[0]
        assert guest.priming is not None
        try:
            with torch.inference_mode():
                next(guest.priming)
        except StopIteration:
            guest.priming = None
            guest.inlet = self._inlet(guest.manner)  # its clock runs from now on
            self._seats.tell(Joined(guest.seat))
        except ValueError as error:
            self._lose([guest], str(error))
        except Exception as error:  # noqa: BLE001  (as above)
            self._failed([guest], error)

    # -- how it does ------------------------------------------------------------------------------------------

    def pulse(self) -> Pulse:
        """How it does, since it was last asked."""
        return self._seats.pulse(self._beats)
