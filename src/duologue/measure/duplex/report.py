"""A page that shows a run: the figures, then every scene with both its waveforms, what went wrong first."""

from __future__ import annotations

from html import escape
from importlib import resources
from string import Template

from duologue.measure.duplex.run import BARS, MOST_ANSWERS, Duplex, Played, Row
from duologue.measure.figures import Spread

_WIDTH, _HEIGHT = 1000, 84
_QUIET = -60
"""dBFS that is drawn as nothing."""


def page(run: Duplex) -> str:
    """The page, complete in itself."""
    template = Template(resources.files("duologue.measure.duplex").joinpath("report.html").read_text(encoding="utf-8"))
    scenes = sorted(run.scenes, key=lambda scene: scene.right)
    return template.substitute(
        model=escape(run.model),
        part=run.part,
        rows="".join(map(_row, run.rows)),
        scenes="".join(map(_scene, scenes)),
    )


def _row(row: Row) -> str:
    bar = f"≥ {BARS[row.kind].least:.0%} (goal {BARS[row.kind].goal:.0%})" if row.kind in BARS else ""
    rate = ""
    if row.answers_in_ten_minutes is not None:
        bar = "" if row.holds is None else f"≤ {MOST_ANSWERS:g} in 10 min"
        rate = f"{row.answers_in_ten_minutes:.1f}"
    mark = "" if row.holds is None else ' class="right"' if row.holds else ' class="wrong"'
    cells = (row.kind, f"{row.right} of {row.scenes}", bar, rate, _spread(row.latency), _spread(row.silent))
    return f"<tr{mark}>" + "".join(f"<td>{cell}" for cell in cells) + "</tr>"


def _spread(spread: Spread | None) -> str:
    return "" if spread is None else f"p50 {spread.p50} ms, p95 {spread.p95} ms"


def _scene(scene: Played) -> str:
    mark, word = ("right", "right") if scene.right else ("wrong", scene.why)
    about = f"{scene.kind}, {scene.voice}: {scene.text}" if scene.voice else scene.kind
    understood = " | ".join(filter(None, scene.understood)) or "nothing"
    replies = " | ".join(filter(None, scene.replies)) or "nothing"
    return (
        f'<section><h3>{escape(about)} <span class="{mark}">{escape(word)}</span></h3>{_picture(scene)}'
        f"<small>understood: {escape(understood)}<br>said: {escape(replies[:300])}</small></section>\n"
    )


def _picture(scene: Played) -> str:
    steps = max(len(scene.heard_levels), 1)
    middle = _HEIGHT / 2
    bands = "".join(
        f'<rect x="{_WIDTH * begin / scene.seconds:.1f}" width="{_WIDTH * (end - begin) / scene.seconds:.1f}" '
        f'y="0" height="{_HEIGHT}" fill="#f4ecd2"><title>{escape(words)}</title></rect>'
        for begin, end, words in scene.cues
    )
    above = _bars(scene.heard_levels, steps, middle, -1)
    below = _bars(scene.said_levels, steps, middle, 1)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none">{bands}'
        f'<path d="{above}" fill="#b07d18"/><path d="{below}" fill="#2f5d8a"/></svg>'
    )


def _bars(levels: tuple[int, ...], steps: int, middle: float, way: int) -> str:
    """A closed outline: half the height is 0 dBFS."""
    tops = (
        f"L{_WIDTH * n / steps:.1f} {middle + way * middle * max(0, level - _QUIET) / -_QUIET:.1f}"
        for n, level in enumerate(levels)
    )
    return f"M0 {middle}" + "".join(tops) + f"L{_WIDTH} {middle}Z"
