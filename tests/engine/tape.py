"""Stand-ins for CUDA graphs on a machine without a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

LOOKS = {"_local_scalar_dense", "item", "is_nonzero", "nonzero", "masked_select", "equal", "unique_dim", "_unique2"}
"""Operations by which the host looks at what the device computed, or whose output's shape depends on it."""

BRINGS = {torch.tensor, torch.as_tensor, torch.asarray, torch.from_numpy}
"""Functions that make tensors of the host's numbers, which a GPU would have to fetch."""


class Looked(RuntimeError):
    """What a GPU does not permit while it captures."""


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors of an operation's arguments, or results."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors(part)
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))


def check(func: Any, args: Any, kwargs: Any) -> None:
    """Raises :class:`Looked`."""
    name = func.overloadpacket.__name__
    masked = name.startswith(("index", "index_put")) and any(
        index.dtype == torch.bool for part in args[1:2] for index in tensors(part)
    )
    if name in LOOKS or masked:
        raise Looked(f"{func} waits for the device")


class Log(TorchDispatchMode):
    """Every operation with the very tensors that it ran on."""

    def __init__(self) -> None:
        super().__init__()
        self.again: list[Callable[[], None]] = []
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        check(func, args, kwargs)
        out = func(*args, **kwargs)
        places = {place(each) for each in tensors([args, kwargs])}
        made = [each for each in tensors(out) if place(each) not in places]
        if made:
            self.bytes += sum(each.untyped_storage().nbytes() for each in made)
            self.again.append(lambda: refill(made, func(*args, **kwargs)))
        elif func._schema.is_mutable:
            self.again.append(lambda: func(*args, **kwargs))
        return out  # (a view of what was there stays one)


def place(tensor: Tensor) -> int:
    """Where its numbers lie. (Packed weights do not say.)"""
    return tensor.untyped_storage().data_ptr() if tensor.layout is torch.strided else id(tensor)


def refill(made: list[Tensor], out: Any) -> None:
    for old, new in zip(made, tensors(out), strict=True):
        old.copy_(new)


class Tape:
    """Runs the same operations on the same memory again, as a CUDA graph does: what Python decided when it was recorded
    stays decided."""

    graphs = True

    def __init__(self) -> None:
        self.bytes = 0
        self.recorded = 0
        self.replayed = 0

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        with ExitStack() as stack:
            # (In inference mode operations come in one piece that are made of others.)
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.no_grad())
            log = stack.enter_context(Log())
            work()
        self.bytes += log.bytes
        self.recorded += 1

        def replay() -> None:
            self.replayed += 1
            for step in log.again:
                step()

        return replay


class OnDevice(TorchDispatchMode):
    """Lets nothing through that leaves the device, comes from elsewhere, or looks."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        check(func, args, kwargs)
        out = func(*args, **(kwargs or {}))
        elsewhere = {str(each.device) for each in tensors([args, kwargs, out])} - {self.device}
        if elsewhere:
            raise Looked(f"{func} with what is on {', '.join(elsewhere)}")
        self.operations += 1
        return out


class NothingNew(TorchFunctionMode):
    """Lets no numbers of the host's in. (On "meta", no operation tells that they come from elsewhere.)"""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in BRINGS:
            raise Looked(f"{func} brings numbers to the device")
        return func(*args, **(kwargs or {}))


class Watched:
    """Captures nothing, but sees to it that it could be done."""

    graphs = True
    bytes = 0

    def __init__(self, device: str = "meta") -> None:
        self.device = device
        self.operations = 0

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        with torch.inference_mode(False), torch.no_grad(), NothingNew(), OnDevice(self.device) as watch:
            work()
        self.operations = watch.operations
        return work
