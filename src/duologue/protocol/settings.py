"""A session's settings: what a client may ask for, what holds, and how the one changes the other.

``session.update`` merges: what it does not name stays, null takes back to the default, and objects that are
one choice (``turn_detection``, a format, a tool choice) are replaced as a whole. The wire shape is OpenAI's
``RealtimeSession`` plus one key of our own, ``duologue``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from duologue.audio.formats import Format
from duologue.backends.contract import Strictness, Tool
from duologue.protocol.refusal import Refused, from_validation
from duologue.protocol.wire import FreeObject, LongText, ShortText, Wire, at_most

# -- turn detection ---------------------------------------------------------------------------------------


class ServerVad(Wire):
    """A turn ends after a fixed silence."""

    type: Literal["server_vad"] = "server_vad"
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    prefix_padding_ms: Annotated[int, Field(ge=0, le=10_000)] = 300
    silence_duration_ms: Annotated[int, Field(ge=0, le=60_000)] = 500
    idle_timeout_ms: Annotated[int, Field(ge=100, le=3_600_000)] | None = None
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(Wire):
    """A turn ends after a silence whose length depends on what was said."""

    type: Literal["semantic_vad"] = "semantic_vad"
    eagerness: Literal["auto", "low", "medium", "high"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection: TypeAlias = ServerVad | SemanticVad

# -- formats and voices -----------------------------------------------------------------------------------


class Pcm(Wire):
    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24_000] = 24_000


class Pcmu(Wire):
    type: Literal["audio/pcmu"]


class Pcma(Wire):
    type: Literal["audio/pcma"]


AudioFormat = Annotated[Pcm | Pcmu | Pcma, Field(discriminator="type")]


def _voice_name(given: Any) -> Any:
    """``{"id": NAME}`` is the long way to say NAME."""
    return given["id"] if isinstance(given, dict) and "id" in given else given


Voice = Annotated[str, BeforeValidator(_voice_name), Field(min_length=1, max_length=200)]

# -- tools ------------------------------------------------------------------------------------------------


def _no_parameters() -> dict[str, Any]:
    return {"type": "object", "properties": {}}


class FunctionTool(Wire):
    type: Literal["function"] = "function"
    name: Annotated[str, Field(min_length=1, max_length=128)]
    description: LongText = ""
    parameters: FreeObject = Field(default_factory=_no_parameters)

    @property
    def tool(self) -> Tool:
        return Tool(self.name, self.description, self.parameters)


class FunctionChoice(Wire):
    type: Literal["function"]
    name: Annotated[str, Field(min_length=1, max_length=128)]


Tools = Annotated[tuple[FunctionTool, ...], Field(strict=False), at_most(256)]
ToolChoice: TypeAlias = Literal["auto", "none", "required"] | FunctionChoice
Modalities = Annotated[tuple[Literal["audio", "text"]], Field(strict=False), at_most(1)]
MaxOutputTokens: TypeAlias = Annotated[int, Field(ge=1, le=4096)] | Literal["inf"]


def choice_on_the_wire(choice: ToolChoice) -> Any:
    return choice if isinstance(choice, str) else choice.model_dump()


# -- the session object -----------------------------------------------------------------------------------


class _Transcription(Wire):
    model: ShortText | None = None
    language: ShortText | None = None
    prompt: LongText | None = None
    languages: Annotated[list[ShortText], at_most(1_000)] | None = None
    keywords: Annotated[list[ShortText], at_most(1_000)] | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class _NoiseReduction(Wire):
    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class _Input(Wire):
    null_means: ClassVar[frozenset[str]] = frozenset({"turn_detection"})

    format: AudioFormat = Pcm()
    transcription: _Transcription | None = None
    noise_reduction: _NoiseReduction | None = None
    turn_detection: Annotated[TurnDetection, Field(discriminator="type")] | None = SemanticVad()

    @model_validator(mode="before")
    @classmethod
    def _false_is_off(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("turn_detection") is False:
            return {**given, "turn_detection": None}
        return given


class _Output(Wire):
    format: AudioFormat = Pcm()
    voice: Voice | None = None
    speed: Annotated[float, Field(ge=0.25, le=1.5)] = 1.0


class _Audio(Wire):
    input: _Input = _Input()
    output: _Output = _Output()


class _RetentionRatio(Wire):
    class TokenLimits(Wire):
        post_instructions: Annotated[int, Field(ge=0)] | None = None

    type: Literal["retention_ratio"]
    retention_ratio: Annotated[float, Field(ge=0, le=1)]
    token_limits: TokenLimits | None = None


class _Tracing(Wire):
    workflow_name: ShortText | None = None
    group_id: ShortText | None = None
    metadata: FreeObject | None = None


class _Prompt(Wire):
    id: ShortText
    version: ShortText | None = None


class _Reasoning(Wire):
    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class _Extension(Wire):
    events: Annotated[tuple[ShortText, ...], Field(strict=False), at_most(100)] = ()
    lead_ms: Annotated[int, Field(ge=0, le=10_000)] | Literal["off"] | None = None
    strictness: Strictness | None = None
    history: bool | None = None
    speculate: bool | None = None


class _Session(Wire):
    type: Literal["realtime"]
    output_modalities: Modalities = ("audio",)
    instructions: LongText = ""
    tools: Tools = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool | None = None
    max_output_tokens: MaxOutputTokens = "inf"
    truncation: Literal["auto", "disabled"] | _RetentionRatio = "auto"
    tracing: Literal["auto"] | _Tracing | None = None
    prompt: _Prompt | None = None
    reasoning: _Reasoning | None = None
    include: Annotated[list[Literal["item.input_audio_transcription.logprobs"]], at_most(10)] | None = None
    audio: _Audio = _Audio()
    duologue: _Extension | None = None


_MERGED: dict[str, Any] = {
    "audio": {"input": {"transcription": {}, "noise_reduction": {}}, "output": {}},
    "duologue": {},
}
"""The objects that merge key by key; every other value is replaced as a whole."""

_BETA = {
    "modalities": "output_modalities",
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
    "input_audio_format": "audio.input.format",
    "output_audio_format": "audio.output.format",
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "turn_detection": "audio.input.turn_detection",
    "max_response_output_tokens": "max_output_tokens",
}
"""Keys of the protocol's beta. Ignoring them would look like a fault of ours, so they are refused by name."""


