"""PersonaPlex (arXiv 2602.06053): Moshi that is told, before the dialogue, how to sound and who to be.

The network is Moshi's, but its depth transformer predicts the person's codes as well. A prompt is a stretch
of dialogue in which everything is given: a sample of the voice, half a second of silence, a text said
silently one token a frame, half a second of silence; the person meanwhile sends a sine. As nothing is left to
choose, a prompt costs its temporal steps only, and many can be taken at once.

Published voices (``voices/*.pt``) are the first part ready-made: the input embeddings of its columns, and the
token columns at its end.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from duologue.checkpoints.files import CheckpointError
from duologue.codecs.mimi import Mimi
from duologue.models.moshi import SILENCE, Dialogue, DialogueState, Moshi, MoshiState, fitted
from duologue.models.moshi_config import PAD, MoshiConfig
from duologue.nn.rows import Rows

SINE = (430, 1268, 381, 1611, 1095, 1495, 56, 472)
"""The sine that stands for the person during a prompt, as the published Mimi codes it."""
PAUSE = 6
"""Frames of silence after the voice and after the text: half a second."""
NOBODY_IN_PARTICULAR = "You enjoy having a good conversation."
"""Who it is if it is told nothing: one of the prompts that it was trained on."""
PIECE = 16
"""Steps of a prompt that are taken at once while other sessions talk."""


def personaplex(config: MoshiConfig) -> MoshiConfig:
    """How the published runtime differs on the same network.

    What is heard enters a step later than with Moshi. And the runtime's ring, of an older version of Moshi's,
    hides the slot that it will write next: a full window is one step shorter than ``context``.
    """
    return replace(config, lag=1, context=config.context - 1)


def wrapped(text: str) -> str:
    """A system prompt as the model was trained on it: between two ``<system>`` tags."""
    text = text.strip()
    return text if text.startswith("<system>") and text.endswith("<system>") else f"<system> {text} <system>"


@dataclass(frozen=True, slots=True)
class Voice:
    """A packed voice: a prompt's first part, ready to be replayed."""

    embeddings: Tensor
    """[steps, dim]: the summed input embeddings of its columns."""
    columns: Tensor
    """int64 [1 + n_q, slots]: the ring of token columns after it."""

    @classmethod
    def unpack(cls, data: bytes, source: str) -> Voice:
        """From the bytes of a ``.pt`` file, read as data only (``weights_only``)."""
        try:
            packed = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            return cls(packed["embeddings"].flatten(0, 2), packed["cache"][0])
        except Exception as error:
            raise CheckpointError(f"{source} is not a voice of PersonaPlex: {error}") from error


def load_voices(directory: Path) -> dict[str, Voice]:
    """The voices of a published directory, by name (``NATF0`` …), from ``voices/`` or ``voices.tgz``."""
    voices = {}
    for path in sorted((directory / "voices").glob("*.pt")):
        voices[path.stem] = Voice.unpack(path.read_bytes(), str(path))
    archive = directory / "voices.tgz"
    if not voices and archive.is_file():
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name)
                wanted = name.suffix == ".pt" and not name.name.startswith(".")
                if wanted and (file := tar.extractfile(member)):
                    voices[name.stem] = Voice.unpack(file.read(), f"{archive}:{member.name}")
    return voices


def voice_codes(mimi: Mimi, wave: Tensor, codebooks: int) -> Tensor:
    """Codes int64 [frames, codebooks] of a voice sample [T] at the codec's rate, about -24 LUFS loud."""
    whole = torch.nn.functional.pad(wave, (0, -wave.shape[-1] % mimi.config.frame))
    codes = mimi.encode_stream(whole[None, None], mimi.encoder_state(1), Rows.of([0], wave.device), codebooks)
    return codes[0].T


@dataclass(frozen=True, slots=True)
class Persona:
    """Makes prompts: frames int64 [P, 1 + 2 · codebooks] of text, the agent's codes and the person's."""

    silence: Sequence[int] = SILENCE
    sine: Sequence[int] = SINE
    pause: int = PAUSE

    def _frames(self, text: Tensor, said: Tensor) -> Tensor:
        sine = torch.tensor(self.sine).expand(len(text), -1)
        return torch.cat([text[:, None], said, sine], dim=1)

    def voice(self, codes: Tensor) -> Tensor:
        """The first part, from codes [frames, codebooks].

        Its first frame is left out: the published runtime's first call only lays down the initial column.
        """
        return self._frames(torch.full((len(codes),), PAD), codes.cpu())[1:]

    def text(self, tokens: Sequence[int]) -> Tensor:
        """The second part, from the ids of a :func:`wrapped` text: silence, text, silence."""
        line = torch.tensor([*[PAD] * self.pause, *tokens, *[PAD] * self.pause])
        return self._frames(line, torch.tensor(self.silence).expand(len(line), -1))


