"""Mimi, the codec of Moshi (arXiv 2410.00037, section 3.3).

Encode: wave 24 kHz → SEANet, 25 Hz × 512 → transformer → convolution of stride 2, 12.5 Hz × 512
→ split residual vector quantiser → codes, a column each 80 ms: one semantic, the others acoustic.
Decode: codes → vectors, 12.5 Hz × 512 → transposed convolution, 25 Hz → transformer → SEANet → wave.

Everything is causal without look-ahead: a frame of 1920 samples gives its column, a column its 1920
samples. (Sizes are the published ones; all are read from the configuration.)

Streamed, Mimi takes whole frames. Its result does not depend on how many at a time, and differs from the
offline one in one respect, kept from the reference because the published streaming behaviour has it: a
frame's two transformer steps share one window end, so that from step 250 on (10 s) the first of the pair
sees 249 steps (``group`` in :mod:`duologue.nn.cache`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duologue.checkpoints.keys import Key, KeyTable
from duologue.codecs.seanet import SEANetConfig, seanet_decoder, seanet_encoder
from duologue.nn.cache import Cache
from duologue.nn.conv import CausalConv1d, ChannelwiseUpsample, Parts, Streaming, Tail
from duologue.nn.decoder import Decoder, DecoderConfig
from duologue.nn.quantize import SplitQuantizer
from duologue.nn.rows import Rows

_TRANSFORMERS = {
    "sampling_rate": 24_000, "_frame_rate": 12.5, "hidden_size": 512, "num_filters": 64, "num_residual_layers": 1,
    "upsampling_ratios": (8, 6, 5, 4), "kernel_size": 7, "last_kernel_size": 3, "residual_kernel_size": 3,
    "dilation_growth_rate": 2, "compress": 2, "num_attention_heads": 8, "num_hidden_layers": 8,
    "intermediate_size": 2048, "sliding_window": 250, "rope_theta": 10_000.0, "codebook_dim": 256,
    "num_quantizers": 32, "codebook_size": 2048,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MimiConfig:
    """Sizes; the defaults are the published codec (`tokenizer-e351c8d8-checkpoint125.safetensors`)."""

    sample_rate: int = 24_000
    frame_rate: float = 12.5
    seanet: SEANetConfig = field(default_factory=SEANetConfig)
    heads: int = 8
    layers: int = 8
    hidden: int = 2048
    context: int = 250
    theta: float = 10_000.0
    codebook_dim: int = 256
    levels: int = 32
    """Codebooks stored; how many are used is the model's choice."""
    entries: int = 2048

    def __post_init__(self) -> None:
        if self.steps * self.frame_rate * self.seanet.hop != self.sample_rate:
            raise ValueError(
                f"at {self.sample_rate} Hz a hop of {self.seanet.hop} samples does not divide a frame of "
                f"{self.sample_rate / self.frame_rate} samples"
            )

    @property
    def frame(self) -> int:
        """Samples a frame."""
        return self.steps * self.seanet.hop

    @property
    def steps(self) -> int:
        """Transformer steps a frame."""
        return round(self.sample_rate / self.seanet.hop / self.frame_rate)

    @property
    def transformer(self) -> DecoderConfig:
        return DecoderConfig(
            dim=self.seanet.dimension,
            layers=self.layers,
            heads=self.heads,
            hidden=self.hidden,
            norm="layer",
            gated=False,
            theta=self.theta,
            window=self.context,
            layer_scale=True,
        )

    @classmethod
    def from_published(cls, config: Mapping[str, Any]) -> MimiConfig:
        """From a configuration under the names of Kyutai's loader (``sample_rate``, ``seanet``, …)."""
        seanet = SEANetConfig.from_published(config["seanet"])
        transformer, quantizer = config["transformer"], config["quantizer"]
        dim = seanet.dimension
        fixed = {
            "d_model": dim,
            "causal": True,
            "gating": "none",
            "norm": "layer_norm",
            "positional_embedding": "rope",
            "input_dimension": dim,
            "output_dimensions": [dim],
        }
        for key, value in fixed.items():
            if transformer.get(key, value) != value:
                raise ValueError(f"Mimi's transformer with {key}={transformer[key]!r} is not supported")
        return cls(
            sample_rate=config["sample_rate"],
            frame_rate=config["frame_rate"],
            seanet=seanet,
            heads=transformer["num_heads"],
            layers=transformer["num_layers"],
            hidden=transformer["dim_feedforward"],
            context=transformer["context"],
            theta=float(transformer["max_period"]),
            codebook_dim=quantizer["dimension"],
            levels=quantizer["n_q"],
            entries=quantizer["bins"],
        )

    @classmethod
    def from_transformers(cls, config: Mapping[str, Any]) -> MimiConfig:
        """From a ``MimiConfig`` of transformers; what such a file does not say is as in ``kyutai/mimi``."""
        config = {**_TRANSFORMERS, **{key: value for key, value in config.items() if value is not None}}
        frame_rate = config.get("frame_rate") or config["_frame_rate"]
        return cls(
            sample_rate=config["sampling_rate"],
            frame_rate=frame_rate,
            seanet=SEANetConfig(
                dimension=config["hidden_size"],
                n_filters=config["num_filters"],
                n_residual_layers=config["num_residual_layers"],
                ratios=tuple(config["upsampling_ratios"]),
                kernel_size=config["kernel_size"],
                last_kernel_size=config["last_kernel_size"],
                residual_kernel_size=config["residual_kernel_size"],
                dilation_base=config["dilation_growth_rate"],
                compress=config["compress"],
            ),
            heads=config["num_attention_heads"],
            layers=config["num_hidden_layers"],
            hidden=config["intermediate_size"],
            context=config["sliding_window"],
            theta=float((config.get("rope_parameters") or config)["rope_theta"]),
            codebook_dim=config["codebook_dim"],
            levels=config["num_quantizers"],
            entries=config["codebook_size"],
        )


