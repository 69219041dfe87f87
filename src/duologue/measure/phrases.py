"""What is said in the benchmarks, from files beside them: a line each, its marks first, divided by strokes (|).

Those marked *tune* are for fitting and adjusting, those marked *report* for evaluation only.
"""

from __future__ import annotations

from importlib import resources
from typing import Literal

Part = Literal["tune", "report"]


def marked(package: str, name: str, *marks: str) -> list[str]:
    """The texts of the lines with these marks, in the order of the file; # begins a comment."""
    lines = resources.files(package).joinpath(name).read_text(encoding="utf-8").splitlines()
    fields = [[field.strip() for field in line.split("|")] for line in lines if line and not line.startswith("#")]
    return [text for *found, text in fields if tuple(found) == marks]


def other_talk(part: Part) -> list[str]:
    """Sentences that are no requests."""
    return marked("duologue.measure", "other_talk.txt", part)
