"""The program that runs espeak-ng for :mod:`duologue.backends.pocket.mouth.espeak`; never imported by it.

espeak-ng is a C library with one global state, under the GPL. So it lives in a process of its own, which
knows nothing of duologue: it is started as ``python espeak_process.py LIBRARY DATA`` and answers lines.

    in    {"text": …, "voice": …, "rate": words a minute}\\n
    out   {"samples": n, "words": [[position in text, sample], …]}\\n and n samples, 16 bits, native order
    or    {"error": …}\\n

The first line out is {"rate": samples a second}. It ends when its input ends.
"""

from __future__ import annotations

import ctypes
import json
import sys

# From speak_lib.h of espeak-ng 1.52.
_SYNCHRONOUS = 2  # "asynchronous" retrieval (1) loses sound
_DO_NOT_EXIT = 0x8000
_UTF8 = 1
_RATE = 1
_WORD = 1
_END_OF_EVENTS = 0


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # characters, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Samples = ctypes.POINTER(ctypes.c_short)
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, _Samples, ctypes.c_int, ctypes.POINTER(_Event))


class _Synthesizer:
    def __init__(self, library: str, data: str) -> None:
        self._library = ctypes.CDLL(library)
        self.rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _DO_NOT_EXIT)
        if self.rate <= 0:
            raise OSError(f"espeak-ng does not start with its data in {data}")
        self._sound = bytearray()
        self._words: list[tuple[int, int]] = []
        self._callback = _Callback(self._take)  # kept: the library holds a bare pointer to it
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, voice: str, rate: int) -> tuple[bytes, list[tuple[int, int]]]:
        """The sound and, for each word, (its position in the text, the sample at which it begins)."""
        self._sound.clear()
        self._words = []
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice!r}")
        self._library.espeak_SetParameter(_RATE, rate, 0)
        data = text.encode() + b"\0"
        status = self._library.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None)
        if status != 0:
            raise OSError(f"espeak-ng refuses the text (status {status})")
        return bytes(self._sound), self._words

    def _take(self, wave: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if wave and count > 0:
            self._sound += ctypes.string_at(wave, 2 * count)
        at = 0
        while events[at].type != _END_OF_EVENTS:
            if events[at].type == _WORD:
                sample = events[at].audio_position * self.rate // 1000
                self._words.append((events[at].text_position - 1, sample))
            at += 1
        return 0


def main(library: str, data: str) -> None:
    """Answer until the input ends."""
    out = sys.stdout.buffer
    synthesizer = _Synthesizer(library, data)
    out.write(json.dumps({"rate": synthesizer.rate}).encode() + b"\n")
    out.flush()
    for request in sys.stdin.buffer:
        try:
            sound, words = synthesizer.say(**json.loads(request))
        except (OSError, ValueError) as error:
            out.write(json.dumps({"error": str(error)}).encode() + b"\n")
        else:
            out.write(json.dumps({"samples": len(sound) // 2, "words": words}).encode() + b"\n")
            out.write(sound)
        out.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
