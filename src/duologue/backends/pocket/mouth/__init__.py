"""pocket's mouth: clauses of text to speech, by whatever small synthesizer the machine has.

speech          what a mouth is and gives; level, trimming
text            text made safe, its words
clauses         a reply in clauses, and the pauses between them
flite, espeak   the two there are
remembering     a mouth that remembers
"""

from __future__ import annotations

from collections.abc import Callable

from duologue.backends.pocket.mouth.espeak import Espeak
from duologue.backends.pocket.mouth.flite import Flite
from duologue.backends.pocket.mouth.remembering import Remembering
from duologue.backends.pocket.mouth.speech import Marks, Mouth, MouthError, Speech

__all__ = ["MOUTHS", "Marks", "Mouth", "MouthError", "Speech", "choose_mouth"]

MOUTHS: dict[str, Callable[[], Mouth]] = {"flite": Flite, "espeak": Espeak}
"""The mouths there are, the preferred one first (nearer to people's voices, and free)."""

_REMEDY = (
    "Install flite (Debian and Ubuntu: sudo apt-get install flite; macOS: brew install flite) "
    'or the extra with espeak-ng (pip install "duologue[voice]").'
)


def choose_mouth(name: str | None = None) -> Mouth:
    """The mouth called ``name``, or the first that works here; it remembers clauses.

    Starts processes, so it may take 0.1 s. Raises :class:`MouthError` that says why each mouth does not
    work and how to get one.
    """
    if name is not None and name not in MOUTHS:
        raise MouthError(f"there is no mouth called {name!r}; there are {', '.join(MOUTHS)}")
    causes = []
    for mouth in [name] if name is not None else MOUTHS:
        try:
            return Remembering(MOUTHS[mouth]())
        except MouthError as error:
            causes.append(str(error))
    raise MouthError(f"There is nothing to speak with: {'; '.join(causes)}. {_REMEDY}")
