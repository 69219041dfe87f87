"""Qwen2-Audio's turns: a :class:`~duologue.models.contract.TurnModel` that writes.

A dialogue is one growing prompt: an earlier turn's positions stay what they were, so only what is new is read. Turns of
more than 30 s are several sounds of one turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from duologue.encoders.mel import RATE
from duologue.models.chatml import laid_out
from duologue.models.drawing import draw
from duologue.models.qwen2_audio import Qwen2AudioNet, frames, positions
from duologue.models.reading import CHUNK, woven
from duologue.models.text import Vocabulary, Writing
from duologue.models.turns import Facts, Ids, Line, Manner, Piece, Sound, Uttered
from duologue.nn.cache import Cache
from duologue.nn.rows import Rows
from duologue.nn.sampling import Sampling

PUBLISHED = Sampling(0.7, 20, 0.5, 1.1)
"""How it draws where its generation_config.json says nothing."""

PACE = 4.0
"""Text tokens a second of speech: three words, of one and a third tokens."""

SHORTEST = 320
"""Samples (20 ms) of a sound below which nothing is heard of it."""

CONTROL = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|audio_bos|>", "<|audio_eos|>")


@dataclass(slots=True)
class Answering:
    """One row's answer."""

    manner: Manner
    writing: Writing
    count: int = 0
    """Tokens drawn."""
    last: tuple[int, int] | None = None
    """The token drawn last, which enters the context with the next step, and the characters said with it."""


@dataclass(slots=True)
class Qwen2AudioState:
    """All rows."""

    cache: Cache
    coming: Tensor
    """[rows, dim]: what each row reads next."""
    seen: Tensor
    """bool [rows, vocabulary]: tokens that stand in each row's context."""
    answers: dict[int, Answering] = field(default_factory=dict)

    def reset(self, rows: Rows) -> None:
        self.cache.reset(rows)
        rows.fill(self.seen, 0)
        for row in rows.host:
            self.answers.pop(row, None)


class Qwen2Audio:
    """See :class:`duologue.models.contract.TurnModel`."""

    def __init__(self, net: Qwen2AudioNet, vocabulary: Vocabulary, sampling: Sampling = PUBLISHED) -> None:
        self.net = net
        self.vocabulary = vocabulary
        self.sampling = sampling
        self._control = vocabulary.control(*CONTROL)
        self._ends = {self._control["<|im_end|>"], self._control["<|endoftext|>"]}
        config = net.config
        self.facts = Facts(
            hears=RATE,
            says=None,
            context=config.context,
            window=config.tower.steps / 50,
            sounds_per_turn=None,
            history="trained",
            pictures=False,
            writes=True,
            mixes=True,
            instructions=True,
            pace=PACE,
        )

    def state(self, rows: int, context: int | None = None) -> Qwen2AudioState:
        config, like = self.net.config, self.net.embedding
        length = min(context or config.context, config.context)
        return Qwen2AudioState(
            self.net.decoder.cache(rows, length=length, chunk=min(CHUNK, length)),
            torch.zeros(rows, config.dim, device=like.device, dtype=like.dtype),
            torch.zeros(rows, config.vocabulary, device=like.device, dtype=torch.bool),
        )

    # -- prompts ----------------------------------------------------------------------------------------------

    def layout(self, lines: Sequence[Line], manner: Manner) -> list[Piece]:
        """As the contract says. Raises ``ValueError`` for a picture, and for a sound too short to be heard."""
        for line in lines:
            for part in line.parts:
                if isinstance(part, Sound) and (short := len(part.wave)) < SHORTEST:
                    raise ValueError(f"a sound of {short} samples is too short to be heard; {SHORTEST} are needed")
        return laid_out(lines, self.vocabulary.encode, self._control)

    def size(self, piece: Piece) -> int:
        if isinstance(piece, Ids):
            return len(piece.columns)
        assert isinstance(piece, Sound)
        return int(positions(torch.tensor(frames(len(piece.wave), self.net.config.tower.steps))))

    def embed(self, pieces: Sequence[Piece]) -> list[Tensor]:
        return woven(pieces, self._read, self._hear)

    def _read(self, ids: Ids) -> Tensor:
        return self.net.embed(torch.tensor(ids.columns, dtype=torch.int64, device=self.net.embedding.device))

    def _hear(self, sounds: Sequence[Sound]) -> list[Tensor]:
        return self.net.hear([torch.from_numpy(sound.wave) for sound in sounds])

    # -- reading ----------------------------------------------------------------------------------------------

    def rewind(self, state: Qwen2AudioState, row: Rows, position: int) -> None:
        state.cache.position[list(row.host)] = position

    def prefill(self, state: Qwen2AudioState, rows: Rows, x: Tensor) -> None:
        self.net.decoder.stream(x.to(state.coming.dtype), state.cache, rows)

    def begin(
        self,
        state: Qwen2AudioState,
        rows: Rows,
        x: Tensor,
        prompts: Sequence[Sequence[Piece]],
        manners: Sequence[Manner],
    ) -> None:
        rows.put(state.coming, x[:, 0].to(state.coming.dtype))
        rows.fill(state.seen, 0)
        for row, prompt, manner in zip(rows.host, prompts, manners, strict=True):
            state.answers[row] = Answering(manner, Writing(self.vocabulary))
            columns = (column for piece in prompt if isinstance(piece, Ids) for column in piece.columns)
            state.seen[row, torch.tensor([c for c in columns if isinstance(c, int)], device=x.device)] = True

    # -- writing ----------------------------------------------------------------------------------------------

    def step(self, state: Qwen2AudioState, rows: Rows) -> list[Uttered]:
        at = state.cache.position[list(rows.host)]
        hidden = self.net.think(rows.take(state.coming)[:, None], state.cache, rows)
        logits = self.net.logits(hidden)[:, 0].float()
        logits[:, self.net.config.placeholder] = float("-inf")  # it would be taken for sound that nobody made
        answers = [state.answers[row] for row in rows.host]
        tokens = draw(self.sampling, [answer.manner for answer in answers], logits, at, rows.take(state.seen))
        rows.put(state.coming, self.net.embed(tokens).to(state.coming.dtype))
        state.seen[rows.index, tokens] = True
        return [self._said(state, answer, token, int(position))
                for answer, token, position in zip(answers, tokens.tolist(), at, strict=True)]  # fmt: skip

    def _said(self, state: Qwen2AudioState, answer: Answering, token: int, position: int) -> Uttered:
        entered = () if answer.last is None else (answer.last,)
        answer.count += 1
        if token in self._ends:
            return Uttered(answer.writing.finish(), tokens=entered, end="completed")
        text = answer.writing.write(token)
        answer.last = (token, answer.writing.chars)
        full = answer.count == answer.manner.tokens or position + 2 >= state.cache.window
        if full:
            return Uttered(text + answer.writing.finish(), tokens=entered, end="length")
        return Uttered(text, tokens=entered)

    def age(self, state: Qwen2AudioState, rows: Rows, positions: int) -> None:
        state.cache.position[list(rows.host)] = positions