@dataclass(frozen=True)
class Settings:
    """The settings that hold in a session. Immutable; :meth:`updated` makes new ones."""

    model: str
    """The model that is loaded, whatever name the client used."""
    default_voice: str
    _session: _Session

    @classmethod
    def initial(cls, model: str, voices: Sequence[str], session: Mapping[str, Any] | None = None) -> Settings:
        """The settings a session starts with: the defaults, overridden by ``session`` (in wire form).

        ``voices`` are the backend's own, the default first. Raises :class:`Refused` like :meth:`updated`.
        """
        if not voices:
            raise ValueError("a session needs at least one voice, even if only a nominal one")
        bare = cls(model, voices[0], _Session(type="realtime"))
        return bare if session is None else bare.updated({"type": "realtime", **session})

    def updated(self, session: Mapping[str, Any]) -> Settings:
        """These settings after a ``session.update``; raises :class:`Refused` (``param`` from
        ``session.``)."""
        for key, home in _BETA.items():
            if key in session:
                message = f"'session.{key}' belongs to the beta of this protocol; use 'session.{home}'."
                raise Refused("unknown_parameter", message, f"session.{key}")
        if session.get("type") is None:
            message = "Missing required parameter: 'session.type' (this server knows \"realtime\")."
            raise Refused("missing_required_parameter", message, "session.type")
        whole = _merge(self._session.model_dump(exclude_unset=True), session, _MERGED)
        try:
            return Settings(self.model, self.default_voice, _Session.model_validate(whole))
        except ValidationError as error:
            raise from_validation(error, whole, within="session") from error

    # -- what holds

    @property
    def instructions(self) -> str:
        return self._session.instructions

    @property
    def modalities(self) -> tuple[str, ...]:
        """``("audio",)`` or ``("text",)``."""
        return self._session.output_modalities

    @property
    def speech(self) -> bool:
        return "audio" in self._session.output_modalities

    @property
    def voice(self) -> str:
        return self._session.audio.output.voice or self.default_voice

    @property
    def speed(self) -> float:
        return self._session.audio.output.speed

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tuple(each.tool for each in self._session.tools)

    @property
    def tool_choice(self) -> str:
        """``auto``, ``none``, ``required`` or ``function:NAME``."""
        return choice_in_words(self._session.tool_choice)

    @property
    def max_output_tokens(self) -> int | None:
        """``None``: as many as it takes."""
        limit = self._session.max_output_tokens
        return None if isinstance(limit, str) else limit

    @property
    def transcription(self) -> bool:
        return self._session.audio.input.transcription is not None

    @property
    def turn_detection(self) -> TurnDetection | None:
        """``None``: the client says when a turn ends (push-to-talk)."""
        return self._session.audio.input.turn_detection

    @property
    def input_format(self) -> Format:
        return self._session.audio.input.format.type

    @property
    def output_format(self) -> Format:
        return self._session.audio.output.format.type

    @property
    def extensions(self) -> frozenset[str]:
        """Kinds of ``duologue.*`` events the client asked for."""
        extension = self._session.duologue
        return frozenset() if extension is None else frozenset(extension.events)

    @property
    def lead_ms(self) -> int | Literal["off"] | None:
        """How far ahead of real time speech may leave; ``off``: unpaced, ``None``: the server's default."""
        extension = self._session.duologue
        return None if extension is None else extension.lead_ms

    @property
    def strictness(self) -> Strictness | None:
        """How sure the model must be that words are meant for it; ``None``: as the server has it."""
        extension = self._session.duologue
        return None if extension is None else extension.strictness

    @property
    def history(self) -> bool | None:
        """Whether a model that was trained on single turns shall know of earlier ones; ``None``: as the server has
        it."""
        extension = self._session.duologue
        return None if extension is None else extension.history

    @property
    def speculate(self) -> bool | None:
        """Whether a reply is begun at the first pause of a turn, before it is certain that the turn is over; ``None``:
        as the server has it."""
        extension = self._session.duologue
        return None if extension is None else extension.speculate

    def to_wire(self) -> dict[str, Any]:
        """The whole effective session in OpenAI's shape, without ``id`` and ``object``."""
        session = self._session
        heard, said = session.audio.input, session.audio.output
        wire: dict[str, Any] = {
            "type": "realtime",
            "model": self.model,
            "output_modalities": list(session.output_modalities),
            "instructions": session.instructions,
            "tools": [each.model_dump() for each in session.tools],
            "tool_choice": choice_on_the_wire(session.tool_choice),
            "max_output_tokens": session.max_output_tokens,
            "truncation": _as_given(session.truncation),
            "audio": {
                "input": {
                    "format": heard.format.model_dump(),
                    "transcription": _as_given(heard.transcription),
                    "noise_reduction": _as_given(heard.noise_reduction),
                    "turn_detection": heard.turn_detection and heard.turn_detection.model_dump(),
                },
                "output": {"format": said.format.model_dump(), "voice": self.voice, "speed": said.speed},
            },
        }
        for key in ("parallel_tool_calls", "tracing", "prompt", "reasoning", "include", "duologue"):
            value = getattr(session, key)
            if value is not None:
                wire[key] = _as_given(value)
        return wire


def choice_in_words(choice: ToolChoice) -> str:
    """A tool choice as the backends' contract writes it."""
    return choice if isinstance(choice, str) else f"function:{choice.name}"


def _as_given(value: Any) -> Any:
    """An object with exactly the keys the client gave; anything else as it is."""
    return value.model_dump(mode="json", exclude_unset=True) if isinstance(value, Wire) else value


def _merge(current: Mapping[str, Any], change: Mapping[str, Any], merged: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(current)
    for key, value in change.items():
        if key in merged and isinstance(value, dict):
            before = current.get(key)
            result[key] = _merge(before if isinstance(before, dict) else {}, value, merged[key])
        else:
            result[key] = value
    return result
