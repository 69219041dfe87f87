"""Turn models driven as an engine would drive them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from duologue.models.contract import TurnModel
from duologue.models.turns import Line, Manner, Sound, Uttered
from duologue.nn.rows import Rows


def sound(key: int, seconds: float = 0.5) -> Sound:
    """Noise at 16 kHz."""
    noise = np.random.default_rng(key).normal(0, 0.1, round(16_000 * seconds))
    return Sound(key, noise.astype(np.float32))


def ask(model: TurnModel[Any], state: Any, row: int, lines: Sequence[Line], manner: Manner, at: int = 0) -> int:
    """Reads the prompt from position ``at`` on; returns its length."""
    rows, pieces = Rows.of([row]), model.layout(lines, manner)
    x = torch.cat(model.embed(pieces))
    assert len(x) == sum(map(model.size, pieces))
    model.rewind(state, rows, at)
    while at < len(x) - 1:
        upto = min(len(x) - 1, at + 128)
        model.prefill(state, rows, x[None, at:upto])
        at = upto
    model.begin(state, rows, x[None, -1:], [pieces], [manner])
    return len(x)


def answer(model: TurnModel[Any], lines: Sequence[Line], manner: Manner) -> list[Uttered]:
    """A whole answer, alone."""
    with torch.inference_mode():
        state = model.state(1)
        ask(model, state, 0, lines, manner)
        said = [model.step(state, Rows.of([0]))[0]]
        while said[-1].end is None:
            said += model.step(state, Rows.of([0]))
    return said


def tokens(said: Sequence[Uttered]) -> list[int]:
    """What entered the context."""
    return [column for each in said for column, _ in each.tokens if isinstance(column, int)]


def text(said: Sequence[Uttered]) -> str:
    return "".join(each.text for each in said)


def wave(said: Sequence[Uttered]) -> np.ndarray[Any, Any]:
    """All that was spoken."""
    return np.concatenate([each.wave for each in said if each.wave is not None] or [np.zeros(0, np.float32)])
