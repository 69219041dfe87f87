"""Moshi: speech in and speech out at once (arXiv 2410.00037, figure 1).

::

    person, 80 ms ─ Mimi ─→ 8 codes ─┐
                                     ▼
    column: text, 8 own codes, 8 heard codes ─→ sum of 17 embeddings [4096]
        ─→ temporal transformer (32 layers, sees 240 s) ─→ [4096] ─→ text token ("inner monologue")
        ─→ depth transformer (6 layers, 8 steps, each with its own weights) ─→ 8 codes of its own
                                     │
    agent, 80 ms ←─ Mimi ←───────────┘

Every 80 ms, for ever. No turns, no voice activity, no end of turn: taking turns, being interrupted and
saying "mm-hm" is what the model has learnt.

Sizes are those of moshiko and moshika; all are read from the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duologue.checkpoints.keys import Key, KeyTable
from duologue.codecs.mimi import Mimi, MimiState
from duologue.models.columns import ColumnState
from duologue.models.contract import SILENT, Frames, Said
from duologue.models.moshi_config import EPAD, PAD, MoshiConfig
from duologue.nn.cache import Cache
from duologue.nn.decoder import Decoder, RMSNorm
from duologue.nn.linear import Linear
from duologue.nn.rows import Rows
from duologue.nn.sampling import Sampling, draw_keys

SILENCE = (948, 243, 1178, 546, 1736, 1030, 1978, 2008)
"""Silence as the published Mimi codes it."""
ZERO = -1
"""An input token that contributes nothing."""


def fitted(codes: Sequence[int], count: int, card: int) -> list[int]:
    """Codes of the published codec for ``count`` codebooks of ``card`` entries, so that small random models,
    whose codes mean nothing, run too. The published sizes leave them as they are."""
    return [code % card for code in codes[:count]]


def embedded(tokens: Tensor, table: Tensor) -> Tensor:
    """Tokens [...] → [..., dim]; ``ZERO`` gives zeros."""
    return F.embedding(tokens.clamp(min=0), table) * (tokens != ZERO)[..., None]


def says(text: Tensor) -> Tensor:
    """Which text tokens are part of a word: bool like ``text``."""
    return (text != EPAD) & (text != PAD)


class MoshiLM(nn.Module):
    """Both transformers with their embeddings and heads. Tokens are int64."""

    def __init__(self, config: MoshiConfig) -> None:
        super().__init__()
        c = config
        self.config = c
        self.text_embedding = nn.Parameter(torch.empty(c.text_card + 1, c.dim))
        self.audio_embeddings = nn.Parameter(torch.empty(c.n_q, c.card + 1, c.dim))
        self.temporal = Decoder(c.temporal)
        self.out_norm = RMSNorm(c.dim, 1e-8)
        self.text_head = Linear(c.dim, c.text_card)

        self.depth_in = Linear(c.dim, c.depth_dim, c.dep_q)
        self.depth_text_embedding = nn.Parameter(torch.empty(c.text_card + 1, c.depth_dim))
        self.depth_embeddings = nn.Parameter(torch.empty(c.dep_q - 1, c.card + 1, c.depth_dim))
        self.depth = Decoder(c.depth)
        self.depth_heads = Linear(c.depth_dim, c.card, c.dep_q)

    def embed(self, columns: Tensor) -> Tensor:
        """Columns [N, 1 + n_q, T] → the sum of their embeddings [N, T, dim]; ``ZERO`` adds nothing."""
        text, audio = columns[:, 0], columns[:, 1:].transpose(1, 2)
        tables = torch.arange(self.config.n_q, device=columns.device) * (self.config.card + 1)
        heard = F.embedding(audio.clamp(min=0) + tables, self.audio_embeddings.flatten(0, 1))
        return (heard * (audio != ZERO)[..., None]).sum(2) + embedded(text, self.text_embedding)

    def think(self, x: Tensor, cache: Cache, rows: Rows) -> Tensor:
        """The next steps [N, T, dim] of these rows through the temporal transformer, normed."""
        hidden: Tensor = self.out_norm(self.temporal.stream(x, cache, rows))
        return hidden

    def text_logits(self, hidden: Tensor) -> Tensor:
        """[…, dim] → […, text_card]."""
        logits: Tensor = self.text_head(hidden)
        return logits

    def utter(
        self, hidden: Tensor, text: Tensor, steps: int, choose: Callable[[int, Tensor], Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The codes of one frame, codebook after codebook.

        ``hidden`` [N, dim] of the temporal transformer, the ``text`` token [N] said with the frame, how many
        ``steps`` to take, and how a token [N] is chosen from a step's logits [N, card].
        Returns the tokens and the logits of each step.
        """
        inputs = self.depth_in(hidden[:, None].expand(-1, steps, -1))
        scratch = self.depth.scratch(hidden.shape[0], steps)
        tokens: list[Tensor] = []
        logits: list[Tensor] = []
        said = embedded(text, self.depth_text_embedding)
        for step in range(steps):
            scratch.step = step
            x = self.depth((inputs[:, step] + said)[:, None], scratch, step)[:, 0]
            logits.append(self.depth_heads(x, step))
            tokens.append(choose(step, logits[-1]))
            if step + 1 < steps:
                said = embedded(tokens[-1], self.depth_embeddings[step])
        return tokens, logits

    # -- whole sequences, with all tokens known

    def hidden(self, columns: Tensor) -> Tensor:
        """[N, 1 + n_q, T] → [N, T, dim], normed."""
        out: Tensor = self.out_norm(self.temporal.offline(self.embed(columns)))
        return out

    def depth_logits(self, hidden: Tensor, before: Tensor) -> Tensor:
        """Logits [M, dep_q, card] of frames ``hidden`` [M, dim] whose depth steps are given the tokens
        ``before`` [M, dep_q] (the text token, then codebooks 0 to dep_q - 2)."""
        said = [embedded(before[:, 0], self.depth_text_embedding)]
        said += [embedded(before[:, c], self.depth_embeddings[c - 1]) for c in range(1, self.config.dep_q)]
        x = self.depth_in(hidden[:, None].expand(-1, len(said), -1)) + torch.stack(said, dim=1)
        logits: Tensor = self.depth_heads(self.depth.offline(x))
        return logits

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of aligned frames [N, 1 + n_q, T]: text [N, T, text_card] and audio [N, dep_q, T, card].

        Frames that a delay pushes past the end are NaN. Every column is given, as in training.
        """
        c = self.config
        n, _, length = codes.shape
        initial = torch.tensor(c.columns.initial, device=codes.device)[:, None].expand(n, -1, -1)
        delayed = torch.stack(
            [
                torch.cat([initial[:, k].expand(-1, delay), codes[:, k, : length - delay]], dim=1)
                for k, delay in enumerate(c.delays)
            ],
            dim=1,
        )
        columns = torch.cat([initial, delayed], dim=2)
        hidden = self.hidden(columns[..., :-1])
        before = columns[:, : c.dep_q, 1:].transpose(1, 2).flatten(0, 1)
        audio = self.depth_logits(hidden.flatten(0, 1), before).view(n, length, c.dep_q, -1).transpose(1, 2)
        aligned = torch.full_like(audio, float("nan"))
        for k, delay in enumerate(c.delays[1 : 1 + c.dep_q]):
            aligned[:, k, : length - delay] = audio[:, k, delay:]
        return self.text_logits(hidden), aligned


@dataclass(slots=True)
class DialogueState:
    """The language model's side of all rows."""

    columns: ColumnState
    cache: Cache
    seeds: Tensor
    """int64 [rows]."""

    def reset(self, rows: Rows) -> None:
        self.columns.reset(rows)
        self.cache.reset(rows)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the loop, each tensor [N, …] in the order of its rows."""

    frame: Tensor
    """int64 [N, 1 + dep_q]: text and codes of the newest complete frame, delays undone."""
    ready: Tensor
    """bool [N]: whether there is one yet."""
    column: Tensor
    """int64 [N, 1 + n_q]: what the model read."""
    text: Tensor
    """int64 [N]: the text token of the new column."""
    codes: Tensor
    """int64 [N, dep_q]: its codes, chosen or given."""
    hidden: Tensor
    """[N, dim]."""
    text_logits: Tensor
    audio_logits: tuple[Tensor, ...]
    """[N, card] for each depth step that was taken."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The loop: hear codes, say codes."""

    lm: MoshiLM
    text_sampling: Sampling = field(default_factory=lambda: Sampling(0.7, 25))
    audio_sampling: Sampling = field(default_factory=lambda: Sampling(0.8, 250))

    def state(self, rows: int, chunk: int = 1, whole: bool = False) -> DialogueState:
        """``rows`` dialogues at their start; ``chunk``: steps that a prompt may take at once; ``whole`` as in
        :mod:`duologue.nn.cache`."""
        device = self.lm.text_embedding.device
        return DialogueState(
            self.lm.config.columns.state(rows, device),
            self.lm.temporal.cache(rows, chunk=chunk, whole=whole),
            torch.zeros(rows, dtype=torch.int64, device=device),
        )

    def step(
        self, state: DialogueState, rows: Rows, heard: Tensor, said: tuple[Tensor, Tensor] | None = None
    ) -> Step:
        """Hear the codes [N, heard] of each row's frame and say the next.

        ``said``: text [N] and codes [N, spoken] that the agent is made to say, instead of choosing.
        """
        c, columns = self.lm.config, self.lm.config.columns
        if heard.shape != (len(rows), c.heard):
            wanted = f"codes of {len(rows)} rows × {c.heard} codebooks"
            raise ValueError(f"{wanted} wanted, got {tuple(heard.shape)}")
        keys = draw_keys(rows.take(state.seeds), rows.take(state.columns.offset), 1 + c.dep_q)

        columns.hear(state.columns, rows, heard)
        if said is not None:
            columns.give(state.columns, rows, *said)
        column = columns.read(state.columns, rows)
        hidden = self.lm.think(self.lm.embed(column[..., None]), state.cache, rows)[:, 0]

        coming, given = columns.coming(state.columns, rows)
        text_logits = self.lm.text_logits(hidden)
        text = torch.where(given[:, 0], coming[:, 0], self.text_sampling.choose(text_logits, keys[:, 0]))

        # Depth steps after the last stream that is not given change nothing (PersonaPlex predicts the
        # person's codes too, which are always given: half of its depth steps). Where the host may not look, all
        # of the agent's are taken. (At the first step the person's delayed codes are not given yet; nobody reads them.)
        steps = c.spoken
        if rows.known:
            free = (~given).any(0).tolist()  # which streams of the new column any row has still to choose
            steps = max((k for k in range(1, 1 + c.dep_q) if free[k]), default=0)
        noise = self.audio_sampling.noise(keys[:, 1 : 1 + steps], c.card)

        def choose(step: int, logits: Tensor) -> Tensor:
            drawn = None if noise is None else noise[:, step]
            token = self.audio_sampling.choose(logits, keys[:, 1 + step], noise=drawn)
            return torch.where(given[:, 1 + step], coming[:, 1 + step], token)

        tokens, logits = self.lm.utter(hidden, text, steps, choose) if steps else ([], [])
        codes = torch.cat([*(token[:, None] for token in tokens), coming[:, 1 + steps :]], dim=1)

        frame, ready = columns.advance(state.columns, rows, torch.cat([text[:, None], codes], dim=1))
        return Step(frame, ready, column, text, codes, hidden, text_logits, tuple(logits))


