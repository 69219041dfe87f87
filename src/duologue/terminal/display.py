"""What the conversation looks like in text: finished words as lines, and below them what goes on just now.

    you       what time is it
    duologue  It is ten past four.                        340 ms
    ◂ hearing  and what is the

The last line exists only on a terminal, where it can be overwritten; into a file go the finished words alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from typing import Any, TextIO

STATES = {
    "idle": "· quiet",
    "hearing": "◂ hearing",
    "speculating": "◂ pausing",
    "replying": "▸ speaking",
    "contested": "▪ paused",
    "overlapped": "▸ speaking",
}
"""The floor's states (docs/floor.md) in a word each."""

_RACES = {"response_cancel_not_active", "input_audio_buffer_commit_empty"}
"""Errors that tell of a lost race between the two sides, which is nobody's fault."""

_CLEAR = "\r\x1b[K"


class Display:
    """Follows a server's events, duologue's or another's."""

    def __init__(self, out: TextIO, *, columns: Callable[[], int] = lambda: shutil.get_terminal_size().columns) -> None:
        self._out = out
        self._columns = columns
        self._live = out.isatty()
        self._state = "idle"
        self._hearing = ""
        """The words of the person's turn so far."""
        self._saying = ""
        """The words of the reply so far."""
        self._latency: int | None = None

    def note(self, text: str) -> None:
        """A line of its own."""
        self._line(text)
        self._status()

    def follow(self, event: Mapping[str, Any]) -> None:
        """What the server told."""
        match event["type"]:
            case "duologue.floor":
                self._state = event["state"]
                if self._state == "idle":
                    self._hearing = ""
            case "duologue.partial":
                self._hearing = event["text"]
            case "duologue.latency":
                self._latency = event["ms"]
            case "duologue.ignored":
                self._line(f"{'':<9} (heard, and left alone)")
            case "conversation.item.input_audio_transcription.completed":
                self._hearing = ""
                if event["transcript"].strip():
                    self._words("you", event["transcript"].strip())
            case "conversation.item.input_audio_transcription.failed":
                self._words("you", "…", "the words were lost")
            case "response.output_audio_transcript.delta" | "response.output_text.delta":
                self._saying += event["delta"]
            case "response.done":
                self._done(event["response"])
            case "error" if event["error"].get("code") not in _RACES:
                self._line(f"problem   {event['error']['message']}")
            case _:
                return
        self._status()

    def close(self) -> None:
        """Leaves only the finished words; the last lines can still be noted."""
        if self._live:
            self._out.write(_CLEAR)
            self._out.flush()
            self._live = False

    def _done(self, response: Mapping[str, Any]) -> None:
        notes = [] if self._latency is None else [f"{self._latency} ms"]
        if response["status"] == "cancelled":
            notes.append("interrupted")
        elif response["status"] == "failed":
            error = (response.get("status_details") or {}).get("error") or {}
            notes.append(f"failed: {error.get('message') or 'no reason was given'}")
        if self._saying.strip() or notes:
            self._words("duologue", self._saying.strip() or "…", ", ".join(notes))
        self._saying, self._latency = "", None

    def _words(self, who: str, words: str, note: str = "") -> None:
        self._line(f"{who:<9} {words}" + (f"   ({note})" if note else ""))

    def _line(self, text: str) -> None:
        self._out.write((_CLEAR if self._live else "") + text + "\n")
        self._out.flush()

    def _status(self) -> None:
        if not self._live:
            return
        speaking = self._state in ("replying", "contested", "overlapped")
        words = self._saying if speaking and self._saying else self._hearing
        room = self._columns() - 1 - 12  # a full last column would begin a new line
        self._out.write(f"{_CLEAR}{STATES.get(self._state, self._state):<12}{words[-room:] if room > 0 else ''}")
        self._out.flush()
