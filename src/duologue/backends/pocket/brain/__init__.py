"""pocket's brain: skills with slots. No I/O, no clock and no dice of its own.

To add a skill, see :mod:`.skills`.
"""

from __future__ import annotations

from duologue.backends.pocket.brain.brain import Brain, Plan, Utterance, Want
from duologue.backends.pocket.brain.judgement import Judgement, judge
from duologue.backends.pocket.brain.understanding import Parse, understand

__all__ = ["Brain", "Judgement", "Parse", "Plan", "Utterance", "Want", "judge", "understand"]
