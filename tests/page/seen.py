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


def loudness(page: Page, seconds: float) -> list[float]:
    """Peaks, 21 ms each, of what the loudspeaker was given over the last ``seconds``, oldest first."""
    peaks: list[float] = page.evaluate(
        """async (seconds) => {
            const { timeline } = await import("/static/app.js");
            const from = performance.now() - seconds * 1000;
            return timeline.lanes.said.filter(({ at }) => at >= from).map(({ peak }) => peak);
        }""",
        seconds,
    )
    return peaks


def marks(page: Page) -> list[str]:
    labels: list[str] = page.evaluate(
        'async () => (await import("/static/app.js")).timeline.marks.map(({ label }) => label)'
    )
    return labels
