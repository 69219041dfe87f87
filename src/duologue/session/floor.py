"""Runs the floor's table for one session: signals in, actions out to whoever carries them out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Literal

from duologue.floor import Action, Policy, Signal, State, step


class Floor:
    """The state of one session's floor. ``policy`` is asked at every signal, ``changed`` told of every new state."""

    def __init__(self, policy: Callable[[], Policy], changed: Callable[[State], None]) -> None:
        self.state = State.IDLE
        self._policy = policy
        self._changed = changed
        self._actions: dict[Action, Callable[[], None]] = {}
        self._signals: deque[Signal] = deque()
        self._stepping = False

    @property
    def word(self) -> Literal["runtime", "model"]:
        """Whose word counts."""
        return self._policy().word

    def carry_out(self, actions: Mapping[Action, Callable[[], None]]) -> None:
        """Who does what. Every action must be given before the first signal."""
        self._actions.update(actions)

    def signal(self, signal: Signal) -> None:
        """Something happened. Signals raised by actions wait until the running step is done."""
        self._signals.append(signal)
        if self._stepping:
            return
        self._stepping = True
        try:
            while self._signals:
                self._step(self._signals.popleft())
        finally:
            self._stepping = False
            self._signals.clear()

    def _step(self, signal: Signal) -> None:
        result = step(self.state, signal, self._policy())
        changed = result.then is not self.state
        self.state = result.then
        for action in result.actions:
            self._actions[action]()
        if changed:
            self._changed(self.state)
