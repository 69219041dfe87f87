"""Checks of the golden cases of Moshi's wire format.

Opus is not the same bit by bit on every machine, nor are the waves it is given. So the bytes of messages are
claimed, not compared: the same messages with the same pages in them (kinds, flags, granules, packets), the
same text, and audio that decodes to what the case says.

What our own wave sounds like after Opus cannot be compared either: an encoder's choices tip over, and noise
of 1e-6 on the wave of ``ws_session`` moves the decoded samples by half their range (the model's weights are
random, its voice is noise). There the claim is that the reference's audio codes *our* wave, as faithfully
as our own does.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from duologue.audio import Wave
from duologue.measure.golden import Case, CaseError, Check, Claim
from duologue.measure.golden_moshi import server_frames, system
from duologue.protocol.moshi import HANDSHAKE, Kind, Wire


@dataclass(frozen=True)
class Page:
    """What an Ogg page says about itself (RFC 3533, section 6)."""

    flags: int
    granule: int
    serial: int
    sequence: int
    packets: int
    header: bytes
    """The payload of the stream's two first pages, which say what it is."""


def pages(stream: bytes) -> list[Page]:
    """All pages of a stretch of Ogg; :class:`CaseError` where it does not consist of whole pages."""
    found = []
    at = 0
    while at < len(stream):
        fields = struct.unpack_from("<4sBBqIIIB", stream, at)
        capture, _, flags, granule, serial, sequence, _, segments = fields
        if capture != b"OggS":
            raise CaseError(f"no Ogg page at byte {at}")
        start = at + 27 + segments
        # A packet of 255 bytes or more takes several segments: only its last says how it ends.
        sizes = stream[at + 27 : start]
        packets = sum(size < 255 for size in sizes)
        payload = stream[start : start + sum(sizes)]
        header = payload if payload.startswith((b"OpusHead", b"OpusTags")) else b""
        found.append(Page(flags, granule, serial, sequence, packets, header))
        at = start + sum(sizes)
    return found


def split(data: Tensor, lengths: Tensor) -> list[bytes]:
    """Messages from their concatenated bytes; those of no length are none."""
    whole = bytes(data.to(torch.uint8).numpy())
    messages, at = [], 0
    for length in lengths.tolist():
        messages.append(whole[at : at + length])
        at += length
    return messages


def structure(messages: list[bytes]) -> list[tuple[int, object]]:
    """What two servers' messages must share: kinds, text, and the pages of the audio."""
    return [(m[0], pages(m[1:]) if m[0] == Kind.AUDIO else m[1:]) for m in messages if m]


def decoded(messages: list[bytes]) -> Wave:
    """The audio of one direction's messages."""
    wire = Wire()
    return np.concatenate([wave for message in messages if (wave := wire.receive(message)) is not None])


def claim(ours: list[bytes], theirs: list[bytes], audio: Wave) -> dict[str, Claim]:
    """Whether messages agree in structure and theirs hold ``audio``; the note counts those of equal bytes."""
    same = sum(a == b for a, b in zip(ours, theirs, strict=False))
    if structure(ours) != structure(theirs):
        verdict = Claim(False, "other messages, pages or text")
    elif not np.allclose(decoded(theirs), audio, atol=1e-2):
        verdict = Claim(False, "their audio decodes to something else than the case says")
    else:
        verdict = Claim(True, f"same pages and text, {same} of {len(theirs)} messages bit by bit")
    return {"bytes": verdict, "lengths": verdict}


def faithfulness(wave: Wave, coded: Wave) -> tuple[int, float]:
    """How ``coded`` renders ``wave``: the codec's delay in samples, the error in dB relative to the wave."""
    delays = np.correlate(coded, wave, "full")[len(wave) - 1 :]
    delay = int(delays[: len(wave) // 2].argmax())
    error = coded[delay:] - wave[: len(coded) - delay]
    return delay, float(10 * np.log10(np.square(error).mean() / np.square(wave).mean()))


def same_sound(case: Case, wave: Wave, ours: Wave, theirs: Wave) -> Tensor | Claim:
    """The decoded audio where it agrees with the reference's, else the claim that both code ``wave``."""
    tolerance = case.about["tolerance"]
    if ours.shape != theirs.shape or np.allclose(ours, theirs, tolerance["rtol"], tolerance["atol"]):
        return torch.from_numpy(ours)
    (our_delay, our_error), (their_delay, their_error) = faithfulness(wave, ours), faithfulness(wave, theirs)
    holds = our_delay == their_delay and abs(our_error - their_error) < 0.5
    note = f"codes our wave at {their_error:.2f} dB, delay {their_delay}; ours {our_error:.2f}, {our_delay}"
    return Claim(holds, note)


def opus_framing(case: Case) -> dict[str, Tensor | Claim]:
    wire, theirs = Wire(), split(case.given("message_bytes"), case.given("message_lengths"))
    heard = [wire.receive(message) for message in theirs]
    waves = [np.zeros(0, np.float32) if wave is None else wave for wave in heard]
    pieces = torch.split(case.given("pcm"), case.given("chunk_lengths").tolist())
    audio = case.given("decoded").numpy()
    claims = claim([wire.audio(piece.numpy()) or b"" for piece in pieces], theirs, audio)
    return {
        "decoded": torch.from_numpy(np.concatenate(waves)),
        "decoded_lengths": torch.tensor([len(wave) for wave in waves]),
        "message_bytes": claims["bytes"],
        "message_lengths": claims["lengths"],
    }


def session(case: Case) -> dict[str, Tensor | Claim]:
    moshi = system(case)
    pcm = case.given("decoded_user_pcm").flatten()
    frames = server_frames(moshi, pcm)

    wire, collected, heard = Wire(), 0, []
    sent, after, spoken = [HANDSHAKE], [-1], []
    for index, message in enumerate(split(case.given("client_bytes"), case.given("client_lengths"))):
        wave = wire.receive(message)
        if wave is None:
            continue
        heard.append(wave)
        collected += len(wave)
        while collected >= moshi.frame:
            collected -= moshi.frame
            said = frames.pop(0)["said"]
            if not said.ready[0]:
                continue
            spoken.append(said.wave[0].numpy())
            text = [stub_piece(token).replace("▁", " ") for token in said.text if token is not None]
            for reply in (wire.audio(spoken[-1]), *map(Wire.text, text)):
                if reply is not None:
                    sent.append(reply)
                    after.append(index)

    theirs = split(case.given("server_bytes"), case.given("server_lengths"))
    agent = case.given("decoded_agent_pcm").numpy()
    whole = np.concatenate(heard)[: pcm.numel()]
    claims = claim(sent, theirs, agent)
    return {
        "server_bytes": claims["bytes"],
        "server_lengths": claims["lengths"],
        "server_after": torch.tensor(after),
        "server_kinds": torch.tensor([message[0] for message in sent]),
        "decoded_user_pcm": torch.from_numpy(whole)[None, None],
        "decoded_agent_pcm": same_sound(case, np.concatenate(spoken), decoded(sent), agent),
    }


def stub_piece(token: int) -> str:
    """The tokenizer that the case was made with."""
    return f"▁w{token}" if token % 2 == 0 else f"x{token}"


CHECKS: dict[str, Check] = {
    "ws_opus_framing": opus_framing,
    "WebSocket audio messages (kind 1 + Ogg/Opus pages)": opus_framing,
    "ws_session": session,
    "a whole WebSocket conversation with the reference server": session,
}
"""By the case's name and by its component."""
