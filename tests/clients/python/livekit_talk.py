"""LiveKit's agent session on its OpenAI Realtime model, without a room: pipes for microphone and loudspeaker."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import Any

from lines import RATE, SKY, microphone, tell
from livekit import rtc
from livekit.agents import Agent, AgentSession, function_tool, io
from livekit.agents.voice.io import AudioOutputCapabilities
from livekit.plugins import openai


class PipeIn(io.AudioInput):
    """A microphone."""

    def __init__(self) -> None:
        super().__init__(label="pipe")
        self._pcm = microphone()
        self.ended = asyncio.Event()

    async def __anext__(self) -> rtc.AudioFrame:
        try:
            pcm = await anext(self._pcm)
        except StopAsyncIteration:
            self.ended.set()
            raise
        return rtc.AudioFrame(data=pcm, sample_rate=RATE, num_channels=1, samples_per_channel=len(pcm) // 2)


class PipeOut(io.AudioOutput):
    """A loudspeaker that plays what it is given from its first frame on, and says how far it came."""

    def __init__(self) -> None:
        super().__init__(label="pipe", capabilities=AudioOutputCapabilities(pause=False), sample_rate=RATE)
        self._began = 0.0
        self._given = 0.0
        self._cleared = asyncio.Event()
        self._playing: asyncio.Task[None] | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if self._playing is not None:
            await self._playing
        if not self._given:
            self._began = time.monotonic()
            self.on_playback_started(created_at=time.time())
        self._given += frame.duration
        tell(played=frame.samples_per_channel)

    def flush(self) -> None:
        super().flush()
        if self._given and self._playing is None:
            self._playing = asyncio.create_task(self._play())

    def clear_buffer(self) -> None:
        tell(flushed=True)
        if self._given:
            self._cleared.set()

    async def _play(self) -> None:
        try:
            async with asyncio.timeout(self._began + self._given - time.monotonic()):
                await self._cleared.wait()
        except TimeoutError:
            played = self._given
        else:
            played = min(self._given, time.monotonic() - self._began)
        interrupted = self._cleared.is_set()
        self._given, self._playing = 0.0, None
        self._cleared.clear()
        self.on_playback_finished(playback_position=played, interrupted=interrupted)


@function_tool
async def get_weather(city: str) -> dict[str, str]:
    """The current weather in a city.

    Args:
        city: The city's name.
    """
    tell(called={"name": "get_weather", "arguments": {"city": city}})
    return SKY


async def main(url: str) -> None:
    model = openai.realtime.RealtimeModel(base_url=url + "/v1", api_key="any key")
    # As it comes, but for resuming after a false interruption: that needs a loudspeaker that can pause.
    session: AgentSession[None] = AgentSession(
        llm=model, turn_handling={"interruption": {"resume_false_interruption": False}}
    )
    session.input.audio = pipe = PipeIn()
    session.output.audio = PipeOut()

    @session.on("user_input_transcribed")
    def heard(event: Any) -> None:
        if event.is_final:
            tell(heard=event.transcript)

    @session.on("conversation_item_added")
    def said(event: Any) -> None:
        if event.item.type == "message" and event.item.role == "assistant":
            tell(said=event.item.text_content)

    @session.on("error")
    def trouble(event: Any) -> None:
        tell(trouble=str(event.error))

    await session.start(Agent(instructions="You are friendly.", tools=[get_weather]))
    tell(ready=True)
    await pipe.ended.wait()
    await session.aclose()
    await model.aclose()


class Troubles(logging.Handler):
    """What the client complains about."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(trouble=self.format(record))


if __name__ == "__main__":
    logging.getLogger("livekit").addHandler(Troubles(logging.WARNING))
    asyncio.run(main(sys.argv[1]))
