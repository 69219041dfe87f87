"""What a conversation is made of: messages, function calls and their outputs.

An item is written in two ways. In ``added``, ``done`` and ``response.done`` it goes without the bytes of
audio and images; ``retrieved`` has everything. Keys without a value are left out, never null: some clients'
schemas are optional but not nullable, and a null makes them drop the event. The transcript of ``input_audio`` is the
exception: there they want the key, and a null until the words are known (@openai/agents ends itself without it).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from duologue.audio.formats import Format, decode, decode_pcm16, encode, encode_pcm16
from duologue.backends.contract import CallMade, CallResult, Epoch, HistoryItem, Message, Turn
from duologue.protocol import events
from duologue.protocol.images import Image, read_image
from duologue.protocol.piecemeal import Piecemeal, base64_decoded
from duologue.protocol.refusal import Refused

MAX_AUDIO_BYTES = 15 * 1024 * 1024
"""Of one append, and of one audio part of an item: OpenAI's limit."""

_MAX_MARKS = 4_096


class Playback:
    """How much of a spoken part was sent, and how much of that was heard.

    Marks (samples, characters) say: when that many samples have been played, that many characters of the
    transcript have been said. Between two marks speech is taken to be even.
    """

    def __init__(self) -> None:
        self.sent = 0
        """Samples at 24 kHz."""
        self.heard_samples: int | None = None
        """``None``: everything that was or will be sent."""
        self.heard_chars: int | None = None
        self._samples = [0]
        self._chars = [0]

    def add(self, samples: int, chars: int) -> None:
        """``samples`` more leave; after their end ``chars`` characters (counted from the start) are said."""
        self.sent += samples
        self._samples.append(self.sent)
        self._chars.append(max(chars, self._chars[-1]))
        if len(self._samples) > _MAX_MARKS:  # a speech of minutes: every other mark tells as much
            last = (self._samples[-1], self._chars[-1])
            self._samples = [*self._samples[:-1:2], last[0]]
            self._chars = [*self._chars[:-1:2], last[1]]

    def chars_at(self, samples: int) -> int:
        """Characters said when ``samples`` samples have been played."""
        return int(np.interp(samples, self._samples, self._chars))

    def samples_at(self, chars: int) -> int:
        """Samples after which ``chars`` characters have been said."""
        return int(np.interp(chars, self._chars, self._samples))

    def hear(self, samples: int | None, chars: int | None) -> None:
        """Only so much was heard; one figure gives the other. What was unheard once stays unheard."""
        if samples is None and chars is None:
            return
        if samples is None:
            assert chars is not None
            samples = self.samples_at(chars)
        if chars is None:
            chars = self.chars_at(samples)
        self.heard_samples = _least(self.heard_samples, max(0, min(samples, self.sent)))
        self.heard_chars = _least(self.heard_chars, max(0, chars))


def _least(old: int | None, new: int) -> int:
    return new if old is None else min(old, new)


@dataclass(eq=False)
class Part:
    """One part of a message's content."""

    type: Literal["input_text", "input_audio", "input_image", "output_text", "output_audio"]
    text: str | None = None
    transcript: str | None = None
    image: Image | None = None
    detail: Literal["auto", "low", "high"] | None = None
    audio: bytearray | None = None
    """PCM16 at 24 kHz; ``None`` where it was never there or is no longer kept."""
    playback: Playback | None = None
    """Of ``output_audio``."""

    @property
    def words(self) -> str:
        """The part as text: of speech that was cut short, what was heard."""
        words = (self.text if self.transcript is None else self.transcript) or ""
        return words if self.playback is None else words[: self.playback.heard_chars]

    def to_wire(self, form: Format | None) -> dict[str, Any]:
        """The part; with its bytes, audio in ``form``, unless that is ``None``."""
        wire: dict[str, Any] = {"type": self.type}
        if self.text is not None:
            wire["text"] = self.text
        if self.transcript is not None:
            wire["transcript"] = self.words
        elif self.type == "input_audio":
            wire["transcript"] = None
        if self.detail is not None:
            wire["detail"] = self.detail
        if form is None:
            return wire
        if self.image is not None:
            wire["image_url"] = self.image.url
        if self.audio:
            heard = None if self.playback is None else self.playback.heard_samples
            pcm = self.audio if heard is None else self.audio[: 2 * heard]
            travelling = bytes(pcm) if form == "audio/pcm" else encode(decode_pcm16(pcm), form)
            wire["audio"] = base64.b64encode(travelling).decode("ascii")
        return wire


