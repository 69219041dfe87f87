"""Tables of names: which tensor of a published checkpoint is which parameter of ours.

A table is written next to the model that it belongs to, one line a tensor. Both directions follow from it:
loading, and the manifest of what is loaded, taken from a model that was never given memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from duologue.checkpoints.files import CheckpointError, Stored, Tensors

Form = Literal["same", "kernel1", "conv", "convtr", "channels", "alpha", "step", "steps"]
"""How a published tensor holds our parameter:

``same``     as it is
``kernel1``  [out, in] as a convolution of one step, [out, in, 1]
``conv``     a convolution's [out, kernel, in] as [out, in, kernel]
``convtr``   a transposed convolution's [kernel, out, in] as [in, out, kernel]
``channels`` a channel-wise convolution's [kernel, channels] as [channels, 1, kernel]
``alpha``    [dim] as [1, 1, dim]
``step``     [steps, …], a tensor of its own for each step, named by ``{s}``
``steps``    [steps, out, in] with the steps' rows stacked, [steps · out, in]
"""

_FIELD = re.compile(r"\\{(\w+)\\}")
M = TypeVar("M", bound=nn.Module)


class Key:
    """One line of a table: templates of the published name and of ours, with the same ``{fields}``."""

    def __init__(
        self,
        published: str,
        ours: str,
        form: Form = "same",
        *,
        rows: range | None = None,
        order: Sequence[int] | None = None,
    ) -> None:
        """``rows``: of our parameter, where the published tensor is only a part of it (q, k and v of one map).
        ``order``: which of our rows each published row is, where they stand in another order."""
        self.order = None if order is None else list(order)
        self.published = published
        self.form = form
        self.rows = rows
        self._pattern = pattern(ours)

    def match(self, ours: str) -> dict[str, str] | None:
        """The fields' values where this line is about parameter ``ours``."""
        found = self._pattern.fullmatch(ours)
        return None if found is None else found.groupdict()

    def views(self, fields: dict[str, str], parameter: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Published names with views of ``parameter`` in their published shapes."""
        if self.order is not None:
            yield self.published.format(**fields), parameter[self.order]
            return
        if self.rows is not None:
            parameter = parameter[self.rows.start : self.rows.stop]
        if self.form == "step":
            for step in range(parameter.shape[0]):
                yield self.published.format(**fields, s=step), parameter[step]
            return
        view = {
            "same": lambda p: p,
            "kernel1": lambda p: p[..., None],
            "conv": lambda p: p.permute(0, 2, 1),
            "convtr": lambda p: p.permute(2, 1, 0),
            "channels": lambda p: p.t()[:, None],
            "alpha": lambda p: p.view(1, 1, -1),
            "steps": lambda p: p.flatten(0, 1),
        }[self.form](parameter)
        yield self.published.format(**fields), view


def pattern(template: str) -> re.Pattern[str]:
    """A regular expression for names of a template, whose ``{fields}`` hold no dots."""
    return re.compile(_FIELD.sub(r"(?P<\1>\\w+)", re.escape(template)))


class KeyTable:
    """The table of one model. ``unread``: published tensors that inference never reads."""

    def __init__(self, *keys: Key, unread: Iterable[str] = ()) -> None:
        self.keys = keys
        self.unread = [pattern(template) for template in unread]

    def published(self, model: nn.Module, parts: tuple[str, ...] = ("",)) -> dict[str, Tensor]:
        """Each published name with a view of the model's parameter, in the published shape.

        ``parts``: only parameters (of ours) whose names begin so.
        """
        table: dict[str, Tensor] = {}
        for name, parameter in model.named_parameters():
            if not name.startswith(parts):
                continue
            found = [(key, fields) for key in self.keys if (fields := key.match(name)) is not None]
            if not found:
                raise KeyError(f"the table has no line for the parameter {name}")
            for key, fields in found if found[0][0].rows is not None else found[:1]:
                table.update(key.views(fields, parameter.detach()))
        return table

    def manifest(self, model: nn.Module) -> dict[str, list[int]]:
        """Published names and shapes of all that is loaded; a model on the meta device will do."""
        return {name: list(view.shape) for name, view in self.published(model).items()}

    def load(self, model: nn.Module, tensors: Tensors, *, source: str, parts: tuple[str, ...] = ("",)) -> None:
        """Fill the model's parameters, converted to their type and device.

        Raises :class:`CheckpointError` listing every tensor of ``source`` that is missing, surplus or of
        another shape; nothing is loaded then.
        """
        wanted = self.published(model, parts)
        missing = sorted(wanted.keys() - tensors.keys())
        surplus = sorted(name for name in tensors.keys() - wanted.keys() if not self._is_unread(name))
        misshapen = [
            f"{name} is {list(tensors[name].shape)}, not {list(view.shape)}"
            for name, view in wanted.items()
            if name in tensors and tensors[name].shape != tuple(view.shape)
        ]
        problems = [
            f"{kind} ({len(names)}): {_listed(names)}"
            for kind, names in (("missing", missing), ("surplus", surplus), ("of another shape", misshapen))
            if names
        ]
        if problems:
            raise CheckpointError(
                f"{source} does not hold this model's tensors. "
                + "; ".join(problems)
                + ". Is this the checkpoint, and the configuration, of another model?"
            )
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.startswith(parts) and any(key.rows is not None and key.match(name) for key in self.keys):
                    parameter.zero_()  # rows that no file has: a map whose k has no bias
            for name, view in wanted.items():
                view.copy_(tensors[name].read())
            for name, parameter in model.named_parameters():
                for key in self.keys if name.startswith(parts) else ():
                    if key.order is not None and (fields := key.match(name)) is not None:
                        given = tensors[key.published.format(**fields)].read()
                        parameter[key.order] = given.to(parameter.device, parameter.dtype)

    def _is_unread(self, name: str) -> bool:
        return any(unread.fullmatch(name) for unread in self.unread)


def _listed(names: list[str], most: int = 20) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def unfilled(make: Callable[[], M], device: torch.device | str, dtype: torch.dtype) -> M:
    """A model with room for its weights, and nothing written there; ``device="meta"`` takes no memory."""
    with torch.device("meta"):
        model = make()
    return model.to(dtype).to_empty(device=device).requires_grad_(False).eval()


def stored(tensor: Tensor) -> Stored:
    """A tensor at hand as one of a checkpoint."""
    return Stored(tuple(tensor.shape), lambda: tensor)
