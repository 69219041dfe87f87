"""The eleven events a client may send, and the shapes inside them, as they are on the wire."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, TypeAdapter

from duologue.protocol.settings import (
    AudioFormat,
    MaxOutputTokens,
    Modalities,
    ToolChoice,
    Tools,
    Voice,
)
from duologue.protocol.wire import Identifier, LongText, ShortText, Wire, at_most

# -- conversation items -------------------------------------------------------------------------------------


class InputText(Wire):
    type: Literal["input_text"]
    text: LongText


class InputAudio(Wire):
    type: Literal["input_audio"]
    audio: str | None = None
    transcript: LongText | None = None


class InputImage(Wire):
    type: Literal["input_image"]
    image_url: str
    detail: Literal["auto", "low", "high"] = "auto"


class OutputText(Wire):
    type: Literal["output_text"]
    text: LongText


class OutputAudio(Wire):
    type: Literal["output_audio"]
    audio: str | None = None
    transcript: LongText | None = None


UserPart: TypeAlias = Annotated[InputText | InputAudio | InputImage, Field(discriminator="type")]
AssistantPart: TypeAlias = Annotated[OutputText | OutputAudio, Field(discriminator="type")]


class _Item(Wire):
    id: Identifier | None = None
    status: Literal["in_progress", "completed", "incomplete"] | None = None


class SystemMessage(_Item):
    type: Literal["message"]
    role: Literal["system"]
    content: Annotated[list[InputText], at_most(64)]


class UserMessage(_Item):
    type: Literal["message"]
    role: Literal["user"]
    content: Annotated[list[UserPart], at_most(64)]


class AssistantMessage(_Item):
    type: Literal["message"]
    role: Literal["assistant"]
    content: Annotated[list[AssistantPart], at_most(64)]


class FunctionCall(_Item):
    type: Literal["function_call"]
    name: Annotated[str, Field(min_length=1, max_length=128)]
    arguments: LongText
    call_id: Identifier | None = None


class FunctionCallOutput(_Item):
    type: Literal["function_call_output"]
    call_id: Identifier
    output: LongText


class ItemReference(Wire):
    type: Literal["item_reference"]
    id: Identifier


Message: TypeAlias = Annotated[SystemMessage | UserMessage | AssistantMessage, Field(discriminator="role")]
ClientItem: TypeAlias = Annotated[Message | FunctionCall | FunctionCallOutput, Field(discriminator="type")]
InputItem: TypeAlias = Annotated[
    Message | FunctionCall | FunctionCallOutput | ItemReference, Field(discriminator="type")
]

# -- events -------------------------------------------------------------------------------------------------


def _whole(given: Any) -> Any:
    """Clients in JavaScript may send a fraction of a millisecond."""
    return math.floor(given) if isinstance(given, float) and math.isfinite(given) else given


class _Event(Wire):
    event_id: Annotated[str, Field(max_length=512)] | None = None


class SessionUpdate(_Event):
    type: Literal["session.update"]
    session: dict[str, Any]


class AudioAppend(_Event):
    type: Literal["input_audio_buffer.append"]
    audio: str


class AudioCommit(_Event):
    type: Literal["input_audio_buffer.commit"]


class AudioClear(_Event):
    type: Literal["input_audio_buffer.clear"]


class OutputClear(_Event):
    type: Literal["output_audio_buffer.clear"]


class ItemCreate(_Event):
    type: Literal["conversation.item.create"]
    item: ClientItem
    previous_item_id: Identifier | None = None


class ItemDelete(_Event):
    type: Literal["conversation.item.delete"]
    item_id: str


class ItemRetrieve(_Event):
    type: Literal["conversation.item.retrieve"]
    item_id: str


class ItemTruncate(_Event):
    type: Literal["conversation.item.truncate"]
    item_id: str
    content_index: Annotated[int, Field(ge=0)]
    audio_end_ms: Annotated[int, BeforeValidator(_whole), Field(ge=0, le=2**53)]


class ResponseOutput(Wire):
    format: AudioFormat | None = None
    voice: Voice | None = None


class ResponseAudio(Wire):
    output: ResponseOutput | None = None


class ResponseOptions(Wire):
    """What one response shall be like; absent keys mean the session's settings."""

    output_modalities: Modalities | None = None
    instructions: LongText | None = None
    audio: ResponseAudio | None = None
    tools: Tools | None = None
    tool_choice: ToolChoice | None = None
    max_output_tokens: MaxOutputTokens | None = None
    metadata: (
        Annotated[
            dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
            at_most(16),
        ]
        | None
    ) = None
    conversation: Literal["auto", "none"] = "auto"
    input: Annotated[list[InputItem], at_most(500)] | None = None


class ResponseCreate(_Event):
    type: Literal["response.create"]
    response: ResponseOptions = ResponseOptions()


class ResponseCancel(_Event):
    type: Literal["response.cancel"]
    response_id: ShortText | None = None


ClientEvent: TypeAlias = (
    SessionUpdate
    | AudioAppend
    | AudioCommit
    | AudioClear
    | OutputClear
    | ItemCreate
    | ItemDelete
    | ItemRetrieve
    | ItemTruncate
    | ResponseCreate
    | ResponseCancel
)

CLIENT_EVENT: TypeAdapter[ClientEvent] = TypeAdapter(Annotated[ClientEvent, Field(discriminator="type")])
