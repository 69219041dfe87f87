"""A device: a microphone and a loudspeaker on one clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from duologue.audio import RATE, Wave

BLOCK = RATE // 100
"""Samples that a device exchanges at a time: 10 ms."""

Exchange: TypeAlias = Callable[[Wave], Wave]
"""What was just heard [BLOCK] → what is to be played next [BLOCK], mono at 24 kHz.

What is played comes after what is heard by an amount that does not change while the device runs. It may be called from
a thread of the device's own and must return at once.
"""


class DeviceError(RuntimeError):
    """There is no sound to be had from this machine; the message says why, and what to do."""


class AudioDevice(Protocol):
    """Its clock is the count of the samples that it exchanges."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def latency(self) -> float:
        """Seconds from returning a block to its first sample being in the air; known once started."""

    @property
    def glitches(self) -> int:
        """How often sound was lost because this machine was too slow."""

    def start(self, exchange: Exchange) -> None:
        """Sound flows from now on. Raises :class:`DeviceError` where it cannot."""

    def stop(self) -> None:
        """No more sound; nothing is called afterwards."""