@dataclass(slots=True)
class MoshiState:
    """Everything that the sessions in all rows are."""

    mimi: MimiState
    dialogue: DialogueState

    def reset(self, rows: Rows) -> None:
        self.mimi.reset(rows)
        self.dialogue.reset(rows)


class Moshi:
    """Waves in, waves out: a :class:`~duologue.models.contract.FrameModel`."""

    def __init__(self, mimi: Mimi, dialogue: Dialogue, pieces: Callable[[int], str] = "<{}>".format) -> None:
        self.mimi = mimi
        self.dialogue = dialogue
        self.pieces = pieces
        """Text token → SentencePiece piece."""

    @property
    def rate(self) -> int:
        return self.mimi.config.sample_rate

    @property
    def frame(self) -> int:
        return self.mimi.config.frame

    @property
    def horizon(self) -> int:
        """The ring's length: afterwards old steps make room for new ones."""
        return self.dialogue.lm.config.context

    def state(self, rows: int, chunk: int = 1, *, whole: bool | None = None) -> MoshiState:
        """As the contract says; ``whole``: unless told otherwise on everything but a CPU, where a step costs less if it
        goes by what the rings hold."""
        if whole is None:
            whole = self.dialogue.lm.text_embedding.device.type != "cpu"
        return MoshiState(self.mimi.state(rows, whole), self.dialogue.state(rows, chunk, whole))

    def reset(self, state: MoshiState, rows: Rows, seeds: Sequence[int]) -> None:
        state.reset(rows)
        device = state.dialogue.seeds.device
        rows.put(state.dialogue.seeds, torch.tensor(seeds, dtype=torch.int64, device=device))

    def step(
        self, state: MoshiState, rows: Rows, wave: Tensor, said: tuple[Tensor, Tensor] | None = None
    ) -> Frames:
        """As the contract says; ``said`` as in :meth:`Dialogue.step`."""
        return self.advance(state, rows, wave, said).frames()

    def advance(
        self, state: MoshiState, rows: Rows, wave: Tensor, said: tuple[Tensor, Tensor] | None = None
    ) -> Said:
        """As the contract says; ``said`` as in :meth:`Dialogue.step`."""
        if wave.shape != (len(rows), self.frame):
            raise ValueError(f"a frame of {len(rows)} × {self.frame} samples wanted, got {tuple(wave.shape)}")
        config = self.dialogue.lm.config
        heard = self.mimi.encode_stream(wave[:, None], state.mimi.encoder, rows, config.heard)[..., 0]
        return self.voiced(state, rows, self.dialogue.step(state.dialogue, rows, heard, said))

    def voiced(self, state: MoshiState, rows: Rows, step: Step) -> Said:
        """What a step said, as waves and text tokens."""
        text, codes = step.frame[:, 0], step.frame[:, 1 : 1 + self.dialogue.lm.config.spoken]
        # Rows that are not ready go through the codec with any codes, and their streams do not begin.
        wave = self.mimi.decode_stream(codes.clamp(min=0)[..., None], state.mimi.decoder, rows.where(step.ready))
        return Said(
            torch.where(step.ready[:, None], wave[:, 0].float(), 0.0),
            torch.where(step.ready & says(text), text, SILENT),
            step.ready,
            says(step.text_logits.argmax(-1)),
        )

    def hush(self, state: MoshiState, rows: Rows) -> None:
        """As the contract says, in the codes of silence that PersonaPlex's prompts have."""
        config, device = self.dialogue.lm.config, state.dialogue.columns.tokens.device
        codes = torch.tensor(fitted(SILENCE, config.spoken, config.card), device=device)
        text = torch.full((len(rows),), PAD, device=device)
        config.columns.give(state.dialogue.columns, rows, text, codes.expand(len(rows), -1))

    def restart_codec(self, state: MoshiState, rows: Rows) -> None:
        """As the contract says."""
        state.mimi.reset(rows)

    def age(self, state: MoshiState, rows: Rows, steps: int) -> None:
        """As the contract says: the rings count as filled so far."""
        codec = self.mimi.config.steps
        state.dialogue.cache.age(rows, steps)
        state.mimi.encoder.transformer.age(rows, codec * steps)
        state.mimi.decoder.transformer.age(rows, codec * steps)

    def text(self, token: int) -> str:
        return self.pieces(token).replace("▁", " ")


