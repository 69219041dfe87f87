"""An answer on its way out: its text beside the sound that says it, and what of it entered the context."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from torch import Tensor

from duologue.models.text import Vocabulary, Writing
from duologue.models.turns import Column, Uttered

End = Literal["completed", "length"]


@dataclass(slots=True)
class Saying:
    """Of one row."""

    writing: Writing
    last: tuple[Column, int] | None = None
    """The column drawn last, which enters the context with the next step, and the characters said with it."""
    entered: list[tuple[Column, int]] = field(default_factory=list)
    """What entered the context and is not reported yet."""
    unsaid: deque[tuple[str, int]] = field(default_factory=deque)
    """Text that no sound went out for yet, and a number from which the model knows where its sound ends."""

    @classmethod
    def begin(cls, vocabulary: Vocabulary) -> Saying:
        """Nothing said yet."""
        return cls(Writing(vocabulary))

    def enter(self) -> None:
        """A step reads the column drawn last."""
        if self.last is not None:
            self.entered.append(self.last)
            self.last = None

    def write(self, text: str, until: int) -> None:
        """More text, whose sound ends at ``until``."""
        if text:
            self.unsaid.append((text, until))

    def utter(self, wave: Tensor | None, said: int, ends: Callable[[int], int | None], end: End | None) -> Uttered:
        """What goes out now: ``wave`` [samples], with which ``said`` samples are said in all, and the text whose sound
        has ended by then. ``ends``: of a text's number, the sample at which its sound ends, once that is known. With
        ``end`` all of it goes; nothing waits for sound either where there will be none (``said`` < 0)."""
        begun = said - (0 if wave is None else len(wave))
        text, marks = "", []
        while self.unsaid:
            piece, number = self.unsaid[0]
            at = ends(number)
            if end is None and said >= 0 and (at is None or at > said):
                break
            text += piece
            marks.append((min(max(0, (said if at is None else at) - begun), said - begun), len(text)))
            self.unsaid.popleft()
        sound = None if wave is None or not len(wave) else wave.float().cpu().numpy().astype(np.float32, copy=False)
        if not text and sound is None and end is None:
            return Uttered()
        entered, self.entered = tuple(self.entered), []
        return Uttered(text, sound, tuple(marks) if sound is not None else (), entered, end)
