"""``duologue talk --terminal``: this machine's sound, a line, and the display, put together."""

from __future__ import annotations

from typing import TextIO

from duologue.ears.echo import EchoCanceller, NoCanceller
from duologue.terminal.device import AudioDevice
from duologue.terminal.display import Display
from duologue.terminal.talk import Line, Talk


async def converse(line: Line, device: AudioDevice, out: TextIO) -> None:
    """Talks until it is cancelled.

    Raises :class:`~duologue.terminal.device.DeviceError` where there is no sound (any more), and what ``line`` raises
    when its other end goes away.
    """
    display = Display(out)
    canceller = None
    try:
        canceller = EchoCanceller()
    except NoCanceller as error:
        display.note(f"{error}. Until then wear headphones, or a loudspeaker will interrupt itself.")
    display.note(f"{device.name}: just talk, and interrupt as you like. Ctrl+C ends.")
    try:
        await Talk(line, device, canceller=canceller, told=display.follow).run()
    finally:
        display.close()
        if device.glitches:
            display.note(f"Sound was lost {device.glitches} times: this machine was too slow for it.")