@dataclass(slots=True)
class EncoderState:
    """Where the encoders of all rows are."""

    seanet: Parts
    transformer: Cache
    downsample: Tail

    def reset(self, rows: Rows) -> None:
        self.seanet.reset(rows)
        self.transformer.reset(rows)
        self.downsample.reset(rows)


@dataclass(slots=True)
class DecoderState:
    """Where the decoders of all rows are."""

    upsample: Tail
    transformer: Cache
    seanet: Parts

    def reset(self, rows: Rows) -> None:
        self.upsample.reset(rows)
        self.transformer.reset(rows)
        self.seanet.reset(rows)


@dataclass(slots=True)
class MimiState:
    """Both directions."""

    encoder: EncoderState
    decoder: DecoderState

    def reset(self, rows: Rows) -> None:
        self.encoder.reset(rows)
        self.decoder.reset(rows)


class Mimi(nn.Module):
    """The codec. Waves are [N, 1, T] in [-1, 1] (nothing clips), codes int64 [N, levels, frames]."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.config = config
        dim, steps = config.seanet.dimension, config.steps
        self.encoder = seanet_encoder(config.seanet)
        self.encoder_transformer = Decoder(config.transformer)
        self.downsample = CausalConv1d(dim, dim, 2 * steps, stride=steps, bias=False, start="replicate")
        self.quantizer = SplitQuantizer(config.levels, config.entries, config.codebook_dim, dim)
        self.upsample = ChannelwiseUpsample(dim, 2 * steps, stride=steps)
        self.decoder_transformer = Decoder(config.transformer)
        self.decoder = seanet_decoder(config.seanet)

    # -- whole files

    def latent(self, wave: Tensor) -> Tensor:
        """[N, 1, T] → [N, frames, dim] before quantisation; zeros fill the last frame."""
        x = self.encoder_transformer.offline(self.features(wave))
        out: Tensor = self.downsample(x)
        return out

    def features(self, wave: Tensor) -> Tensor:
        """[N, 1, T] → SEANet's [N, steps, dim]; zeros fill the last frame."""
        frame = self.config.frame
        wave = F.pad(wave, (0, -wave.shape[-1] % frame)).transpose(1, 2)
        return in_pieces(self.encoder, wave, PIECE * frame)

    def encode(self, wave: Tensor, levels: int) -> Tensor:
        """Codes of whole waves; zeros fill the last frame."""
        return self.quantizer.encode(self.latent(wave), levels)

    def decode(self, codes: Tensor) -> Tensor:
        """Waves of whole code sequences, with as many levels as they have."""
        x: Tensor = self.upsample(self.quantizer.decode(codes))
        x = self.decoder_transformer.offline(x)
        return in_pieces(self.decoder, x, PIECE * self.config.steps).transpose(1, 2)

    # -- streams

    def encoder_state(self, rows: int, whole: bool = False) -> EncoderState:
        """``rows`` encoders at their start; ``whole`` as in :mod:`duologue.nn.cache`."""
        steps = self.config.steps
        return EncoderState(
            self.encoder.state(rows),
            self.encoder_transformer.cache(rows, group=steps, chunk=steps, whole=whole),
            self.downsample.state(rows),
        )

    def decoder_state(self, rows: int, whole: bool = False) -> DecoderState:
        """``rows`` decoders at their start; ``whole`` as in :mod:`duologue.nn.cache`."""
        steps = self.config.steps
        return DecoderState(
            self.upsample.state(rows),
            self.decoder_transformer.cache(rows, group=steps, chunk=steps, whole=whole),
            self.decoder.state(rows),
        )

    def state(self, rows: int, whole: bool = False) -> MimiState:
        """Both, for ``rows`` streams."""
        return MimiState(self.encoder_state(rows, whole), self.decoder_state(rows, whole))

    def encode_stream(self, wave: Tensor, state: EncoderState, rows: Rows, levels: int) -> Tensor:
        """Codes of the next whole frames of these rows."""
        if wave.shape[-1] % self.config.frame or not wave.shape[-1]:
            raise ValueError(
                f"Mimi streams whole frames of {self.config.frame} samples, got {wave.shape[-1]} samples: "
                "collect samples until a frame is full"
            )
        x = self.encoder.stream(wave.transpose(1, 2), state.seanet, rows)
        x = self.encoder_transformer.stream(x, state.transformer, rows)
        x = self.downsample.stream(x, state.downsample, rows)
        return self.quantizer.encode(x, levels)

    def decode_stream(self, codes: Tensor, state: DecoderState, rows: Rows) -> Tensor:
        """The wave of the next columns of these rows."""
        x = self.upsample.stream(self.quantizer.decode(codes), state.upsample, rows)
        x = self.decoder_transformer.stream(x, state.transformer, rows)
        return self.decoder.stream(x, state.seanet, rows).transpose(1, 2)


