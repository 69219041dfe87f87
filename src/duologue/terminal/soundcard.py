"""The machine's own microphone and loudspeaker, by PortAudio (the package ``sounddevice``)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from duologue.audio import RATE
from duologue.terminal.device import BLOCK, DeviceError, Exchange

LATENCY = 0.04
"""Seconds of sound that PortAudio is asked to keep ready each way: the session works in the same process, and now and
then keeps the audio thread waiting for a few milliseconds."""

_NO_PACKAGE = 'sounddevice is not installed: pip install "duologue[terminal]"'
_NO_LIBRARY = (
    "PortAudio is not installed (Debian and Ubuntu: sudo apt-get install libportaudio2; Fedora: sudo dnf install "
    "portaudio; on macOS and Windows it comes with sounddevice)"
)
_OTHERWISE = "Without a sound card here, run duologue serve and open its page on a machine that has one."


class SoundCard:
    """See :class:`~duologue.terminal.device.AudioDevice`. The system's default devices, as one full-duplex stream."""

    def __init__(self) -> None:
        """Raises :class:`DeviceError` where PortAudio, a microphone or a loudspeaker is missing."""
        try:
            import sounddevice
        except ModuleNotFoundError as error:
            raise DeviceError(_NO_PACKAGE) from error
        except OSError as error:  # what sounddevice raises without its library
            raise DeviceError(f"{_NO_LIBRARY}. {_OTHERWISE}") from error
        self._sounddevice = sounddevice
        self.name = f"{self._default('input')} → {self._default('output')}"
        self.latency = 0.0
        self.glitches = 0
        self._stream: Any = None
        self._exchange: Exchange | None = None

    def start(self, exchange: Exchange) -> None:
        """Opens the stream, mono at 24 kHz."""
        self._exchange = exchange
        try:
            self._stream = self._sounddevice.Stream(
                samplerate=RATE, blocksize=BLOCK, channels=1, dtype="float32", latency=LATENCY, callback=self._block
            )
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            raise DeviceError(f"{self.name} cannot be opened ({error}); is another program using it?") from error
        self.latency = self._stream.latency[1]

    def stop(self) -> None:
        """Closes the stream."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _default(self, kind: str) -> str:
        try:
            return str(self._sounddevice.query_devices(kind=kind)["name"])
        except (self._sounddevice.PortAudioError, ValueError) as error:
            what = "microphone" if kind == "input" else "loudspeaker"
            raise DeviceError(
                f"there is no {what} here that PortAudio knows ({error}): plug one in, or choose one as the "
                f"system's default. {_OTHERWISE}"
            ) from error

    def _block(self, heard: NDArray[np.float32], said: NDArray[np.float32], count: int, time: Any, status: Any) -> None:
        """PortAudio's thread: ``heard`` [count, 1] came in, ``said`` [count, 1] is to be filled."""
        assert self._exchange is not None
        self.glitches += bool(status.input_overflow or status.output_underflow)
        said[:, 0] = self._exchange(heard[:, 0].copy())
