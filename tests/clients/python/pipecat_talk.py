"""Pipecat's OpenAI Realtime service in the pipeline of its own examples, with pipes for a sound card."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from lines import RATE, SKY, microphone, tell
from loguru import logger
from pipecat.frames.frames import (
    CancelWorkerFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMRunFrame,
    OutputAudioRawFrame,
    StartFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner


class PipeIn(BaseInputTransport):
    """A microphone."""

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)
        self.create_task(self._listen())

    async def _listen(self) -> None:
        async for pcm in microphone():
            await self.push_audio_frame(InputAudioRawFrame(audio=pcm, sample_rate=RATE, num_channels=1))
        await self.broadcast_frame(CancelWorkerFrame)


class PipeOut(BaseOutputTransport):
    """A loudspeaker: takes audio as fast as it is played."""

    def __init__(self, params: TransportParams) -> None:
        super().__init__(params)
        self._free = 0.0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        samples = len(frame.audio) // 2
        tell(played=samples)
        self._free = max(self._free, time.monotonic()) + samples / frame.sample_rate
        await asyncio.sleep(self._free - time.monotonic())
        return True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, InterruptionFrame):
            tell(flushed=True)
        if isinstance(frame, ErrorFrame):
            tell(trouble=frame.error)
        await super().process_frame(frame, direction)


async def get_weather(params: FunctionCallParams, city: str) -> None:
    """The current weather in a city.

    Args:
        city: The city's name.
    """
    tell(called={"name": "get_weather", "arguments": {"city": city}})
    await params.result_callback(SKY)


async def main(url: str) -> None:
    settings = OpenAIRealtimeLLMService.Settings(
        system_instruction="You are friendly.",
        session_properties=events.SessionProperties(
            audio=events.AudioConfiguration(
                input=events.AudioInput(transcription=events.InputAudioTranscription()),
            )
        ),
    )
    service = OpenAIRealtimeLLMService(
        api_key="any key", base_url=url.replace("http", "ws", 1) + "/v1/realtime", settings=settings
    )
    context = LLMContext([{"role": "user", "content": "hello"}], tools=[get_weather])
    people, assistant = LLMContextAggregatorPair(context)
    params = TransportParams(audio_in_enabled=True, audio_out_enabled=True)
    worker = PipelineWorker(
        Pipeline([PipeIn(params), people, service, PipeOut(params), assistant]),
        params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE, enable_usage_metrics=True),
    )

    @people.event_handler("on_user_turn_message_added")
    async def heard(_: Any, message: Any) -> None:
        tell(heard=message.content)

    @assistant.event_handler("on_assistant_turn_stopped")
    async def said(_: Any, message: Any) -> None:
        tell(said=message.content)
        if not greeted.is_set():
            greeted.set()
            tell(ready=True)

    @worker.event_handler("on_pipeline_started")
    async def started(*_: Any) -> None:
        await worker.queue_frames([LLMRunFrame()])

    greeted = asyncio.Event()
    runner = WorkerRunner()
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    asyncio.run(main(sys.argv[1]))
