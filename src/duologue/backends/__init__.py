"""Who answers: the contract, and one folder (or file) a backend."""

from __future__ import annotations

from duologue.backends.contract import Backend

NAMES = ("pocket",)
"""Backends that need no checkpoint."""


class UnknownModel(ValueError):
    """No backend of that name; the message lists those there are."""


def load(name: str, *, live: bool = True) -> Backend:
    """The backend called ``name``, not yet started.

    ``live``: replies are made only so far ahead of being heard as a listener needs; otherwise all at once, for drivers
    that run faster than real time. Imports the backend only now: a server of one does not pay for the others.
    """
    if name == "pocket":
        from duologue.backends.pocket.backend import AHEAD, PocketBackend

        return PocketBackend(ahead_seconds=AHEAD if live else None)
    raise UnknownModel(f"there is no model called {name!r}; this version serves: {', '.join(NAMES)}")
