"""Options of every command that loads a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def model_options(command: F) -> F:
    """``--device``, ``--dtype``, ``--quantize``, ``--threads``, ``--context``, ``--graphs``: how a neural model is
    run."""
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
            click.option(
                "--context",
                type=click.IntRange(0),
                default=0,
                help="Positions that a dialogue with a model that takes turns may have; 0: 4096, or all it has.",
            ),
            click.option(
                "--graphs/--no-graphs",
                default=True,
                help="On a GPU: steps of a model that hears and speaks in frames as CUDA graphs.",
            ),
        )
    ):
        command = decorator(command)
    return command


def brain_options(command: F) -> F:
    """``--brain``, ``--brain-model``, ``--brain-key``, ``--brain-timeout``, ``--brain-speculate``: who thinks behind
    pocket's ear and mouth."""
    for decorator in reversed(
        (
            click.option(
                "--brain",
                metavar="URL",
                help="An OpenAI-compatible chat endpoint that thinks instead of pocket's skills, "
                "as http://127.0.0.1:11434/v1.",
            ),
            click.option("--brain-model", metavar="NAME", help="Its model; without it, the first that it lists."),
            click.option("--brain-key", metavar="KEY", help="Its API key; better set by DUOLOGUE_BRAIN_KEY."),
            click.option(
                "--brain-timeout",
                type=click.FloatRange(0, min_open=True),
                default=30.0,
                help="Seconds that it may let wait for a word.",
            ),
            click.option(
                "--brain-speculate",
                is_flag=True,
                help="Ask it at every pause already: quicker, for the price of requests that are thrown away.",
            ),
        )
    ):
        command = decorator(command)
    return command
