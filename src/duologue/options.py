"""Options of every command that loads a neural model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def model_options(command: F) -> F:
    """``--device``, ``--dtype``, ``--quantize``, ``--threads``: how a neural model is run."""
    for decorator in reversed(
        (
            click.option("--device", default="auto", help="cpu, cuda, cuda:1 …; auto: a GPU where there is one."),
            click.option(
                "--dtype",
                type=click.Choice(("auto", "float32", "bfloat16")),
                default="auto",
                help="Precision of a neural model; auto: bfloat16 where the device computes in it.",
            ),
            click.option(
                "--quantize",
                type=click.Choice(("none", "int8")),
                default="none",
                help="Keep the language model's weights in so many bits.",
            ),
            click.option(
                "--threads", type=click.IntRange(0), default=0, help="Threads on a CPU; 0: as many as torch likes."
            ),
        )
    ):
        command = decorator(command)
    return command
