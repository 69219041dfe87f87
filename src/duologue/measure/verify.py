"""Golden cases: our numbers against those of the reference implementations.

Each kind of case (:mod:`duologue.measure.golden`) has a check, a function from the case to the outputs it
names.

Numbers hold where |ours - theirs| <= atol + rtol · |theirs|, tokens and masks where they are equal. A kind
without a check, an output that a check does not give, or a case that cannot be run, is a failure.

In bfloat16 or with weights of eight bits a language model cannot hold them. There the error is told as a whole,
relative to the reference's numbers, and how many of its tokens are the same; a loop is made to say what the reference
said, or one differing token would hide the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
import torch
from torch import Tensor

from duologue.measure.golden import EXACT, Case, Check, Claim, Precision


@dataclass(frozen=True)
class Comparison:
    """One output of a case."""

    output: str
    error: float
    """Largest absolute difference."""
    allowed: float
    """The tolerance where the difference stands worst."""
    holds: bool
    note: str = ""


@dataclass(frozen=True)
class Outcome:
    """One case."""

    case: str
    component: str
    comparisons: list[Comparison] = field(default_factory=list)
    problem: str = ""

    @property
    def holds(self) -> bool:
        return not self.problem and bool(self.comparisons) and all(c.holds for c in self.comparisons)


def compare(
    name: str, ours: Tensor | Claim | None, theirs: Tensor, atol: float, rtol: float, precision: Precision = EXACT
) -> Comparison:
    """One output against the reference's."""
    if ours is None:
        return Comparison(name, float("inf"), 0.0, False, "not computed")
    if isinstance(ours, Claim):
        return Comparison(name, 0.0 if ours.holds else float("inf"), 0.0, ours.holds, ours.note)
    if ours.shape != theirs.shape:
        shapes = f"shape {list(ours.shape)}, the reference's is {list(theirs.shape)}"
        return Comparison(name, float("inf"), 0.0, False, shapes)
    ours = ours.cpu()
    if not precision.exact:
        return _roughly(name, ours, theirs, precision)
    if not theirs.is_floating_point():
        differ = int((ours.to(theirs.dtype) != theirs).sum())
        error = float((ours.double() - theirs.double()).abs().max()) if theirs.numel() else 0.0
        note = f"{differ} of {theirs.numel()} differ" if differ else "equal"
        return Comparison(name, error, 0.0, differ == 0, note)
    error_each = (ours.double() - theirs.double()).abs()
    allowed = atol + rtol * theirs.double().abs()
    if not theirs.numel():
        return Comparison(name, 0.0, atol, True)
    worst = int((error_each / allowed).nan_to_num(nan=float("inf")).argmax())
    holds = bool((error_each <= allowed).all())  # NaN does not hold
    return Comparison(name, float(error_each.max()), float(allowed.flatten()[worst]), holds)


def _roughly(name: str, ours: Tensor, theirs: Tensor, precision: Precision) -> Comparison:
    """In less precision: the error as a whole, and how many tokens are the same."""
    if not theirs.is_floating_point():
        same = float((ours.to(theirs.dtype) == theirs).double().mean()) if theirs.numel() else 1.0
        return Comparison(name, 1 - same, 1.0, True, f"{same:.1%} equal")
    scale = float(theirs.double().square().mean().sqrt())
    error = float((ours.double() - theirs.double()).square().mean().sqrt()) / max(scale, 1e-30)
    return Comparison(name, error, precision.bound, error <= precision.bound, "relative")


def checks() -> dict[str, dict[str, Check]]:
    """For each system its checks, by the name of the case's kind and by its component."""
    from duologue.measure import (
        golden_llama_omni,
        golden_mimi,
        golden_mini_omni2,
        golden_moshi,
        golden_qwen2_audio,
        golden_wire,
    )

    return {
        "moshi": {**golden_mimi.CHECKS, **golden_moshi.CHECKS, **golden_wire.CHECKS},
        "llama_omni": golden_llama_omni.CHECKS,
        "mini_omni2": golden_mini_omni2.CHECKS,
        "qwen2_audio": golden_qwen2_audio.CHECKS,
    }


def verify(folder: Path, precision: Precision = EXACT) -> Outcome:
    """Run one case."""
    try:
        case = Case.open(folder, precision)
        name, component = folder.name, case.component
        known = checks().get(case.system)
        check = None if known is None else known.get(component, known.get(name))
        if check is None:
            return Outcome(name, component, problem=f"no check for this component of {case.system!r}")
        torch.manual_seed(case.about.get("seed", 0))
        with torch.no_grad():
            ours = check(case)
        atol, rtol = case.about["tolerance"]["atol"], case.about["tolerance"]["rtol"]
        expected = sorted(case.expected.items())
        comparisons = [compare(key, ours.get(key), theirs, atol, rtol, precision) for key, theirs in expected]
        # A table of prompts or lengths has no tensors to compare: there the check says itself what holds.
        claims = ((key, each) for key, each in ours.items() if key not in case.expected and isinstance(each, Claim))
        comparisons += [Comparison(key, 0.0 if c.holds else float("inf"), 0.0, c.holds, c.note) for key, c in claims]
        return Outcome(name, component, comparisons)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is this case's failure, and the others go on)
        return Outcome(folder.name, "", problem=f"{type(error).__name__}: {error}")


def case_folders(directory: Path) -> Iterator[Path]:
    """The case itself, or all cases below a folder."""
    if (directory / "case.json").is_file():
        yield directory
        return
    for path in sorted(directory.glob("**/case.json")):
        yield path.parent


def run(directories: Sequence[Path], as_json: bool, precision: Precision = EXACT) -> int:
    """The cases below ``directories``, reported; the exit status."""
    folders = [folder for directory in directories for folder in case_folders(directory)]
    if not folders:
        raise click.UsageError("no case.json below " + ", ".join(map(str, directories)))
    outcomes = []
    for folder in folders:
        outcome = verify(folder, precision)
        outcomes.append(outcome)
        if not as_json:
            click.echo(report(outcome))
    held = sum(outcome.holds for outcome in outcomes)
    if as_json:
        cases = [asdict(outcome) | {"holds": outcome.holds} for outcome in outcomes]
        click.echo(json.dumps({"cases": cases, "held": held, "of": len(outcomes)}))
    else:
        click.echo(f"{held} of {len(outcomes)} cases hold")
    return 0 if held == len(outcomes) else 1


def report(outcome: Outcome) -> str:
    """A case's lines of the table."""
    lines = [f"{'ok  ' if outcome.holds else 'FAIL'} {outcome.case}"]
    if outcome.problem:
        lines.append(f"       {outcome.problem}")
    elif not outcome.comparisons:
        lines.append("       the case has no outputs")
    for c in outcome.comparisons:
        line = f"     {' ' if c.holds else '!'} {c.output:<28} error {c.error:.2e}  allowed {c.allowed:.2e}"
        lines.append(f"{line}  {c.note}".rstrip())
    return "\n".join(lines)
