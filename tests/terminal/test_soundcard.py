"""The sound card, with PortAudio played by a stand-in: there is none where tests run."""

from __future__ import annotations

import builtins
import sys
import types
from typing import Any

import numpy as np
import pytest

from duologue.audio import RATE
from duologue.terminal.device import BLOCK, DeviceError
from duologue.terminal.soundcard import SoundCard


class PortAudioError(Exception):
    pass


class Stream:
    """What ``sounddevice.Stream`` is as far as it is used."""

    latency = (0.02, 0.03)
    broken = False

    def __init__(self, **options: Any) -> None:
        if self.broken:
            raise PortAudioError("Device unavailable [PaErrorCode -9985]")
        self.options = options
        self.closed = False
        opened.append(self)

    def start(self) -> None:
        self.started = True

    def close(self) -> None:
        self.closed = True


opened: list[Stream] = []


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("sounddevice")
    devices = {"input": {"name": "Mic"}, "output": {"name": "Speakers"}}
    module.PortAudioError = PortAudioError  # type: ignore[attr-defined]
    module.Stream = type("Stream", (Stream,), {})  # type: ignore[attr-defined]
    module.query_devices = lambda kind: devices[kind]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    opened.clear()
    return module


def test_blocks_go_both_ways(portaudio: types.ModuleType) -> None:
    card = SoundCard()
    assert card.name == "Mic → Speakers"
    heard: list[Any] = []

    def exchange(wave: Any) -> Any:
        heard.append(wave)
        return np.full(BLOCK, 0.5, np.float32)

    card.start(exchange)
    (stream,) = opened
    assert (stream.options["samplerate"], stream.options["blocksize"], stream.options["channels"]) == (RATE, BLOCK, 1)
    assert card.latency == 0.03
    microphone, loudspeaker = np.full((BLOCK, 1), 0.25, np.float32), np.zeros((BLOCK, 1), np.float32)
    fine = types.SimpleNamespace(input_overflow=False, output_underflow=False)
    late = types.SimpleNamespace(input_overflow=False, output_underflow=True)
    for status in (fine, late):
        stream.options["callback"](microphone, loudspeaker, BLOCK, None, status)
    microphone[:] = 0  # PortAudio's buffer is used again
    np.testing.assert_array_equal(heard[0], np.full(BLOCK, 0.25))
    np.testing.assert_array_equal(loudspeaker, np.full((BLOCK, 1), 0.5))
    assert card.glitches == 1
    card.stop()
    card.stop()
    assert stream.closed


def test_a_device_that_is_taken(portaudio: types.ModuleType) -> None:
    portaudio.Stream.broken = True
    with pytest.raises(DeviceError, match=r"Mic → Speakers cannot be opened .*another program"):
        SoundCard().start(lambda wave: wave)


@pytest.mark.parametrize(("kind", "what"), [("input", "microphone"), ("output", "loudspeaker")])
def test_a_missing_device(portaudio: types.ModuleType, kind: str, what: str) -> None:
    def query(*, kind: str, missing: str = kind) -> dict[str, str]:
        if kind == missing:
            raise PortAudioError("Error querying device -1")
        return {"name": "there"}

    portaudio.query_devices = query  # type: ignore[attr-defined]
    with pytest.raises(DeviceError, match=rf"no {what} here.*plug one in.*duologue serve"):
        SoundCard()


def test_a_missing_library_and_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    really = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return really(name, *arguments, **more)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with monkeypatch.context() as context:
        context.setattr(builtins, "__import__", without)
        with pytest.raises(DeviceError, match="apt-get install libportaudio2"):
            SoundCard()
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(DeviceError, match=r'pip install "duologue\[terminal\]"'):
        SoundCard()