@dataclass(eq=False)
class Item:
    """One item. Messages have a role and content, calls and their outputs the other fields."""

    id: str
    type: Literal["message", "function_call", "function_call_output"]
    status: Literal["in_progress", "completed", "incomplete"] = "completed"
    role: Literal["system", "user", "assistant"] | None = None
    content: list[Part] = field(default_factory=list)
    name: str | None = None
    call_id: str | None = None
    arguments: str | None = None
    output: str | None = None

    @property
    def weight(self) -> int:
        """What it holds in memory beside audio: characters, and bytes of images."""
        weight = len(self.arguments or "") + len(self.output or "")
        for part in self.content:
            weight += len(part.text or "") + len(part.transcript or "")
            weight += 0 if part.image is None else len(part.image.data)
        return weight

    def to_wire(self, form: Format | None = None) -> dict[str, Any]:
        """The item; with the bytes of audio (in ``form``) and images where ``form`` is given."""
        wire: dict[str, Any] = {
            "id": self.id,
            "object": "realtime.item",
            "type": self.type,
            "status": self.status,
        }
        if self.role is not None:
            wire["role"] = self.role
            wire["content"] = [part.to_wire(form) for part in self.content]
        for key in ("name", "call_id", "arguments", "output"):
            value = getattr(self, key)
            if value is not None:
                wire[key] = value
        return wire


@dataclass(frozen=True, slots=True)
class Spoken:
    """Which of a session's turns and replies the items are, by their ids: for backends that hear."""

    turns: Mapping[str, Turn]
    epochs: Mapping[str, Epoch]


def history(items: Sequence[Item], spoken: Spoken | None = None) -> tuple[HistoryItem, ...]:
    """The items as a backend sees them; messages without words or images (or, with ``spoken``, sound) are left out."""
    result: list[HistoryItem] = []
    for item in items:
        if item.type == "function_call":
            result.append(CallMade(item.name or "", item.call_id or "", item.arguments or ""))
        elif item.type == "function_call_output":
            result.append(CallResult(item.call_id or "", item.output or ""))
        elif item.role is not None:
            text = "\n".join(words for part in item.content if (words := part.words))
            images = tuple(part.image.data for part in item.content if part.image is not None)
            aloud = any(part.type in ("input_audio", "output_audio") for part in item.content)
            message = Message(item.role, text, images, aloud)
            if spoken is not None:
                message = _heard(message, item, spoken)
            if text or images or message.turn is not None or message.pcm:
                result.append(message)
    return tuple(result)


def _heard(message: Message, item: Item, spoken: Spoken) -> Message:
    """With what a backend that hears goes by."""
    turn = spoken.turns.get(item.id) if item.role == "user" else None
    epoch = spoken.epochs.get(item.id) if item.role == "assistant" else None
    sound = b"".join(bytes(part.audio) for part in item.content if part.audio) if item.role == "user" else b""
    return replace(message, turn=turn, epoch=epoch, pcm=b"" if turn is not None else sound)


def client_item(given: events.ClientItem, new_id: str, new_call_id: str, form: Format, place: str) -> Piecemeal[Item]:
    """An item a client made; ``place`` is where it stands in the event, for errors (:class:`Refused`)."""
    if given.id == "root":
        message = "'root' names the conversation's beginning and cannot name an item."
        raise Refused("invalid_value", message, f"{place}.id")
    id = given.id or new_id
    status: Literal["completed", "incomplete"] = "incomplete" if given.status == "incomplete" else "completed"
    if isinstance(given, events.FunctionCall):
        call_id = given.call_id or new_call_id
        return Item(id, given.type, status, name=given.name, call_id=call_id, arguments=given.arguments)
    if isinstance(given, events.FunctionCallOutput):
        return Item(id, given.type, status, call_id=given.call_id, output=given.output)
    parts = []
    for n, part in enumerate(given.content):
        parts.append((yield from _part(part, form, f"{place}.content[{n}]")))
    return Item(id, given.type, status, role=given.role, content=parts)


def _part(given: events.UserPart | events.AssistantPart, form: Format, place: str) -> Piecemeal[Part]:
    if isinstance(given, events.InputText | events.OutputText):
        return Part(given.type, text=given.text)
    if isinstance(given, events.InputImage):
        image = yield from read_image(given.image_url, f"{place}.image_url")
        return Part(given.type, image=image, detail=given.detail)
    audio = bytearray()
    if given.audio is not None:
        received = yield from audio_bytes(given.audio, form, f"{place}.audio")
        pcm = received if form == "audio/pcm" else encode_pcm16(decode(received, form))
        audio = pcm if isinstance(pcm, bytearray) else bytearray(pcm)
    part = Part(given.type, transcript=given.transcript, audio=audio)
    if given.type == "output_audio":
        part.transcript = given.transcript or ""
        part.playback = Playback()
        part.playback.add(len(audio) // 2, len(part.transcript))
    return part


def audio_bytes(text: str, form: Format, param: str) -> Piecemeal[bytes | bytearray]:
    """Base64 audio as bytes of whole samples; raises :class:`Refused`, naming ``param``."""
    try:
        data = yield from base64_decoded(text)
    except ValueError as error:
        raise Refused("invalid_value", f"The audio is not valid base64: {error}.", param) from error
    if len(data) > MAX_AUDIO_BYTES:
        message = f"{len(data)} bytes of audio at once; at most {MAX_AUDIO_BYTES} are taken."
        raise Refused("invalid_value", message, param)
    if form == "audio/pcm" and len(data) % 2:
        message = f"{len(data)} bytes are no whole number of 16-bit samples; send whole samples."
        raise Refused("invalid_value", message, param)
    return data
