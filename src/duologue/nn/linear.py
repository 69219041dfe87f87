"""Linear maps, laid out for the machine that runs them.

With one or a few rows a linear map is as slow as its weights are read. On a CPU oneDNN reads them about
twice as fast from a blocked layout of its own as from plain rows, so a loaded model is *packed*: each weight
is laid out anew and the plain one is let go. Packed maps can be run, not changed or saved.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS = 8
"""The number of rows that packed weights are laid out for; any number runs."""


class Linear(nn.Module):
    """A linear map without bias; with ``steps``, one of so many, chosen by the step."""

    def __init__(self, inputs: int, outputs: int, steps: int | None = None) -> None:
        super().__init__()
        shape = (outputs, inputs) if steps is None else (steps, outputs, inputs)
        self.weight = nn.Parameter(torch.empty(shape))
        self.packed: list[Tensor] = []

    def forward(self, x: Tensor, step: int | None = None) -> Tensor:
        """[N, T, inputs] → [N, T, outputs].

        With per-step weights ``step`` names the one step that ``x`` belongs to; ``None``: ``x`` holds the
        first T steps, one after another.
        """
        if self.weight.dim() == 2:
            return self._apply_one(x, 0)
        if step is not None:
            return self._apply_one(x, step)
        return torch.stack([self._apply_one(x[:, t], t) for t in range(x.shape[1])], dim=1)

    def _apply_one(self, x: Tensor, step: int) -> Tensor:
        if self.packed:
            out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed[step], None, "none", [], "")
            return out
        return F.linear(x, self.weight if self.weight.dim() == 2 else self.weight[step])

    def pack(self) -> None:
        """Lay the weights out for this CPU and let the plain ones go."""
        steps = self.weight[None] if self.weight.dim() == 2 else self.weight
        self.packed = [torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), ROWS) for weight in steps]
        self.weight = nn.Parameter(self.weight.to("meta"), requires_grad=False)


def pack(model: nn.Module) -> None:
    """Pack every linear map of a loaded model, where that helps: on a CPU whose torch has oneDNN."""
    if not torch.backends.mkldnn.is_available():
        return
    for module in model.modules():
        if isinstance(module, Linear) and module.weight.device.type == "cpu":
            module.pack()
