"""What the display shows of a conversation, on a terminal and in a file."""

from __future__ import annotations

import io
from typing import Any

from duologue.terminal.display import Display

CONVERSATION: list[dict[str, Any]] = [
    {"type": "duologue.floor", "state": "hearing", "audio_ms": 0},
    {"type": "duologue.partial", "item_id": "i1", "text": "what time"},
    {"type": "conversation.item.input_audio_transcription.completed", "item_id": "i1", "transcript": "what time is it"},
    {"type": "duologue.floor", "state": "replying", "audio_ms": 0},
    {"type": "duologue.latency", "response_id": "r1", "ms": 310},
    {"type": "response.output_audio_transcript.delta", "delta": "It is "},
    {"type": "response.output_audio_transcript.delta", "delta": "noon."},
    {"type": "response.done", "response": {"status": "completed"}},
    {"type": "duologue.floor", "state": "idle", "audio_ms": 0},
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    @property
    def status(self) -> str:
        return self.getvalue().rpartition("\r\x1b[K")[2]


def shown(events: list[dict[str, Any]], out: io.StringIO) -> str:
    display = Display(out, columns=lambda: 40)
    for event in events:
        display.follow(event)
    display.close()
    return out.getvalue()


def test_a_file_gets_the_finished_words() -> None:
    assert shown(CONVERSATION, io.StringIO()) == "you       what time is it\nduologue  It is noon.   (310 ms)\n"


def test_a_terminal_shows_what_goes_on() -> None:
    out = Terminal()
    display = Display(out, columns=lambda: 40)
    status = []
    for event in CONVERSATION:
        display.follow(event)
        status.append(out.status)
    assert status[1] == "◂ hearing   what time"
    assert status[6] == "▸ speaking  It is noon."
    assert status[-1] == "· quiet     "
    assert "\r\x1b[Kyou       what time is it\n" in out.getvalue()


def test_long_words_stay_on_their_line() -> None:
    out = Terminal()
    display = Display(out, columns=lambda: 30)
    display.follow({"type": "duologue.floor", "state": "hearing"})
    display.follow({"type": "duologue.partial", "item_id": "", "text": "one two three four five six seven"})
    assert len(out.status) == 29
    assert out.status.endswith("six seven")


def test_interruptions_and_failures_are_told() -> None:
    events: list[dict[str, Any]] = [
        {"type": "response.output_audio_transcript.delta", "delta": "Once upon"},
        {"type": "response.done", "response": {"status": "cancelled"}},
        {"type": "response.done", "response": {"status": "completed"}},
        {
            "type": "response.done",
            "response": {"status": "failed", "status_details": {"error": {"message": "no voice"}}},
        },
        {"type": "response.done", "response": {"status": "failed", "status_details": None}},
        {"type": "duologue.ignored", "item_id": "i1", "text": ""},
        {"type": "conversation.item.input_audio_transcription.failed", "item_id": "i1", "error": {}},
        {"type": "error", "error": {"code": "response_cancel_not_active", "message": "a race"}},
        {"type": "error", "error": {"code": "server_draining", "message": "The server is shutting down."}},
    ]
    assert shown(events, io.StringIO()).splitlines() == [
        "duologue  Once upon   (interrupted)",
        "duologue  …   (failed: no voice)",
        "duologue  …   (failed: no reason was given)",
        "          (heard, and left alone)",
        "you       …   (the words were lost)",
        "problem   The server is shutting down.",
    ]


def test_after_the_end_nothing_is_overwritten() -> None:
    out = Terminal()
    display = Display(out)
    display.follow(CONVERSATION[0])
    display.close()
    display.note("bye")
    assert out.getvalue().endswith("\r\x1b[Kbye\n")
