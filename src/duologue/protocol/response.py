"""One response, written event by event in the order that clients rely on.

::

    response.created
      output_item.added → conversation.item.added → content_part.added → deltas, audio and transcript
      interleaved → output_audio.done → output_audio_transcript.done → content_part.done →
      conversation.item.done → output_item.done output_item.added → conversation.item.added →
      function_call_arguments.delta, .done → item.done → output_item.done
    response.done

The closing events also come when the response is cut short; whatever was announced is closed, and after
``response.done`` nothing more is said of the response. An out-of-band response sends no
``conversation.item.*``.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from duologue.audio import Wave
from duologue.audio.formats import Encoder, Format, encode_pcm16
from duologue.backends.contract import Usage
from duologue.protocol.conversation import Conversation
from duologue.protocol.items import Item, Part, Playback
from duologue.protocol.params import ResponseParams

MAX_DELTA = 48_000
"""Bytes of audio in one delta (before base64): a second of PCM."""

Status: TypeAlias = Literal["completed", "cancelled", "incomplete", "failed"]


class Emit(Protocol):
    """Queues one server event."""

    def __call__(self, type: str, **fields: Any) -> None: ...


@dataclass
class _Message:
    """A message being written."""

    item: Item
    part: Part
    index: int
    """Its place in the response's output."""
    playback: Playback | None
    encoder: Encoder | None
    """Both ``None`` for written text."""


