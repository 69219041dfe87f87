"""OpenAI Realtime as a state machine without I/O.

A transport puts messages in (:meth:`RealtimeConnection.receive`) and takes events out
(:meth:`RealtimeConnection.outgoing`); a session acts on the requests that come back and tells what happens to
the person's turns and to the replies. Nothing here knows sockets, clocks or models, and nothing a client
sends raises: what cannot be is answered by an ``error`` event and leaves everything as it was.

Written after the types of openai-python (``openai/types/realtime``). Server events of WebRTC
(``output_audio_buffer.*``) have their place beside :meth:`RealtimeConnection.input_cleared` when it comes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError
from pydantic_core import from_json

from duologue.audio import Wave
from duologue.audio.formats import Decoder
from duologue.protocol import events
from duologue.protocol.conversation import Conversation
from duologue.protocol.items import Item, Part, audio_bytes, client_item
from duologue.protocol.params import ResponseParams
from duologue.protocol.piecemeal import Piecemeal, at_once
from duologue.protocol.refusal import Refused, from_validation
from duologue.protocol.requests import (
    AudioAppended,
    CancelAsked,
    ClearAsked,
    CommitAsked,
    ItemAdded,
    ItemDeleted,
    Request,
    ResponseAsked,
    SettingsChanged,
    Truncated,
)
from duologue.protocol.response import ResponseWriter
from duologue.protocol.settings import Settings

MAX_FRAME = 21 * 1024 * 1024
"""Bytes of one message: 15 MiB of audio or image in base64, and its envelope."""

LARGE_FRAME = 2 * 2**20
"""Characters above which a message consists of sound or a picture, and is looked at before it is read as JSON."""

MAX_COMMAS = 2**17
"""In a large message. Sound has none; ten million numbers would all be made in one turn."""

COUNTED = 2**18
"""Characters looked at in one turn: at most 1 ms."""

MAX_UPDATE = 1024 * 1024
"""Bytes of one ``session.update``; its settings stay in memory and are echoed with every change."""

AUDIO_PIECE = 2**16
"""Bytes of audio made a wave at a time, whole samples: a millisecond of G.711, which is resampled."""


def random_id(kind: str) -> str:
    """``item`` → ``item_3f9c…``: at most 32 characters; 80 random bits make it unique."""
    return f"{kind}_{secrets.token_hex(10)}"


class RealtimeConnection:
    """One client's connection.

    ``model`` is the loaded model and ``voices`` its voices, the default first; ``initial`` the session's
    settings in wire form where a client secret or the server's configuration has some (:class:`Refused` if
    they are wrong).
    """

    def __init__(
        self,
        *,
        model: str,
        voices: Sequence[str],
        initial: Mapping[str, Any] | None = None,
        make_id: Callable[[str], str] = random_id,
    ) -> None:
        self.settings = Settings.initial(model, voices, initial)
        self.session_id = make_id("sess")
        self.conversation = Conversation(make_id("conv"))
        self.active: ResponseWriter | None = None
        self._out_of_band: dict[str, ResponseWriter] = {}
        self._make_id = make_id
        self._decoder = Decoder(self.settings.input_format)
        self._spoke = False
        self._outgoing: list[dict[str, Any]] = []

    # -- the transport ---------------------------------------------------------------------------------------

    def open(self) -> None:
        """The first event: ``session.created``."""
        self._emit("session.created", session=self._session())

    def outgoing(self) -> list[dict[str, Any]]:
        """The events queued since the last call, in order, ready for JSON."""
        queued, self._outgoing = self._outgoing, []
        return queued

    def receive(self, frame: str | bytes) -> list[Request]:
        """One message of the client; returns what the session must do about it."""
        return at_once(self.receiving(frame))

    def receiving(self, frame: str | bytes) -> Piecemeal[list[Request]]:
        """:meth:`receive` in pieces; the client's next message must wait for the last of them."""
        event_id: str | None = None
        try:
            given = yield from _parse(frame)
            given_id = given.get("event_id")
            if isinstance(given_id, str) and len(given_id) <= 512:
                event_id = given_id
            if given.get("type") == "session.update" and len(frame) > MAX_UPDATE:
                message = f"A session.update of {len(frame)} bytes; at most {MAX_UPDATE} are taken."
                raise Refused("invalid_value", message, "session")
            try:
                event = events.CLIENT_EVENT.validate_python(given)
            except ValidationError as error:
                raise from_validation(error, given) from error
            return (yield from self._handle(event))
        except Refused as refused:
            self.refuse(refused.code, refused.message, event_id=event_id, param=refused.param)
            return []

    def _handle(self, event: events.ClientEvent) -> Piecemeal[list[Request]]:
        match event:
            case events.SessionUpdate():
                return self._update(event)
            case events.AudioAppend():
                return (yield from self._append(event))
            case events.AudioCommit():
                return [CommitAsked(event.event_id)]
            case events.AudioClear():
                return [ClearAsked(event.event_id)]
            case events.OutputClear():
                message = "output_audio_buffer.clear is for WebRTC; over WebSocket the client plays itself."
                raise Refused("unsupported_event", message, "type")
            case events.ItemCreate():
                return (yield from self._create_item(event))
            case events.ItemDelete():
                return self._delete_item(event)
            case events.ItemRetrieve():
                return self._retrieve_item(event)
            case events.ItemTruncate():
                return self._truncate_item(event)
            case events.ResponseCreate():
                return (yield from self._create_response(event))
            case events.ResponseCancel():
                return self._cancel_response(event)

    # -- what the client asks --------------------------------------------------------------------------------

    def _update(self, event: events.SessionUpdate) -> list[Request]:
        previous = self.settings
        current = previous.updated(event.session)
        self._check_voice(current.voice, "session.audio.output.voice")
        self.settings = current
        if current.input_format != previous.input_format:
            self._decoder = Decoder(current.input_format)
        self._emit("session.updated", session=self._session())
        return [SettingsChanged(previous, current)]

    def _append(self, event: events.AudioAppend) -> Piecemeal[list[Request]]:
        data = yield from audio_bytes(event.audio, self.settings.input_format, "audio")
        return [AudioAppended((yield from self._wave(data)))] if data else []

    def _wave(self, data: bytes | bytearray) -> Piecemeal[Wave]:
        """The next of the client's audio, decoded."""
        if len(data) <= AUDIO_PIECE:
            return self._decoder.push(data)
        wave, made = np.empty(self._decoder.at_most(len(data)), np.float32), 0
        for start in range(0, len(data), AUDIO_PIECE):
            yield
            piece = self._decoder.push(data[start : start + AUDIO_PIECE])
            wave[made : made + len(piece)] = piece
            made += len(piece)
        return wave[:made]

    def _create_item(self, event: events.ItemCreate) -> Piecemeal[list[Request]]:
        item = yield from self._client_item(event.item, "item")  # first: whatever is looked up may change meanwhile
        after = event.previous_item_id
        if after is not None and after != "root" and self.conversation.get(after) is None:
            message = f"There is no item '{after}' to insert after."
            raise Refused("invalid_value", message, "previous_item_id")
        if self.conversation.get(item.id) is not None:
            message = f"The conversation already has an item '{item.id}'."
            raise Refused("item_create_duplicate_item_id", message, "item.id")
        if item.type == "function_call_output" and not self.conversation.knows_call(item.call_id or ""):
            message = f"There is no function call '{item.call_id}' in the conversation."
            raise Refused("invalid_tool_call_id", message, "item.call_id")
        if after == "root":
            self.conversation.add(item, first=True)
        else:
            self.conversation.add(item, after)
        self._announce(item)
        return [ItemAdded(item.id)]

    def _delete_item(self, event: events.ItemDelete) -> list[Request]:
        self._known(event.item_id, "item_delete_invalid_item_id")
        self.conversation.delete(event.item_id)
        self._emit("conversation.item.deleted", item_id=event.item_id)
        return [ItemDeleted(event.item_id)]

    def _retrieve_item(self, event: events.ItemRetrieve) -> list[Request]:
        item = self._known(event.item_id, "item_retrieve_invalid_item_id")
        said = item.role == "assistant"
        form = self.settings.output_format if said else self.settings.input_format
        self._emit("conversation.item.retrieved", item=item.to_wire(form))
        return []

    def _truncate_item(self, event: events.ItemTruncate) -> list[Request]:
        item = self._known(event.item_id, "item_truncate_invalid_item_id")
        if item.role == "assistant" and event.content_index >= len(item.content):
            message = f"Item '{item.id}' has no content part {event.content_index}."
            raise Refused("invalid_value", message, "content_index")
        playback = item.content[event.content_index].playback if item.role == "assistant" else None
        if playback is None:
            message = "Only model output audio messages can be truncated."
            raise Refused("unsupported_content_type", message, "item_id")
        samples = event.audio_end_ms * 24
        if samples >= playback.sent + 24:  # a client may round its last millisecond up
            there = playback.sent // 24
            message = f"Audio content of {there}ms is already shorter than {event.audio_end_ms}ms"
            raise Refused("invalid_value", message, "audio_end_ms")
        playback.hear(min(samples, playback.sent), None)
        self._emit(
            "conversation.item.truncated",
            item_id=item.id,
            content_index=event.content_index,
            audio_end_ms=event.audio_end_ms,
        )
        return [Truncated(item.id, playback.heard_samples or 0, playback.heard_chars or 0)]

    def _create_response(self, event: events.ResponseCreate) -> Piecemeal[list[Request]]:
        options = event.response
        given = yield from self._resolve(options.input)  # first: a reply may begin meanwhile
        if options.conversation == "auto" and self.active is not None:
            message = (
                f"Conversation already has an active response in progress: {self.active.id}. "
                "Wait until the response is finished before creating a new one."
            )
            raise Refused("conversation_already_has_active_response", message)
        params = ResponseParams.of(self.settings, options, given)
        self._check_voice(params.voice, "response.audio.output.voice")
        return [ResponseAsked(event.event_id, params)]

    def _cancel_response(self, event: events.ResponseCancel) -> list[Request]:
        writer = self.active
        if event.response_id is not None and (writer is None or writer.id != event.response_id):
            writer = self._out_of_band.get(event.response_id)
        if writer is None:
            raise Refused("response_cancel_not_active", "Cancellation failed: no active response found")
        return [CancelAsked(event.event_id, writer)]

    # -- the person's turn -----------------------------------------------------------------------------------

    def speech_started(self, audio_start_ms: int) -> str:
        """The person began to speak, at this time of the session's audio; returns the coming item's id."""
        item_id = self._make_id("item")
        self._emit("input_audio_buffer.speech_started", audio_start_ms=audio_start_ms, item_id=item_id)
        return item_id

    def speech_stopped(self, item_id: str, audio_end_ms: int) -> None:
        """The person's turn is over."""
        self._emit("input_audio_buffer.speech_stopped", audio_end_ms=audio_end_ms, item_id=item_id)

    def commit_turn(self, item_id: str | None, audio: bytes) -> str:
        """The turn becomes an item; ``audio`` is PCM16 at 24 kHz. ``None``: the client committed, make an
        id."""
        part = Part("input_audio", audio=bytearray(audio))
        item = Item(item_id or self._make_id("item"), "message", role="user", content=[part])
        previous = self.conversation.last
        self.conversation.add(item)
        self._emit("input_audio_buffer.committed", item_id=item.id, previous_item_id=previous)
        self._announce(item)
        return item.id

    def transcript_delta(self, item_id: str, delta: str) -> None:
        """More words of a committed turn; what was sent is never taken back."""
        if self.settings.transcription and self.conversation.get(item_id) is not None and delta:
            self._transcription("delta", item_id, delta=delta)

    def transcript_completed(self, item_id: str, transcript: str, seconds: float) -> None:
        """All words of a committed turn of so many seconds: kept in the item, and told where asked for.

        Nothing happens where the client deleted the item meanwhile.
        """
        item = self.conversation.get(item_id)
        if item is None:
            return
        item.content[0].transcript = transcript
        self.conversation.weigh(item)
        if self.settings.transcription:
            usage = {"type": "duration", "seconds": seconds}
            self._transcription("completed", item_id, transcript=transcript, usage=usage)

    def transcript_failed(self, item_id: str, message: str) -> None:
        """The words of a committed turn could not be had."""
        if self.settings.transcription and self.conversation.get(item_id) is not None:
            error = {"type": "server_error", "code": "transcription_failed", "message": message}
            self._transcription("failed", item_id, error=error)

    def input_cleared(self) -> None:
        """What was heard and not committed is forgotten."""
        self._emit("input_audio_buffer.cleared")

    def timeout_triggered(self, audio_start_ms: int, audio_end_ms: int) -> str:
        """The person said nothing for the idle time-out: commits the empty stretch, returns its item's id."""
        item_id = self._make_id("item")
        self._emit(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=audio_start_ms,
            audio_end_ms=audio_end_ms,
            item_id=item_id,
        )
        return self.commit_turn(item_id, b"")

    # -- replies ---------------------------------------------------------------------------------------------

    def begin_response(self, params: ResponseParams | None = None) -> ResponseWriter:
        """A response begins; without ``params`` it is of the server's own accord, by the session's settings.

        RuntimeError while another one is active, unless ``params`` say out of band.
        """
        params = params or ResponseParams.of(self.settings)
        if self.active is not None and not params.out_of_band:
            raise RuntimeError(f"response {self.active.id} is still active: finish it first")
        writer = ResponseWriter(
            params,
            self.conversation,
            emit=self._emit,
            make_id=self._make_id,
            finished=self._response_finished,
        )
        if params.out_of_band:
            self._out_of_band[writer.id] = writer
        else:
            self.active = writer
        return writer

    def _response_finished(self, writer: ResponseWriter) -> None:
        self._spoke = self._spoke or writer.spoke
        if self.active is writer:
            self.active = None
        self._out_of_band.pop(writer.id, None)

    # -- the rest --------------------------------------------------------------------------------------------

    def refuse(
        self,
        code: str,
        message: str,
        *,
        event_id: str | None = None,
        param: str | None = None,
        type: str = "invalid_request_error",
    ) -> None:
        """An ``error`` event. Only for what the client provoked: some clients end their session at any
        error."""
        error = {"type": type, "code": code, "message": message, "param": param, "event_id": event_id}
        self._emit("error", error=error)

    def extension(self, kind: str, **fields: Any) -> None:
        """A ``duologue.<kind>`` event, for clients that asked for this kind; ``fields`` must be ready for
        JSON."""
        if kind in self.settings.extensions:
            self._emit(f"duologue.{kind}", **fields)

    def _emit(self, type: str, **fields: Any) -> None:
        self._outgoing.append({"type": type, "event_id": self._make_id("event"), **fields})

    def _transcription(self, what: str, item_id: str, **fields: Any) -> None:
        kind = f"conversation.item.input_audio_transcription.{what}"
        self._emit(kind, item_id=item_id, content_index=0, **fields)

    def _announce(self, item: Item) -> None:
        """An item that is whole from the start."""
        previous = self.conversation.previous(item.id)
        for stage in ("added", "done"):
            self._emit(f"conversation.item.{stage}", previous_item_id=previous, item=item.to_wire())

    def _session(self) -> dict[str, Any]:
        return {"id": self.session_id, "object": "realtime.session", **self.settings.to_wire()}

    def _known(self, item_id: str, code: str) -> Item:
        item = self.conversation.get(item_id)
        if item is None:
            raise Refused(code, f"There is no item '{item_id[:64]}' in the conversation.", "item_id")
        return item

    def _client_item(self, given: events.ClientItem, place: str) -> Piecemeal[Item]:
        return client_item(given, self._make_id("item"), self._make_id("call"), self.settings.input_format, place)

    def _resolve(self, given: Sequence[events.InputItem] | None) -> Piecemeal[tuple[Item, ...] | None]:
        """A response's explicit input: references looked up, items made, none of them in the conversation."""
        if given is None:
            return None
        items = []
        for position, each in enumerate(given):
            place = f"response.input[{position}]"
            if not isinstance(each, events.ItemReference):
                items.append((yield from self._client_item(each, place)))
                continue
            item = self.conversation.get(each.id)
            if item is None:
                message = f"There is no item '{each.id}' in the conversation."
                raise Refused("invalid_value", message, f"{place}.id")
            items.append(item)
        return tuple(items)

    def _check_voice(self, voice: str, param: str) -> None:
        spoke = self._spoke or (self.active is not None and self.active.spoke)
        if spoke and voice != self.settings.voice:
            message = "Cannot update a conversation's voice if assistant audio is present."
            raise Refused("cannot_update_voice", message, param)


def _parse(frame: str | bytes) -> Piecemeal[dict[str, Any]]:
    """The message as a JSON object; raises :class:`Refused`."""
    if isinstance(frame, bytes):
        raise Refused("invalid_frame", "Events are JSON in text frames; audio goes in base64 inside them.")
    if len(frame) > MAX_FRAME:
        raise Refused("frame_too_large", f"A message of {len(frame)} bytes; at most {MAX_FRAME} are taken.")
    if len(frame) > LARGE_FRAME:
        commas = 0
        for start in range(0, len(frame), COUNTED):
            commas += frame.count(",", start, start + COUNTED)
            if commas > MAX_COMMAS:
                message = f"A message of {len(frame)} bytes with more than {MAX_COMMAS} commas: too many values."
                raise Refused("frame_too_large", message)
            yield
    try:
        # ASCII is read where it lies; of the rest only bytes are refused in the right words.
        given = from_json(frame if frame.isascii() else frame.encode("utf-8"), allow_inf_nan=False)
    except ValueError as error:
        raise Refused("invalid_json", f"The message is not valid JSON: {error}.") from error
    if not isinstance(given, dict):
        raise Refused("invalid_json", "The message is not a JSON object with a 'type'.")
    return given
