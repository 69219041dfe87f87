"""How one response shall be: the session's settings, overridden by ``response.create``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from duologue.audio.formats import Format
from duologue.backends.contract import Ask, Tool
from duologue.protocol.events import ResponseOptions
from duologue.protocol.items import Item
from duologue.protocol.refusal import Refused
from duologue.protocol.settings import Settings, choice_in_words


@dataclass(frozen=True, slots=True)
class ResponseParams:
    """The effective parameters of one response."""

    instructions: str
    modalities: tuple[str, ...]
    """``("audio",)`` or ``("text",)``."""
    voice: str
    speed: float
    output_format: Format
    tools: tuple[Tool, ...]
    tool_choice: str
    """``auto``, ``none``, ``required`` or ``function:NAME``, and only what the tools allow."""
    max_output_tokens: int | None
    """``None``: as many as it takes."""
    metadata: Mapping[str, str] | None = None
    out_of_band: bool = False
    """Nothing of it enters the conversation, and it may run beside another response."""
    input: tuple[Item, ...] | None = None
    """What to answer instead of the conversation."""

    @property
    def speech(self) -> bool:
        return "audio" in self.modalities

    @classmethod
    def of(
        cls,
        settings: Settings,
        options: ResponseOptions | None = None,
        input: tuple[Item, ...] | None = None,
    ) -> ResponseParams:
        """The settings, overridden by a client's options; ``input`` are the options' items, resolved.

        Raises :class:`Refused` where the client asks outright for a tool that is not there. (Settings may
        name one for a while, because clients set tools and choice one after the other: then the choice is the
        model's.)
        """
        options = options or ResponseOptions()
        output = options.audio.output if options.audio else None
        tools = settings.tools if options.tools is None else tuple(each.tool for each in options.tools)
        choice = settings.tool_choice if options.tool_choice is None else choice_in_words(options.tool_choice)
        if not _possible(choice, tools):
            if options.tool_choice is not None:
                message = f"Tool choice '{choice.removeprefix('function:')}' has no counterpart in 'tools'."
                raise Refused("invalid_value", message, "response.tool_choice")
            choice = "auto"
        limit = settings.max_output_tokens
        if options.max_output_tokens is not None:
            limit = None if isinstance(options.max_output_tokens, str) else options.max_output_tokens
        return cls(
            instructions=settings.instructions if options.instructions is None else options.instructions,
            modalities=options.output_modalities or settings.modalities,
            voice=output.voice if output and output.voice else settings.voice,
            speed=settings.speed,
            output_format=output.format.type if output and output.format else settings.output_format,
            tools=tools,
            tool_choice=choice,
            max_output_tokens=limit,
            metadata=options.metadata,
            out_of_band=options.conversation == "none",
            input=input,
        )

    def ask(self) -> Ask:
        """The same as a backend reads it."""
        return Ask(
            instructions=self.instructions,
            speech=self.speech,
            voice=self.voice,
            speed=self.speed,
            tools=self.tools,
            tool_choice=self.tool_choice,
            max_tokens=self.max_output_tokens,
        )


def _possible(choice: str, tools: tuple[Tool, ...]) -> bool:
    if choice == "required":
        return bool(tools)
    name = choice.removeprefix("function:")
    return name == choice or any(tool.name == name for tool in tools)
