"""Qwen2-Audio: hears speech and any other sound, and writes (arXiv 2407.10759).

    sound → log-mel → Whisper, its steps pooled by two → projector ╮
                                               text → embedding    ┴→ Qwen2 decoder → text

Each 40 ms of sound is one position of the decoder, in the place of a placeholder token. There is no state but the
decoder's: an earlier turn's positions do not change when a turn is added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duologue.checkpoints.keys import Key, KeyTable, unfilled
from duologue.checkpoints.layouts import decoder_keys
from duologue.encoders.mel import HOP, windowed
from duologue.encoders.whisper import Whisper, WhisperConfig, transformers_keys
from duologue.nn.cache import Cache
from duologue.nn.decoder import Decoder, DecoderConfig, RMSNorm
from duologue.nn.linear import Linear
from duologue.nn.rows import Rows


@dataclass(frozen=True, slots=True)
class Qwen2AudioConfig:
    """Its sizes; the defaults are Qwen2-Audio-7B's."""

    tower: WhisperConfig = field(default_factory=WhisperConfig)
    dim: int = 4096
    layers: int = 32
    heads: int = 32
    kv_heads: int = 32
    hidden: int = 11_008
    vocabulary: int = 156_032
    context: int = 8192
    theta: float = 10_000.0
    eps: float = 1e-5
    placeholder: int = 151_646
    """``<|AUDIO|>``: stands where a position of sound goes; never to be drawn."""

    @property
    def decoder(self) -> DecoderConfig:
        return DecoderConfig(
            self.dim,
            self.layers,
            self.heads,
            self.hidden,
            kv_heads=self.kv_heads,
            eps=self.eps,
            biases="qkv",
            rope="half",
            theta=self.theta,
        )

    @classmethod
    def from_published(cls, config: Mapping[str, Any]) -> Qwen2AudioConfig:
        """From the repository's ``config.json``; what it leaves out is as in the class of transformers, the 7B's.

        Raises ``ValueError`` naming what this model does not do.
        """
        audio, text = config.get("audio_config", {}), config.get("text_config", {})
        fixed = (
            (text, {"hidden_act": "silu", "use_sliding_window": False, "tie_word_embeddings": False}),
            (audio, {"activation_function": "gelu", "scale_embedding": False}),
        )
        wrong = [
            f"{key}={given[key]!r}"
            for given, values in fixed
            for key, value in values.items()
            if given.get(key, value) != value
        ]
        if wrong:
            raise ValueError(f"the checkpoint asks for what this model does not do: {', '.join(wrong)}")
        heads = text.get("num_attention_heads", 32)
        return cls(
            tower=WhisperConfig(
                mels=audio.get("num_mel_bins", 128),
                dim=audio.get("d_model", 1280),
                layers=audio.get("encoder_layers", 32),
                heads=audio.get("encoder_attention_heads", 20),
                hidden=audio.get("encoder_ffn_dim", 5120),
                steps=audio.get("max_source_positions", 1500),
            ),
            dim=text.get("hidden_size", 4096),
            layers=text.get("num_hidden_layers", 32),
            heads=heads,
            kv_heads=text.get("num_key_value_heads", heads),
            hidden=text.get("intermediate_size", 11_008),
            vocabulary=text.get("vocab_size", 156_032),
            context=text.get("max_position_embeddings", 8192),
            theta=float(text.get("rope_theta", 10_000.0)),
            eps=text.get("rms_norm_eps", 1e-5),
            placeholder=config.get("audio_token_index", 151_646),
        )


