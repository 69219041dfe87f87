"""A person on the line, as a stock client makes them: speaks in real time and listens.

The caller keeps both timelines on one clock, in samples at 24 kHz since the call began. Their microphone is
always on: every 20 ms a frame of what they say (or of the room's noise) is sent, once it is spoken and not
before. Their loudspeaker plays what arrives; on ``speech_started`` it falls silent and the server is told
how much was heard (``conversation.item.truncate``), as agents-js and Pipecat do.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from duologue.audio import Wave, milliseconds, samples, seconds
from duologue.audio.formats import decode_pcm16, encode_pcm16
from duologue.audio.level import STEP
from duologue.measure.lines import Arrival, Line, LineError
from duologue.measure.playback import Playback

EXTENSIONS = ("ignored",)
"""duologue's own events the caller asks for; other servers ignore the request."""


@dataclass(slots=True)
class Turn:
    """One stretch of the caller's speech, as the server tells of it."""

    item: str
    heard: str = ""
    """The transcript."""
    transcribed: bool = False
    """Whether the transcript has come (or is said to have failed)."""
    settled: bool = False
    """Whether a response followed, or the server said that it leaves the turn alone."""


@dataclass(slots=True)
class Reply:
    """One response, as it came."""

    id: str
    created: int
    """Position at which it was announced."""
    said: str = ""
    status: str = "in_progress"
    problem: str = ""
    """What the server says broke, where it failed."""


