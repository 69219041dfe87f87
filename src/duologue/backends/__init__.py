"""Who answers: the contract, and one folder (or file) a backend."""

from __future__ import annotations

from duologue.backends.contract import Backend

NAMES = ("pocket",)
"""Backends that need no checkpoint."""


class UnknownModel(ValueError):
    """No backend of that name; the message lists those there are."""


def load(name: str) -> Backend:
    """The backend called ``name``, not yet started.

    Imports it only now: a server that serves one backend does not pay for the others.
    """
    if name == "pocket":
        from duologue.backends.pocket.backend import PocketBackend

        return PocketBackend()
    raise UnknownModel(f"there is no model called {name!r}; this version serves: {', '.join(NAMES)}")
