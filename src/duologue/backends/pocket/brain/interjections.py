"""What people say over somebody who talks: few words, that want the floor or leave it.

The ear listens for these alone at the beginning of every utterance, beside everything else it may hear: against
a thousand other words, a "stop" that comes through an echo canceller is taken for "shut", "job" or "show"; against
these few it is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_WANT: Final = (
    "stop", "stop it", "stop stop", "okay stop", "stop please", "wait", "wait wait", "no", "no no", "no wait",
    "hold on", "hang on", "pause", "excuse me", "what",
)  # fmt: skip
_LEAVE: Final = (
    "mhm", "mm", "hmm", "uh", "uh huh", "ah", "oh", "wow", "yeah", "yeah yeah", "yes", "right", "okay", "i see",
    "sure", "really", "nice", "good", "great", "cool", "oh i see", "oh okay", "oh wow", "oh really",
)  # fmt: skip

INTERJECTIONS: Final[Mapping[str, float]] = {**dict.fromkeys((*_WANT, *_LEAVE), 1.0), "stop": 3.0, "what": 0.1}
"""Each, and how likely it is beside the others. (A "what" is what any open vowel sounds like from afar.)"""

_WANTING: Final = frozenset(_WANT)


def wants_floor(interjection: str) -> bool:
    """Whether it, or as much of it as was heard, is said to be given the floor."""
    return interjection in _WANTING or interjection.split()[0] in {"stop", "wait", "no", "hold", "hang", "excuse"}
