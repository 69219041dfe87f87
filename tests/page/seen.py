"""What a person sees and hears on the page."""

from __future__ import annotations

from typing import TypedDict

from playwright.sync_api import Page


class Entry(TypedDict):
    side: str
    words: str
    notes: str
    partial: bool
    alone: bool


def entries(page: Page) -> list[Entry]:
    """The visible transcript, oldest first."""
    found: list[Entry] = page.evaluate(
        """() => [...document.querySelectorAll("#transcript li:not([hidden])")].map((line) => ({
            side: line.querySelector(".who").textContent,
            words: line.querySelector(".words").textContent,
            notes: line.querySelector(".notes").innerText,
            partial: line.classList.contains("partial"),
            alone: line.classList.contains("alone"),
        }))"""
    )
    return found


def levels(page: Page, lane: str, seconds: float) -> list[tuple[float, float]]:
    """(when in seconds, peak 0 to 1) of the last ``seconds`` as ``heard`` or as ``said``, oldest first.

    What was said is what the loudspeaker was given, after pauses and cuts.
    """
    found: list[tuple[float, float]] = page.evaluate(
        """async ([lane, seconds]) => {
            const { timeline } = await import("/static/app.js");
            const from = performance.now() - seconds * 1000;
            return timeline.lanes[lane].filter(({ at }) => at >= from).map(({ at, peak }) => [at / 1000, peak]);
        }""",
        [lane, seconds],
    )
    return found


def loudness(page: Page, seconds: float) -> list[float]:
    """The peaks of what was said in the last ``seconds``, each over 21 ms."""
    return [peak for _, peak in levels(page, "said", seconds)]


def sounds(levels: list[tuple[float, float]], above: float) -> list[tuple[float, float]]:
    """(begin, end) in seconds of each stretch with peaks ``above``, gaps of up to 0.25 s included."""
    found: list[tuple[float, float]] = []
    for at, peak in levels:
        if peak <= above:
            continue
        if found and at - found[-1][1] < 0.25:
            found[-1] = (found[-1][0], at)
        else:
            found.append((at, at))
    return found


class Mark(TypedDict):
    kind: str
    lane: str
    at: float
    until: float | None


def marks(page: Page) -> list[Mark]:
    """The timeline's marks, times in seconds; ``until`` only of what has a length."""
    found: list[Mark] = page.evaluate(
        """async () => (await import("/static/app.js")).timeline.marks.map(({ kind, lane, at, until }) => ({
            kind, lane, at: at / 1000, until: until === undefined ? null : until / 1000,
        }))"""
    )
    return found