class ResponseWriter:
    """Writes one response. All methods but :meth:`finish` may be called in any order and number.

    ``item_id``, ``sent`` and ``transcript`` tell of the latest message: a message that follows a function
    call, or that changes between speech and writing, is a new item and begins anew. After :meth:`finish`
    every call is an error (RuntimeError): look at ``finished``.
    """

    def __init__(
        self,
        params: ResponseParams,
        conversation: Conversation,
        *,
        emit: Emit,
        make_id: Callable[[str], str],
        finished: Callable[[ResponseWriter], None],
    ) -> None:
        self.id = make_id("resp")
        self.params = params
        self.finished = False
        self.spoke = False
        """Whether any audio was sent."""
        self._conversation = conversation
        self._emit = emit
        self._make_id = make_id
        self._on_finished = finished
        self._open: _Message | None = None
        self._latest: _Message | None = None
        self._announced = 0
        self._output: list[dict[str, Any]] = []
        self._emit("response.created", response=self._response("in_progress", None, None))

    @property
    def item_id(self) -> str | None:
        """The latest message's item; ``None`` before the first."""
        return None if self._latest is None else self._latest.item.id

    @property
    def sent(self) -> int:
        """Samples at 24 kHz of the latest message that were sent."""
        return 0 if self._latest is None or self._latest.playback is None else self._latest.playback.sent

    @property
    def transcript(self) -> str:
        """What the latest message says so far (its text, where it is written)."""
        part = None if self._latest is None else self._latest.part
        return "" if part is None else part.text or part.transcript or ""

    # -- what is said ----------------------------------------------------------------------------------------

    def audio(self, wave: Wave, chars: int) -> None:
        """Speech leaves now: ``wave`` [n] at 24 kHz, after whose end ``chars`` characters of the transcript
        (counted from the message's start) have been said."""
        message = self._message(speech=True)
        assert message.playback is not None
        assert message.encoder is not None
        self.spoke = self.spoke or len(wave) > 0
        message.playback.add(len(wave), chars)
        if message.part.audio is not None:
            self._conversation.keep_audio(message.item, message.part, encode_pcm16(wave))
        self._send_audio(message, message.encoder.push(wave))

    def transcript_delta(self, text: str) -> None:
        """Words of speech; they may leave shortly before the audio that says them."""
        message = self._message(speech=True)
        if text:
            message.part.transcript = (message.part.transcript or "") + text
            self._on_part("response.output_audio_transcript.delta", message, delta=text)

    def text(self, text: str) -> None:
        """Words of a written reply."""
        message = self._message(speech=False)
        if text:
            message.part.text = (message.part.text or "") + text
            self._on_part("response.output_text.delta", message, delta=text)

    def call(self, name: str, arguments: str) -> str:
        """A whole function call; returns its ``call_id``. An open message is closed first."""
        self._close_message("completed")
        call_id = self._make_id("call")
        item = Item(self._make_id("item"), "function_call", "in_progress", name=name, call_id=call_id, arguments="")
        index = self._announce(item)
        where = {"response_id": self.id, "item_id": item.id, "output_index": index, "call_id": call_id}
        self._emit("response.function_call_arguments.delta", **where, delta=arguments)
        self._emit("response.function_call_arguments.done", **where, name=name, arguments=arguments)
        item.arguments = arguments
        self._complete(item, index, "completed")
        return call_id

    def finish(
        self,
        status: Status,
        *,
        reason: str | None = None,
        message: str | None = None,
        usage: Usage | None = None,
        heard_chars: int | None = None,
        heard_samples: int | None = None,
    ) -> None:
        """Closes what is open, then the response.

        ``reason``: of ``cancelled``, ``turn_detected`` or ``client_cancelled`` (the default); of
        ``incomplete``, ``max_output_tokens`` (the default) or ``content_filter``; of ``failed``, an error
        code (``server_error`` by default), with ``message`` for people.

        ``heard_chars`` and ``heard_samples`` (either is enough): the history keeps only so much of the latest
        message. The closing events still show all that was sent; ``retrieved`` shows what was heard.
        """
        self._expect_open()
        self._close_message("completed" if status == "completed" else "incomplete")
        details: dict[str, Any] | None = None
        if status == "cancelled":
            details = {"type": "cancelled", "reason": reason or "client_cancelled"}
        elif status == "incomplete":
            details = {"type": "incomplete", "reason": reason or "max_output_tokens"}
        elif status == "failed":
            error = {"type": "server_error", "code": reason or "server_error"}
            details = {"type": "failed", "error": error if message is None else {**error, "message": message}}
        self._emit("response.done", response=self._response(status, details, usage or Usage()))
        if self._latest is not None and self._latest.playback is not None:
            self._latest.playback.hear(heard_samples, heard_chars)
        self.finished = True
        self._on_finished(self)

    # -- items -----------------------------------------------------------------------------------------------

    def _message(self, *, speech: bool) -> _Message:
        """The open message of this kind, opened if need be."""
        self._expect_open()
        if self._open is not None and (self._open.playback is not None) == speech:
            return self._open
        self._close_message("completed")
        item = Item(self._make_id("item"), "message", "in_progress", role="assistant")
        index = self._announce(item)
        if speech:
            part = Part("output_audio", transcript="", audio=bytearray(), playback=Playback())
            message = _Message(item, part, index, part.playback, Encoder(self.params.output_format))
        else:
            message = _Message(item, Part("output_text", text=""), index, None, None)
        item.content.append(message.part)
        self._open = self._latest = message
        shown = {"type": "audio", "transcript": ""} if speech else {"type": "text", "text": ""}
        self._on_part("response.content_part.added", message, part=shown)
        return message

    def _close_message(self, status: Literal["completed", "incomplete"]) -> None:
        self._expect_open()
        message = self._open
        if message is None:
            return
        self._open = None
        shown: dict[str, Any]
        if message.encoder is not None:
            if status == "completed":
                self._send_audio(message, message.encoder.finish())
            transcript = message.part.transcript or ""
            self._on_part("response.output_audio.done", message)
            self._on_part("response.output_audio_transcript.done", message, transcript=transcript)
            shown = {"type": "audio", "transcript": transcript}
        else:
            text = message.part.text or ""
            self._on_part("response.output_text.done", message, text=text)
            shown = {"type": "text", "text": text}
        self._on_part("response.content_part.done", message, part=shown)
        self._complete(message.item, message.index, status)

    def _announce(self, item: Item) -> int:
        """A new item of the output, and of the conversation; returns its place in the output."""
        index = self._announced
        self._announced += 1
        self._emit("response.output_item.added", response_id=self.id, output_index=index, item=item.to_wire())
        if not self.params.out_of_band:
            previous = self._conversation.last
            self._conversation.add(item)
            self._emit("conversation.item.added", previous_item_id=previous, item=item.to_wire())
        return index

    def _complete(self, item: Item, index: int, status: Literal["completed", "incomplete"]) -> None:
        item.status = status
        wire = item.to_wire()
        if self._conversation.holds(item):  # the client may have deleted it meanwhile
            previous = self._conversation.previous(item.id)
            self._emit("conversation.item.done", previous_item_id=previous, item=wire)
            self._conversation.weigh(item)
        self._emit("response.output_item.done", response_id=self.id, output_index=index, item=wire)
        self._output.append(wire)

    # -- events ----------------------------------------------------------------------------------------------

    def _on_part(self, type: str, message: _Message, **fields: Any) -> None:
        self._emit(
            type,
            response_id=self.id,
            item_id=message.item.id,
            output_index=message.index,
            content_index=0,
            **fields,
        )

    def _send_audio(self, message: _Message, data: bytes) -> None:
        for start in range(0, len(data), MAX_DELTA):
            delta = base64.b64encode(data[start : start + MAX_DELTA]).decode("ascii")
            self._on_part("response.output_audio.delta", message, delta=delta)

    def _response(self, status: str, details: dict[str, Any] | None, usage: Usage | None) -> dict[str, Any]:
        params = self.params
        response: dict[str, Any] = {
            "id": self.id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,  # null where there are none: Pipecat requires the key
            "output": list(self._output),
            "conversation_id": None if params.out_of_band else self._conversation.id,
            "output_modalities": list(params.modalities),
            "max_output_tokens": "inf" if params.max_output_tokens is None else params.max_output_tokens,
            "audio": {"output": {"format": format_on_the_wire(params.output_format), "voice": params.voice}},
        }
        if params.metadata is not None:
            response["metadata"] = dict(params.metadata)
        if usage is not None:
            response["usage"] = usage_on_the_wire(usage)
        return response

    def _expect_open(self) -> None:
        if self.finished:
            raise RuntimeError(f"response {self.id} is finished: nothing may follow its response.done")


def format_on_the_wire(form: Format) -> dict[str, Any]:
    return {"type": form, "rate": 24_000} if form == "audio/pcm" else {"type": form}


def usage_on_the_wire(usage: Usage) -> dict[str, Any]:
    """Tokens as OpenAI counts them; nothing is ever cached between responses here."""
    taken = usage.input_text + usage.input_audio + usage.input_image
    given = usage.output_text + usage.output_audio
    return {
        "total_tokens": taken + given,
        "input_tokens": taken,
        "output_tokens": given,
        "input_token_details": {
            "text_tokens": usage.input_text,
            "audio_tokens": usage.input_audio,
            "image_tokens": usage.input_image,
            "cached_tokens": 0,
            "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": usage.output_text, "audio_tokens": usage.output_audio},
    }
