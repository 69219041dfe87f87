"""The verbs ``models``, ``verify``, ``manifest``, ``tiny``: what there is, is it the published one, small ones."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from duologue.models import catalogue

if TYPE_CHECKING:
    from duologue.models.figures import Figures

@click.command()
@click.argument("directories", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 …, of the language model.")
@click.option("--dtype", type=click.Choice(("float32", "bfloat16")), default="float32", show_default=True)
@click.option("--quantize", type=click.Choice(("none", "int8")), default="none", show_default=True)
def verify(directories: tuple[Path, ...], as_json: bool, device: str, dtype: str, quantize: str) -> None:
    """Run the golden cases below DIRECTORIES: our numbers against those of the reference implementations.

    Exit status 0 only if all outputs of all cases lie within their tolerances. In less precision than float32 the
    language models' error is told relative to the reference's numbers.
    """
    _need_torch()
    from duologue.engine.loading import DTYPES, CannotLoad, choose_device
    from duologue.measure.golden import Precision
    from duologue.measure.verify import run

    try:
        where = str(choose_device(device))
    except CannotLoad as error:
        raise click.UsageError(str(error)) from error
    bits = 8 if quantize == "int8" else None
    precision = Precision(where, DTYPES["bfloat16" if bits else dtype], bits)
    sys.exit(run(directories, as_json, precision))


@click.command()
@click.argument("system", type=click.Choice(catalogue.NAMES))
def manifest(system: str) -> None:
    """Print {file: {tensor: shape}} of all that is loaded of the full-size checkpoint of SYSTEM."""
    _need_torch()
    click.echo(json.dumps(catalogue.system(system).manifest(), indent=1))


@click.command()
@click.argument("system", type=click.Choice(catalogue.NAMES))
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seed", type=int, default=0, show_default=True, help="Of the weights.")
@click.option(
    "--config",
    "sizes",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file with other sizes, under the published names.",
)
def tiny(system: str, directory: Path, seed: int, sizes: Path | None) -> None:
    """Write a small SYSTEM with random weights into DIRECTORY, in the published layout.

    Serve it with: duologue serve --model DIRECTORY
    """
    _need_torch()
    from duologue.checkpoints.files import CheckpointError, read_json

    if directory.exists() and any(directory.iterdir()):
        raise click.UsageError(f"{directory} is not empty, and nothing is overwritten: name a new directory")
    try:
        given: dict[str, Any] = {} if sizes is None else read_json(sizes)
        catalogue.system(system).write(directory, seed=seed, sizes=given)
    except CheckpointError as error:
        raise click.UsageError(str(error)) from error
    total = sum(path.stat().st_size for path in directory.glob("**/*") if path.is_file())
    click.echo(f"{directory}: a random {system}, {total / 1e6:.0f} MB; duologue serve --model {directory}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.option("--markdown", is_flag=True, help="The table of docs/models.md.")
def models(as_json: bool, markdown: bool) -> None:
    """The systems, and the figures people compare them by: counted where they can be, else published or measured."""
    _need_torch()
    from duologue.measure.results import first_responses
    from duologue.models.figures import figures

    lines = figures(first_responses())
    if as_json:
        click.echo(json.dumps({line.system: line.to_json() for line in lines}, indent=1))
        return
    rows = [(line.title, *_cells(line)) for line in lines]
    if markdown:
        click.echo("| " + " | ".join(("", *_COLUMNS)) + " |")
        click.echo("|" + "---|" * (len(_COLUMNS) + 1))
        for row in rows:
            click.echo("| " + " | ".join(row) + " |")
        return
    for title, *cells in rows:
        click.echo(title)
        for column, cell in zip(_COLUMNS, cells, strict=True):
            click.echo(f"  {column:<34} {cell}")


_COLUMNS = (
    "LLM parameters (all)", "first response, published", "computed, H200", "first response, here", "interruption",
    "proactive dialogue", "non-awakening", "input → output", "weights (bf16)", "KV a second of speech",
    "compute a second of speech",
)  # fmt: skip


def _cells(line: Figures) -> tuple[str, ...]:
    def amount(value: int | None, unit: float, name: str) -> str:
        return "–" if value is None else f"{value / unit:.3g} {name}"

    return (
        "none" if line.llm_parameters is None else f"{line.llm_parameters / 1e9:.2f} B ({line.parameters or 0:,})",
        line.latency_published or "–",
        line.latency_computed or "–",
        line.latency_measured,
        line.interruption,
        line.proactive,
        line.non_awakening,
        f"{', '.join(line.inputs)} → {line.output}",
        amount(line.weights_bytes, 1e9, "GB"),
        amount(line.kv_bytes_per_second, 1e6, "MB"),
        amount(line.flop_per_second, 1e9, "GFLOP"),
    )


def _need_torch() -> None:
    try:
        importlib.import_module("torch")
        importlib.import_module("safetensors")
        importlib.import_module("sentencepiece")
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is not installed: pip install 'duologue[models]'") from error
