"""Weight normalisation (arXiv 1602.07868), folded away when a checkpoint is read.

Trained with it, a layer's weight is kept as a direction v and, for each index of the first axis, a length g: the weight
is g · v / ‖v‖. Files hold the two as ``weight_g`` and ``weight_v`` or, from newer torch, as
``parametrizations.weight.original0`` and ``original1``.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from duologue.checkpoints.files import Stored, Tensors

SPELLINGS = (("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1"))


def folded(tensors: Tensors) -> dict[str, Stored]:
    """Every pair of length and direction as the one ``weight`` that they mean; other tensors as they are."""
    out = dict(tensors)
    for g, v in SPELLINGS:
        for name in [name for name in out if name.endswith("." + g)]:
            stem = name.removesuffix(g)
            if stem + v in out:
                length, direction = out.pop(name), out.pop(stem + v)
                out[stem + "weight"] = Stored(
                    direction.shape,
                    lambda g=length, v=direction: _product(g.read(), v.read()),  # type: ignore[misc]
                )
    return out


def _product(g: Tensor, v: Tensor) -> Tensor:
    axes = list(range(1, v.dim()))
    weight: Tensor = v * (g / torch.linalg.vector_norm(v, dim=axes, keepdim=True))
    return weight


def unfolded(
    named: Mapping[str, Tensor], spelling: tuple[str, str] = SPELLINGS[0], *, plain: tuple[str, ...] = ()
) -> dict[str, Tensor]:
    """Each ``weight`` with a kernel (three axes) as length and direction; other tensors, and those whose names begin
    with one of ``plain``, as they are."""
    out: dict[str, Tensor] = {}
    for name, tensor in named.items():
        if tensor.dim() != 3 or not name.endswith(".weight") or name.startswith(plain):
            out[name] = tensor
            continue
        stem = name.removesuffix("weight")
        out[stem + spelling[0]] = torch.linalg.vector_norm(tensor, dim=[1, 2], keepdim=True)
        out[stem + spelling[1]] = tensor
    return out