def frames(samples: int, steps: int) -> int:
    """Mel frames of a sound of so many samples at 16 kHz; a window of ``2 * steps`` frames cuts what is longer."""
    return min(-(-samples // HOP), 2 * steps)


def seen(mel_frames: Tensor) -> Tensor:
    """Steps of the tower (50 a second) that a sound of so many mel frames has."""
    return (mel_frames - 1) // 2 + 1


def positions(mel_frames: Tensor) -> Tensor:
    """Positions of the decoder (25 a second) that it takes. For odd numbers of steps the last half pair is dropped."""
    return (seen(mel_frames) - 2) // 2 + 1


class Qwen2AudioNet(nn.Module):
    """The network."""

    def __init__(self, config: Qwen2AudioConfig) -> None:
        super().__init__()
        self.config = config
        self.tower = Whisper(config.tower)
        self.projector = Linear(config.tower.dim, config.dim, bias=True)
        self.embedding = nn.Parameter(torch.empty(config.vocabulary, config.dim))
        self.decoder = Decoder(config.decoder)
        self.norm = RMSNorm(config.dim, config.eps)
        self.head = Linear(config.dim, config.vocabulary)

    # -- hearing ----------------------------------------------------------------------------------------------

    def pooled(self, mel: Tensor, mel_frames: Tensor) -> Tensor:
        """Mel [N, mels, F] of which each has so many frames, int64 [N] → [N, F/4, tower dim]: pooled, then normed."""
        heard = self.tower(mel, seen(mel_frames))
        out: Tensor = self.tower.norm(F.avg_pool1d(heard.transpose(1, 2), 2, 2).transpose(1, 2))
        return out

    def project(self, pooled: Tensor) -> Tensor:
        """[N, T, tower dim] → [N, T, dim]. The tower may be more precise than what it is heard by."""
        out: Tensor = self.projector(pooled.to(self.embedding.dtype))
        return out

    def hear(self, waves: list[Tensor]) -> list[Tensor]:
        """What the decoder reads of sounds at 16 kHz ([samples] each, at most a window): [positions, dim] each.

        The tower runs on as many frames as the longest sound needs, which is exact if it is done so: the mel is that
        of the window padded to its full length (its peak and its end depend on the padding), two frames more than the
        sound has are kept (the convolutions look ahead), and steps beyond the sound are not seen.
        """
        window = 2 * self.config.tower.steps
        lengths = torch.tensor([frames(len(wave), self.config.tower.steps) for wave in waves])
        kept = min(window, (int(lengths.max()) + 3) // 2 * 2)
        mel = windowed(waves, window * HOP, self.config.tower.mels)[..., :kept]
        weight = self.tower.positions
        rows = self.project(self.pooled(mel.to(weight.device, weight.dtype), lengths.to(weight.device)))
        return [row[:count] for row, count in zip(rows, positions(lengths).tolist(), strict=True)]

    # -- reading and writing ----------------------------------------------------------------------------------

    def embed(self, ids: Tensor) -> Tensor:
        """int64 […] → […, dim]."""
        return F.embedding(ids, self.embedding)

    def think(self, x: Tensor, cache: Cache, rows: Rows) -> Tensor:
        """The next positions [N, T, dim] of these rows → [N, T, dim], normed."""
        out: Tensor = self.norm(self.decoder.stream(x, cache, rows))
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """[N, T, dim] → [N, T, vocabulary]."""
        out: Tensor = self.head(hidden)
        return out

    def merged(self, ids: Tensor, sounds: Tensor) -> Tensor:
        """Token ids [T] with their embeddings, the placeholders' replaced by ``sounds`` [P, dim] in order: [T, dim].

        Raises ``ValueError`` where there are more or fewer placeholders than positions of sound.
        """
        x, at = self.embed(ids), ids == self.config.placeholder
        if int(at.sum()) != len(sounds):
            raise ValueError(f"a prompt with {int(at.sum())} placeholders for {len(sounds)} positions of sound")
        return x.masked_scatter(at[:, None], sounds.to(x.dtype))


def keys(config: Qwen2AudioConfig) -> KeyTable:
    """How the published files name the tensors."""
    head = config.decoder.head_dim
    return KeyTable(
        *transformers_keys("audio_tower.", "tower.", config.tower.dim),
        Key("multi_modal_projector.linear.weight", "projector.weight"),
        Key("multi_modal_projector.linear.bias", "projector.bias"),
        Key("language_model.model.embed_tokens.weight", "embedding"),
        *decoder_keys(
            "language_model.model.",
            "decoder.",
            q=config.heads * head,
            kv=config.kv_heads * head,
            hidden=config.hidden,
            biases=True,
        ),
        Key("language_model.model.norm.weight", "norm.weight"),
        Key("language_model.lm_head.weight", "head.weight"),
    )


def manifest() -> dict[str, dict[str, list[int]]]:
    """Names and shapes of what is loaded of the published checkpoint, from a model without memory."""
    config = Qwen2AudioConfig()
    return {"model": keys(config).manifest(unfilled(lambda: Qwen2AudioNet(config), "meta", torch.bfloat16))}