PIECE = 25
"""Frames of a whole file that pass through SEANet at once: two seconds, so that memory stays small."""


def in_pieces(layer: Streaming, x: Tensor, size: int) -> Tensor:
    """A whole sequence [N, T, …] through a streaming layer, ``size`` steps at a time."""
    state, rows = layer.state(len(x)), Rows.of(range(len(x)), x.device)
    return torch.cat([layer.stream(piece, state, rows) for piece in torch.split(x, size, dim=1)], dim=1)


KEYS = KeyTable(
    # published, and below each its name here
    Key("encoder.model.{i}.conv.conv.weight",
        "encoder.{i}.weight", "conv"),
    Key("encoder.model.{i}.conv.conv.bias",
        "encoder.{i}.bias"),
    Key("encoder.model.{i}.block.{j}.conv.conv.weight",
        "encoder.{i}.block.{j}.weight", "conv"),
    Key("encoder.model.{i}.block.{j}.conv.conv.bias",
        "encoder.{i}.block.{j}.bias"),
    Key("{side}_transformer.transformer.layers.{i}.norm1.{p}",
        "{side}_transformer.layers.{i}.norm_attn.{p}"),
    Key("{side}_transformer.transformer.layers.{i}.self_attn.in_proj_weight",
        "{side}_transformer.layers.{i}.qkv.weight"),
    Key("{side}_transformer.transformer.layers.{i}.self_attn.out_proj.weight",
        "{side}_transformer.layers.{i}.out.weight"),
    Key("{side}_transformer.transformer.layers.{i}.layer_scale_1.scale",
        "{side}_transformer.layers.{i}.scale_attn"),
    Key("{side}_transformer.transformer.layers.{i}.norm2.{p}",
        "{side}_transformer.layers.{i}.norm_mlp.{p}"),
    Key("{side}_transformer.transformer.layers.{i}.linear1.weight",
        "{side}_transformer.layers.{i}.up.weight"),
    Key("{side}_transformer.transformer.layers.{i}.linear2.weight",
        "{side}_transformer.layers.{i}.down.weight"),
    Key("{side}_transformer.transformer.layers.{i}.layer_scale_2.scale",
        "{side}_transformer.layers.{i}.scale_mlp"),
    Key("downsample.conv.conv.conv.weight",
        "downsample.weight", "conv"),
    Key("quantizer.rvq_{half}.input_proj.weight",
        "quantizer.{half}.input_proj.weight", "kernel1"),
    Key("quantizer.rvq_{half}.vq.layers.{i}._codebook.embedding_sum",
        "quantizer.{half}.codebooks.{i}.embedding_sum"),
    Key("quantizer.rvq_{half}.vq.layers.{i}._codebook.cluster_usage",
        "quantizer.{half}.codebooks.{i}.cluster_usage"),
    Key("quantizer.rvq_{half}.output_proj.weight",
        "quantizer.{half}.output_proj.weight", "kernel1"),
    Key("upsample.convtr.convtr.convtr.weight",
        "upsample.weight", "channels"),
    Key("decoder.model.{i}.convtr.convtr.weight",
        "decoder.{i}.transposed.weight", "convtr"),
    Key("decoder.model.{i}.convtr.convtr.bias",
        "decoder.{i}.transposed.bias"),
    Key("decoder.model.{i}.conv.conv.weight",
        "decoder.{i}.weight", "conv"),
    Key("decoder.model.{i}.conv.conv.bias",
        "decoder.{i}.bias"),
    Key("decoder.model.{i}.block.{j}.conv.conv.weight",
        "decoder.{i}.block.{j}.weight", "conv"),
    Key("decoder.model.{i}.block.{j}.conv.conv.bias",
        "decoder.{i}.block.{j}.bias"),
    unread=("quantizer.rvq_{half}.vq.layers.{i}._codebook._initialized",),
)  # fmt: skip
"""How Kyutai's files name the codec's tensors."""
