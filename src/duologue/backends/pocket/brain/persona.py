"""What a session's instructions may settle: its name, a greeting, brevity."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

DEFAULT_NAME: Final = "Pocket"


@dataclass(frozen=True, slots=True)
class Persona:
    name: str = DEFAULT_NAME
    greeting: str | None = None
    """What to say unasked at the start; ``""``: a greeting of its own choice; ``None``: none wanted."""
    brief: bool = False


_NAME: Final = r"[\"'“]?((?:[A-Z][\w'-]*)(?: [A-Z][\w'-]*)?)"
_NAMING: Final = (
    r"\b[Yy]our name (?:is|shall be|will be)\s+" + _NAME,
    r"\b(?:[Yy]ou are|[Yy]ou're|[Aa]ct as|[Pp]lay)\s+(?:called\s+|named\s+)?"
    + _NAME
    + r"\b(?=\s*[,.;:!]|\s+(?:and|the|an?|who|from|at|of)\b|[\"'”]|\s*$)",
    r"\b(?:[Cc]all yourself|[Yy]ou are called|[Yy]ou are named|[Yy]ou go by|named|called)\s+" + _NAME,
)  # fmt: skip
_NOT_NAMES: Final = frozenset({"A", "An", "The", "ChatGPT", "Not", "In", "English", "You", "I"})
_QUOTED_GREETING: Final = (
    r"(?:greet|welcome|start|begin|open)\w*\b[^.\"“”'!?]{0,80}?(?:with|saying|say|by|:)\s*[:,]?\s*"
    r"(?:[\"“]([^\"”]{1,300})[\"”]|'((?:[^']|'(?=\w)){1,300})')"
)
_PLAIN_GREETING: Final = r"\b(?:start|begin|open)(?: the conversation)? (?:by|with) saying:? ([^.\"“”\n]{2,200}[.!?]?)"
_ANY_GREETING: Final = r"(?:^|[.!;,]\s*|\band |\bplease |\balways |\bfirst |\bby )(?:greet(?:ing)?|welcom(?:e|ing)) (?:the |your )?(?:user|person|caller|customer|guest|visitor|them|me|people|everyone)\b|\bspeak first\b|\b(?:start|begin)s? the conversation\b|\b(?:start|begin|open) (?:with|by) (?:a |an )?(?:\w+ )?greet"  # noqa: E501
_BRIEF: Final = r"\b(?:be|stay|keep (?:it|it all|your (?:answers|replies|responses))|answer|reply|respond)\b[^.]{0,40}\b(?:brief|short|concise|terse|briefly|concisely|one sentence)"  # noqa: E501


@lru_cache(maxsize=256)
def read(instructions: str) -> Persona:
    """The persona that ``instructions`` (free English text) describe; what they do not settle keeps its default."""
    text = instructions[:8000]
    name = DEFAULT_NAME
    for pattern in _NAMING:
        match = re.search(pattern, text)
        if match and match[1].split()[0] not in _NOT_NAMES:
            name = match[1].strip("'-")
            break
    greeting: str | None = None
    if match := re.search(_QUOTED_GREETING, text, re.IGNORECASE):
        greeting = match[1] or match[2]
    elif match := re.search(_PLAIN_GREETING, text, re.IGNORECASE):
        greeting = match[1].strip()
    elif re.search(_ANY_GREETING, text, re.IGNORECASE):
        greeting = ""
    return Persona(name, greeting, bool(re.search(_BRIEF, text, re.IGNORECASE)))
