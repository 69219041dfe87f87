"""What a session tells those who watch it (metrics, logs). Watching never changes a conversation."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Called on the event loop; must return at once."""

    def turn_heard(self) -> None:
        """The person's turn ended (at an endpoint, or committed by the client)."""

    def turn_left_alone(self) -> None:
        """A turn was heard and silence chosen."""

    def reply_ended(self, status: str) -> None:
        """A reply ended: ``completed``, ``cancelled``, ``incomplete`` or ``failed``."""

    def first_response(self, seconds: float) -> None:
        """From the end of the person's voice to the first audible sample of the answer leaving."""

    def barge_in(self) -> None:
        """The person interrupted a reply and was obeyed."""

    def heard(self, samples: int) -> None:
        """So many samples came in."""

    def said(self, samples: int) -> None:
        """So many samples went out."""


class Unobserved:
    """Nobody watches."""

    def turn_heard(self) -> None:
        return None

    def turn_left_alone(self) -> None:
        return None

    def reply_ended(self, status: str) -> None:
        return None

    def first_response(self, seconds: float) -> None:
        return None

    def barge_in(self) -> None:
        return None

    def heard(self, samples: int) -> None:
        return None

    def said(self, samples: int) -> None:
        return None