@dataclass(slots=True)
class Caller:
    """One side of a call. Time passes only in :meth:`tick`."""

    line: Line
    room: Wave | None = None
    """Noise of the caller's room, repeated under all they say; ``None``: digital silence."""
    position: int = 0
    """Samples of the caller's timeline that have passed (and were sent)."""
    playback: Playback = field(default_factory=Playback)
    model: str = ""
    turns: dict[str, Turn] = field(default_factory=dict)
    """Committed turns by item, in order."""
    replies: dict[str, Reply] = field(default_factory=dict)
    speaking: bool = False
    """Whether the server is hearing a turn just now."""
    errors: list[str] = field(default_factory=list)
    moved: int = 0
    """Position of the last event that was news of the conversation."""
    _origin: float = 0.0
    _early: list[Arrival] = field(default_factory=list)
    """Arrived together with what was awaited, and not looked at yet."""
    _saying: list[tuple[int, Wave]] = field(default_factory=list)
    _sent: list[Wave] = field(default_factory=list)

    async def join(self, *, patience: float = 10.0, session: Mapping[str, Any] | None = None) -> None:
        """Waits for ``session.created``, asks for transcripts (and ``session``'s settings), starts the clock.

        Raises :class:`LineError` where the server does not answer within ``patience`` seconds, or refuses.
        """
        created = await self._await("session.created", patience)
        self.model = str(created["session"].get("model", ""))
        wanted = {
            "type": "realtime",
            "audio": {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}},
            "duologue": {"events": list(EXTENSIONS)},
            **(session or {}),
        }
        await self.line.send({"type": "session.update", "session": wanted})
        await self._await("session.updated", patience)
        self._origin = self.line.now()

    def say(self, wave: Wave) -> int:
        """``wave`` is said from now on (after what is being said already); returns where it begins."""
        start = max(self.position, *(at + len(said) for at, said in self._saying), 0)
        self._saying.append((start, wave))
        return start

    async def write(self, text: str) -> None:
        """``text`` is said in writing, and an answer asked for."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self.line.send({"type": "conversation.item.create", "item": item})
        await self.line.send({"type": "response.create"})

    async def tick(self) -> None:
        """20 ms pass: a frame is spoken, what arrives meanwhile is taken, then the frame is sent."""
        frame = self._frame()
        end = self.position + STEP
        for arrival in await self._wait(self._origin + seconds(end)):
            await self._take(samples(arrival.at - self._origin), arrival.event)
        self.position = end
        self._sent.append(frame)
        audio = base64.b64encode(encode_pcm16(frame)).decode("ascii")
        await self.line.send({"type": "input_audio_buffer.append", "audio": audio})

    async def listen(self, duration: float) -> None:
        """``duration`` seconds pass."""
        end = self.position + samples(duration)
        while self.position < end:
            await self.tick()

    @property
    def heard(self) -> Wave:
        """All that was sent so far."""
        return np.concatenate(self._sent) if self._sent else np.zeros(0, np.float32)

    @property
    def active(self) -> bool:
        """Whether a response is being made."""
        return any(reply.status == "in_progress" for reply in self.replies.values())

    @property
    def calm(self) -> bool:
        """Whether nobody speaks and nothing is owed: no turn open or unanswered, nothing left to play."""
        owed = any(not turn.settled for turn in self.turns.values())
        return not (self.speaking or owed or self.active or self.playback.end > self.position)

    def _frame(self) -> Wave:
        frame = np.zeros(STEP, np.float32)
        if self.room is not None:
            frame += np.take(self.room, range(self.position, self.position + STEP), mode="wrap")
        for start, wave in self._saying:
            # Frames end later than a wave does, and a wave may begin within a frame.
            lo, hi = max(start, self.position), min(start + len(wave), self.position + STEP)
            if lo < hi:
                frame[lo - self.position : hi - self.position] += wave[lo - start : hi - start]
        self._saying = [(at, wave) for at, wave in self._saying if at + len(wave) > self.position + STEP]
        return frame

    async def _await(self, kind: str, patience: float) -> Mapping[str, Any]:
        """The first event of ``kind``, before the clock starts."""
        until = self.line.now() + patience
        while self.line.now() < until:
            arrivals = await self._wait(min(until, self.line.now() + seconds(STEP)))
            for index, arrival in enumerate(arrivals, start=1):
                if arrival.event["type"] == "error":
                    self.errors.append(_message(arrival.event))
                elif arrival.event["type"] == kind:
                    self._early = arrivals[index:]
                    return arrival.event
        raise LineError(f"no {kind} within {patience:g} s" + "".join(f"; {error}" for error in self.errors))

    async def _wait(self, until: float) -> list[Arrival]:
        early, self._early = self._early, []
        try:
            return early + await self.line.wait(until)
        except LineError as error:  # the server's last words say more than its hanging up
            raise LineError("; ".join([*self.errors, str(error)])) from error

    async def _take(self, at: int, event: Mapping[str, Any]) -> None:
        match event["type"]:
            case "response.output_audio.delta":
                wave = decode_pcm16(base64.b64decode(event["delta"]))
                self._reply(event["response_id"], at)
                self.playback.add(at, wave, response=event["response_id"], item=event["item_id"])
            case "input_audio_buffer.speech_started":
                self.speaking = True
                await self._fall_silent(at)
            case "input_audio_buffer.speech_stopped" | "input_audio_buffer.cleared":
                self.speaking = False
            case "input_audio_buffer.committed":
                self.turns[event["item_id"]] = Turn(event["item_id"])
            case "conversation.item.input_audio_transcription.completed":
                self._transcribed(event["item_id"], event["transcript"])
            case "conversation.item.input_audio_transcription.failed":
                self._transcribed(event["item_id"], "")
            case "duologue.ignored":
                turn = self.turns.setdefault(event["item_id"], Turn(event["item_id"]))
                turn.settled = True
                if not turn.heard:
                    self._transcribed(event["item_id"], event.get("text", ""))
            case "response.created":
                self._reply(event["response"]["id"], at)
                for turn in self.turns.values():
                    turn.settled = True
            case "response.output_audio_transcript.delta" | "response.output_text.delta":
                self._reply(event["response_id"], at).said += event["delta"]
            case "response.done":
                self._done(self._reply(event["response"]["id"], at), event["response"])
            case "error":
                self.errors.append(_message(event))
            case _:
                return
        self.moved = at

    async def _fall_silent(self, at: int) -> None:
        """Drops what is not played yet; tells the server what was, if a reply was cut or is still coming."""
        item = self.playback.flush(at)
        if item is None and self.playback.pieces and self.active:
            item = self.playback.pieces[-1].item
        if item is not None:
            await self.line.send(
                {
                    "type": "conversation.item.truncate",
                    "item_id": item,
                    "content_index": 0,
                    "audio_end_ms": milliseconds(self.playback.heard(item)),
                }
            )

    def _transcribed(self, item: str, text: str) -> None:
        turn = self.turns.setdefault(item, Turn(item, settled=True))
        turn.heard, turn.transcribed = text.strip(), True

    def _reply(self, response: str, at: int) -> Reply:
        return self.replies.setdefault(response, Reply(response, at))

    def _done(self, reply: Reply, response: Mapping[str, Any]) -> None:
        reply.status = response["status"]
        if reply.status == "failed":
            details = response.get("status_details") or {}
            reply.problem = (details.get("error") or {}).get("message") or "the response failed"


def _message(event: Mapping[str, Any]) -> str:
    """The words of an ``error`` event."""
    error = event.get("error", {})
    code = error.get("code") or error.get("type") or "error"
    return f"{error.get('message', 'no message')} ({code})"
