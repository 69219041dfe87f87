"""Who answers: the contract, and one folder (or file) a backend."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duologue.backends.contract import Backend
from duologue.backends.pocket.brain_url import BrainAddress

NAMES = ("pocket", "echo")
"""Models that need no checkpoint. ``echo`` says what it hears, to try a line."""


class UnknownModel(ValueError):
    """No backend of that name; the message lists those there are."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How a model is run: a neural one, and for ``pocket`` who thinks."""

    device: str = "auto"
    dtype: str = "auto"
    quantize: str = "none"
    threads: int = 0
    sessions: int = 16
    """How many there is room for; each takes its memory from the start."""
    context: int = 0
    """Positions of a dialogue with a model that takes turns; 0: as many as are sensible."""
    graphs: bool = True
    """Whether steps are captured in CUDA graphs, where there can be any."""
    brain: BrainAddress | None = None
    """A chat endpoint that thinks instead of pocket's skills."""


def options_from(given: MutableMapping[str, Any], *, sessions: int) -> ModelOptions:
    """Those that a command was given (:mod:`duologue.options`); they are taken out of ``given``.

    Raises :class:`~duologue.backends.pocket.brain_url.address.BrainAddressError`.
    """
    from duologue.backends.pocket.brain_url.address import from_options

    brain = from_options(**{name: given.pop(name) for name in tuple(given) if name.startswith("brain")})
    names = ("device", "dtype", "quantize", "threads", "context", "graphs")
    how = {name: given.pop(name) for name in names if name in given}
    return ModelOptions(**how, sessions=sessions, brain=brain)


def load(name: str, *, live: bool = True, options: ModelOptions | None = None) -> Backend:
    """The backend called ``name``, not yet started: ``pocket``, ``echo``, a directory of a published layout or a
    repository of the hub (``owner/name``).

    ``live``: replies are made only so far ahead of being heard as a listener needs; otherwise all at once, for drivers
    that run faster than real time. Imports the backend only now: a server of one does not pay for the others.
    Raises :class:`UnknownModel`.
    """
    o = options or ModelOptions()
    if name == "pocket":
        from duologue.backends.pocket.backend import AHEAD, PocketBackend

        ahead = AHEAD if live else None
        if o.brain is None:
            return PocketBackend(ahead_seconds=ahead)
        from duologue.backends.pocket.brain_url.mind import RemoteMinds
        from duologue.backends.pocket.ear import open_ear

        return PocketBackend(ear=open_ear, minds=RemoteMinds(o.brain), ahead_seconds=ahead)
    if o.brain is not None:
        raise UnknownModel(f"--brain thinks behind pocket's ear and mouth; {name} has a brain of its own")
    if name != "echo" and "/" not in name and not Path(name).is_dir():
        raise UnknownModel(
            f"there is no model called {name!r}; there are {', '.join(NAMES)}, directories of a published layout, "
            "and repositories of the hub (owner/name)"
        )
    if not live:
        raise UnknownModel(f"{name} speaks frame by frame in real time, and cannot be had any faster")
    from duologue.backends.engine import EngineBackend
    from duologue.engine.messages import Spec

    return EngineBackend(Spec(name, o.sessions, o.device, o.dtype, o.quantize, o.threads, o.context, o.graphs))