KEYS = KeyTable(
    # published                                            ours
    Key("text_emb.weight",                                 "text_embedding"),
    Key("emb.{s}.weight",                                  "audio_embeddings", "step"),
    Key("transformer.layers.{i}.norm1.alpha",              "temporal.layers.{i}.norm_attn.weight", "alpha"),
    Key("transformer.layers.{i}.self_attn.in_proj_weight", "temporal.layers.{i}.qkv.weight"),
    Key("transformer.layers.{i}.self_attn.out_proj.weight", "temporal.layers.{i}.out.weight"),
    Key("transformer.layers.{i}.norm2.alpha",              "temporal.layers.{i}.norm_mlp.weight", "alpha"),
    Key("transformer.layers.{i}.gating.linear_in.weight",  "temporal.layers.{i}.up.weight"),
    Key("transformer.layers.{i}.gating.linear_out.weight", "temporal.layers.{i}.down.weight"),
    Key("out_norm.alpha",                                  "out_norm.weight", "alpha"),
    Key("text_linear.weight",                              "text_head.weight"),
    Key("depformer_in.{s}.weight",                         "depth_in.weight", "step"),
    Key("depformer_text_emb.weight",                       "depth_text_embedding"),
    Key("depformer_emb.{s}.weight",                        "depth_embeddings", "step"),
    Key("depformer.layers.{i}.norm1.alpha",                "depth.layers.{i}.norm_attn.weight", "alpha"),
    Key("depformer.layers.{i}.self_attn.in_proj_weight",   "depth.layers.{i}.qkv.weight", "steps"),
    Key("depformer.layers.{i}.self_attn.out_proj.weight",  "depth.layers.{i}.out.weight", "steps"),
    Key("depformer.layers.{i}.norm2.alpha",                "depth.layers.{i}.norm_mlp.weight", "alpha"),
    Key("depformer.layers.{i}.gating.{s}.linear_in.weight", "depth.layers.{i}.up.weight", "step"),
    Key("depformer.layers.{i}.gating.{s}.linear_out.weight", "depth.layers.{i}.down.weight", "step"),
    Key("linears.{s}.weight",                              "depth_heads.weight", "step"),
)  # fmt: skip
"""How Kyutai's files name the language model's tensors."""

