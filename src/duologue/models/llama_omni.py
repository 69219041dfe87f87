"""LLaMA-Omni: hears a spoken turn, answers in text and speech at once (arXiv 2409.06666, figure 1).

    sound → log-mel of 30 s → Whisper → five steps at a time through a projector ╮
                                                   text → embedding              ┴→ Llama 3.1 → text
                                                                        its states ╰→ speech decoder → units

For each text token the state that predicted it is given to the speech decoder 25 times; each time that names a unit of
speech or a blank (CTC). The decoder is causal, so it runs along with the text, with a cache of its own: the reference
computes all of it again at every token.
"""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duologue.checkpoints.keys import Key, KeyTable, unfilled
from duologue.checkpoints.layouts import decoder_keys
from duologue.checkpoints.weight_norm import unfolded
from duologue.codecs import unit_hifigan
from duologue.codecs.unit_hifigan import UnitHiFiGAN, UnitHiFiGANConfig
from duologue.encoders.whisper import Whisper, WhisperConfig, openai_keys
from duologue.nn.attention import Stretch
from duologue.nn.cache import Cache
from duologue.nn.decoder import Decoder, DecoderConfig, RMSNorm
from duologue.nn.linear import Linear
from duologue.nn.rows import Rows


@dataclass(frozen=True, slots=True)
class LlamaOmniConfig:
    """Its sizes; the defaults are Llama-3.1-8B-Omni's."""

    tower: WhisperConfig = field(default_factory=WhisperConfig)
    dim: int = 4096
    layers: int = 32
    heads: int = 32
    kv_heads: int = 8
    hidden: int = 14_336
    vocabulary: int = 128_256
    context: int = 131_072
    theta: float = 500_000.0
    stretch: Stretch = field(default_factory=Stretch)
    eps: float = 1e-5
    together: int = 5
    """Steps of Whisper that make one position."""
    projector: int = 2048
    """Width inside the projector; no published configuration names it."""
    speech: tuple[int, int, int, int] = (2, 4096, 32, 11_008)
    """Of the speech decoder: layers, width, heads, width inside the MLP."""
    upsample: int = 25
    units: int = 1000

    @property
    def decoder(self) -> DecoderConfig:
        return DecoderConfig(
            self.dim, self.layers, self.heads, self.hidden, kv_heads=self.kv_heads, eps=self.eps, rope="half",
            theta=self.theta, stretch=self.stretch,
        )  # fmt: skip

    @property
    def speech_decoder(self) -> DecoderConfig:
        layers, dim, heads, hidden = self.speech
        return DecoderConfig(
            dim, layers, heads, hidden, eps=self.eps, rope="half", theta=self.theta, stretch=self.stretch
        )

    @classmethod
    def from_published(cls, config: Mapping[str, Any], tower: WhisperConfig | None = None) -> LlamaOmniConfig:
        """From the repository's ``config.json``; Whisper's sizes are in its own file.

        Raises ``ValueError`` naming what this model does not do.
        """
        fixed = {
            "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": False,
            "speech_projector_type": "linear", "speech_generator_type": "ctc",
        }  # fmt: skip
        wrong = [f"{key}={config[key]!r}" for key, value in fixed.items() if config.get(key, value) != value]
        wrong += [f"{key} is missing" for key in REQUIRED if key not in config]
        scaling = config.get("rope_scaling", {})
        scaling = {"factor": 1.0} if scaling is None else scaling  # said outright: nothing is stretched
        if scaling.get("rope_type", "llama3") != "llama3":
            wrong.append(f"rope_scaling={scaling!r}")
        if wrong:
            raise ValueError(f"the configuration is not one of this model: {', '.join(wrong)}")
        return cls(
            tower=tower or WhisperConfig(),
            dim=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            kv_heads=config.get("num_key_value_heads", config["num_attention_heads"]),
            hidden=config["intermediate_size"],
            vocabulary=config["vocab_size"],
            context=config.get("max_position_embeddings", 131_072),
            theta=float(config.get("rope_theta", 500_000.0)),
            stretch=Stretch(
                scaling.get("factor", 8.0),
                scaling.get("low_freq_factor", 1.0),
                scaling.get("high_freq_factor", 4.0),
                scaling.get("original_max_position_embeddings", 8192),
            ),
            eps=config.get("rms_norm_eps", 1e-5),
            together=config.get("speech_encoder_ds_rate", 5),
            projector=config.get("projector_hidden", 2048),
            speech=_sizes(config.get("ctc_decoder_config", "(2,4096,32,11008)")),
            upsample=config.get("ctc_upsample_factor", 25),
            units=config.get("unit_vocab_size", 1000),
        )


REQUIRED = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")
"""What a configuration must say."""


def _sizes(written: str) -> tuple[int, int, int, int]:
    layers, dim, heads, hidden = literal_eval(written)
    return int(layers), int(dim), int(heads), int(hidden)