def prime(dialogue: Dialogue, state: DialogueState, row: Rows, frames: Tensor) -> Tensor:
    """Take the next frames [P, streams] of a prompt in one row; any chunking gives the same.

    Returns the columns read, int64 [P, streams].
    """
    lm, columns = dialogue.lm, dialogue.lm.config.columns
    frames = frames.to(state.columns.tokens.device)
    spoken = 1 + columns.spoken
    read = []
    for frame in frames[:, None]:
        columns.hear(state.columns, row, frame[:, spoken:])
        columns.give(state.columns, row, frame[:, 0], frame[:, 1:spoken])
        read.append(columns.read(state.columns, row))
        columns.advance(state.columns, row, columns.coming(state.columns, row)[0])
    prompt = torch.cat(read)
    lm.temporal.stream(lm.embed(prompt.T[None]), state.cache, row)
    return prompt


def replay(dialogue: Dialogue, state: DialogueState, row: Rows, voice: Voice) -> None:
    """Begin a row's dialogue with a packed voice, instead of priming it with the voice's frames."""
    for _ in replaying(dialogue, state, row, voice, len(voice.embeddings)):
        pass


def replaying(
    dialogue: Dialogue, state: DialogueState, row: Rows, voice: Voice, piece: int
) -> Iterator[None]:
    """:func:`replay` in pieces of so many steps."""
    lm, columns = dialogue.lm, state.columns
    steps, weight = len(voice.embeddings), lm.text_embedding
    if voice.columns.shape != columns.tokens.shape[1:] or voice.embeddings.shape[1] != lm.config.dim:
        raise ValueError(
            f"a voice of {tuple(voice.columns.shape)} tokens and {voice.embeddings.shape[1]} channels "
            f"is not one of this model's ({tuple(columns.tokens.shape[1:])}, {lm.config.dim})"
        )
    for embeddings in torch.split(voice.embeddings, piece):
        lm.temporal.stream(embeddings.to(weight.device, weight.dtype)[None], state.cache, row)
        yield
    row.put(columns.tokens, voice.columns.to(weight.device)[None])
    row.put(columns.offset, row.take(columns.offset) + steps)
    # Its last frames' delayed codes stand in the columns to come.
    for stream, delay in enumerate(lm.config.delays):
        ahead = (steps + torch.arange(1, delay + 1)) % columns.tokens.shape[2]
        columns.given[row.host[0], stream, ahead] = True


class PersonaPlex(Moshi):
    """Moshi with a persona: a :class:`~duologue.models.contract.Prompted` frame model."""

    def __init__(
        self,
        mimi: Mimi,
        dialogue: Dialogue,
        pieces: Callable[[int], str],
        encode: Callable[[str], Sequence[int]],
        packed: dict[str, Voice],
    ) -> None:
        """``encode``: a text's SentencePiece ids; ``packed``: the published voices by name."""
        super().__init__(mimi, dialogue, pieces)
        config = dialogue.lm.config
        self._encode = encode
        self._packed = packed
        self._persona = Persona(
            fitted(SILENCE, config.spoken, config.card), fitted(SINE, config.heard, config.card)
        )

    @property
    def voices(self) -> tuple[str, ...]:
        return tuple(self._packed)

    def state(self, rows: int, chunk: int = PIECE, *, whole: bool | None = None) -> MoshiState:
        return super().state(rows, chunk, whole=whole)

    def prime(self, state: MoshiState, row: Rows, voice: str, instructions: str) -> Iterator[None]:
        """As the contract says: a packed voice, then the text that says who to be."""
        name = voice or next(iter(self._packed), "")
        if name:
            if name not in self._packed:
                raise ValueError(f"there is no voice {name!r}; there are: {', '.join(self._packed) or 'none'}")
            yield from replaying(self.dialogue, state.dialogue, row, self._packed[name], PIECE)
        frames = self._persona.text(self._encode(wrapped(instructions.strip() or NOBODY_IN_PARTICULAR)))
        for piece in torch.split(frames, PIECE):
            prime(self.dialogue, state.dialogue, row, piece)
            yield
