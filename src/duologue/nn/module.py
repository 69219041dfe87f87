"""A module that is called at once."""

from __future__ import annotations

from typing import Any

from torch import nn


class Module(nn.Module):
    """torch's, without the look for hooks at each call, of which there are none here.

    A step on a CPU calls some hundred modules, between which its code is driven out of the caches by the weights: the
    look is 2 % of a step of Moshi's for one session.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)