class SpeechDecoder(nn.Module):
    """From states of the language model to units of speech. There is no norm after the last layer."""

    def __init__(self, config: LlamaOmniConfig) -> None:
        super().__init__()
        dim = config.speech_decoder.dim
        self.config = config
        self.input = Linear(config.dim, dim, bias=True)
        self.decoder = Decoder(config.speech_decoder)
        self.output = Linear(dim, config.units + 1, bias=True)

    @property
    def blank(self) -> int:
        """The class that says nothing."""
        return self.config.units

    def upsampled(self, states: Tensor) -> Tensor:
        """[N, T, dim] → [N, 25 T, dim]."""
        return states.repeat_interleave(self.config.upsample, dim=1)

    def forward(self, states: Tensor) -> Tensor:
        """A whole answer's states [N, T, dim] → logits [N, 25 T, units + 1]."""
        out: Tensor = self.output(self.decoder.offline(self.input(self.upsampled(states))))
        return out

    def cache(self, rows: int, tokens: int) -> Cache:
        """Room for answers of so many text tokens."""
        return self.decoder.cache(rows, length=tokens * self.config.upsample, chunk=self.config.upsample)

    def stream(self, states: Tensor, cache: Cache, rows: Rows) -> Tensor:
        """The state of the next text token of each row [N, dim] → classes int64 [N, 25]."""
        x = self.input(self.upsampled(states[:, None]))
        logits: Tensor = self.output(self.decoder.stream(x, cache, rows))
        return logits.argmax(-1)


@dataclass(slots=True)
class Collapse:
    """CTC's reading of one answer's classes: repeats are one, then blanks are nothing. Piece by piece."""

    blank: int
    last: int = -1

    def read(self, classes: Sequence[int]) -> list[int]:
        """The units of the next classes."""
        units = []
        for each in classes:
            if each != self.last and each != self.blank:
                units.append(each)
            self.last = each
        return units


class LlamaOmniNet(nn.Module):
    """All but the vocoder."""

    def __init__(self, config: LlamaOmniConfig) -> None:
        super().__init__()
        c = config
        self.config = c
        self.tower = Whisper(c.tower)
        self.linear1 = Linear(c.tower.dim * c.together, c.projector, bias=True)
        self.linear2 = Linear(c.projector, c.dim, bias=True)
        self.embedding = nn.Parameter(torch.empty(c.vocabulary, c.dim))
        self.decoder = Decoder(c.decoder)
        self.norm = RMSNorm(c.dim, c.eps)
        self.head = Linear(c.dim, c.vocabulary)
        self.speech = SpeechDecoder(c)

    def project(self, heard: Tensor) -> Tensor:
        """Steps of Whisper [N, T, tower dim] → [N, T/5, dim]; what is left over at the end is dropped."""
        n, steps, dim = heard.shape
        whole = steps // self.config.together
        joined = heard[:, : whole * self.config.together].reshape(n, whole, dim * self.config.together)
        out: Tensor = self.linear2(F.relu(self.linear1(joined)))
        return out

    def hear(self, mel: Tensor) -> Tensor:
        """Log-mel [N, mels, F] of the padded window → [N, F/10, dim]. Silence at its end is heard as well: the model
        never saw fewer positions."""
        heard: Tensor = self.tower.norm(self.tower(mel))
        return self.project(heard.to(self.embedding.dtype))

    def embed(self, ids: Tensor) -> Tensor:
        """int64 […] → […, dim]."""
        return F.embedding(ids, self.embedding)

    def think(self, x: Tensor, cache: Cache, rows: Rows) -> Tensor:
        """The next positions [N, T, dim] of these rows → [N, T, dim], normed: what both heads read."""
        out: Tensor = self.norm(self.decoder.stream(x, cache, rows))
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """[N, T, dim] → [N, T, vocabulary]."""
        out: Tensor = self.head(hidden)
        return out


def positions(mel_frames: int, together: int = 5) -> int:
    """Positions of the language model that so many mel frames take; in the published pipeline always those of 30 s."""
    return (mel_frames + 1) // 2 // together


def keys(config: LlamaOmniConfig) -> KeyTable:
    """How the published files name the tensors: the model's own, and OpenAI's of Whisper beside them."""
    head, (_, dim, _, hidden) = config.decoder.head_dim, config.speech
    pairs = {
        "model.speech_projector.linear1": "linear1", "model.speech_projector.linear2": "linear2",
        "speech_generator.input_proj": "speech.input", "speech_generator.output_proj": "speech.output",
    }  # fmt: skip
    return KeyTable(
        *openai_keys("encoder.", "tower.", config.tower.dim),
        *(Key(f"{theirs}.{kind}", f"{ours}.{kind}") for theirs, ours in pairs.items() for kind in ("weight", "bias")),
        Key("model.embed_tokens.weight", "embedding"),
        *decoder_keys("model.", "decoder.", q=config.heads * head, kv=config.kv_heads * head, hidden=config.hidden),
        Key("model.norm.weight", "norm.weight"),
        Key("lm_head.weight", "head.weight"),
        *decoder_keys("speech_generator.", "speech.decoder.", q=dim, kv=dim, hidden=hidden),
    )


def manifest() -> dict[str, dict[str, list[int]]]:
    """Names and shapes of what is loaded of the published files, from models without memory."""
    config = LlamaOmniConfig()
    table = keys(config).manifest(unfilled(lambda: LlamaOmniNet(config), "meta", torch.bfloat16))
    vocoder = unfilled(lambda: UnitHiFiGAN(UnitHiFiGANConfig()), "meta", torch.float32)
    voice = unfolded(unit_hifigan.KEYS.published(vocoder), plain=("dur_predictor.",))
    return {
        "model": {name: shape for name, shape in table.items() if not name.startswith("encoder.")},
        "large-v3.pt[model_state_dict]": {n: shape for n, shape in table.items() if n.startswith("encoder.")},
        "vocoder[generator]": {name: list(tensor.shape) for name, tensor in voice.items()},
    }
