"""Moshi's sizes, and the published configurations that name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from duologue.models.columns import Columns
from duologue.nn.decoder import DecoderConfig

EPAD, PAD = 0, 3
"""Text tokens that say nothing: a word begins next, and padding."""


@dataclass(frozen=True, slots=True)
class MoshiConfig:
    """The language model's sizes; the defaults are moshiko and moshika."""

    dim: int = 4096
    layers: int = 32
    heads: int = 32
    hidden: int = 11_264
    context: int = 3000
    """Steps the temporal transformer sees, the present one included."""
    theta: float = 10_000.0
    text_card: int = 32_000
    n_q: int = 16
    """Codebooks in a column, the agent's and the person's."""
    dep_q: int = 8
    """Codebooks that the depth transformer predicts."""
    spoken: int = 8
    """Codebooks of the agent's voice."""
    card: int = 2048
    depth_dim: int = 1024
    depth_layers: int = 6
    depth_heads: int = 16
    depth_hidden: int = 2816
    delays: tuple[int, ...] = (0, *(0, 1, 1, 1, 1, 1, 1, 1) * 2)
    lag: int = 0
    """See :class:`~duologue.models.columns.Columns`."""

    def __post_init__(self) -> None:
        if len(self.delays) != 1 + self.n_q:
            streams = f"{1 + self.n_q} streams (text and {self.n_q} codebooks)"
            raise ValueError(f"{streams} have {len(self.delays)} delays")
        if not self.spoken <= self.dep_q <= self.n_q:
            raise ValueError(f"of {self.n_q} codebooks {self.dep_q} are predicted and {self.spoken} spoken")

    @property
    def heard(self) -> int:
        """Codebooks of the person's voice."""
        return self.n_q - self.spoken

    @property
    def temporal(self) -> DecoderConfig:
        return DecoderConfig(
            self.dim, self.layers, self.heads, self.hidden, eps=1e-8, theta=self.theta, window=self.context
        )

    @property
    def depth(self) -> DecoderConfig:
        # No positions: the steps are told apart by their weights.
        return DecoderConfig(
            self.depth_dim,
            self.depth_layers,
            self.depth_heads,
            self.depth_hidden,
            eps=1e-8,
            rope=None,
            steps=self.dep_q,
        )

    @property
    def columns(self) -> Columns:
        initial = (self.text_card, *(self.card,) * self.n_q)
        return Columns(self.delays, initial, self.spoken, self.dep_q, self.lag)

    @classmethod
    def from_published(cls, config: Mapping[str, Any]) -> MoshiConfig:
        """From a configuration under the names of Kyutai's loader (``dim``, ``depformer_dim``, …).

        Raises ``ValueError`` naming what this model does not do (options of other checkpoints).
        """
        fixed = {
            "causal": True,
            "layer_scale": None,
            "gating": "silu",
            "norm": "rms_norm_f32",
            "positional_embedding": "rope",
            "existing_text_padding_id": PAD,
            "depformer_layer_scale": None,
            "depformer_multi_linear": True,
            "depformer_gating": "silu",
            "depformer_pos_emb": "none",
            "depformer_weights_per_step": True,
            "kv_repeat": 1,
        }
        names = {
            "dim", "text_card", "n_q", "dep_q", "card", "num_heads", "num_layers", "hidden_scale", "context",
            "max_period", "delays", "depformer_dim", "depformer_dim_feedforward", "depformer_num_heads",
            "depformer_num_layers",
        }  # fmt: skip
        without_effect = {"depformer_causal", "depformer_context", "depformer_max_period"}
        about_files = {
            "moshi_name", "mimi_name", "mimi_config_name", "tokenizer_name", "lm_gen_config", "model_type",
            "model_id", "version",
        }  # fmt: skip
        c = dict(config)
        wrong = [f"{key}={c[key]!r}" for key, value in fixed.items() if c.get(key, value) != value]
        rest = c.keys() - names - set(fixed) - without_effect - about_files
        wrong += sorted(f"{key}={c[key]!r}" for key in rest if c[key])
        if wrong:
            raise ValueError(f"the checkpoint asks for what this model does not do: {', '.join(wrong)}")
        if missing := sorted(names - c.keys()):
            raise ValueError(f"the model's configuration lacks {', '.join(missing)}")
        return cls(
            dim=c["dim"],
            layers=c["num_layers"],
            heads=c["num_heads"],
            hidden=gated_width(c["dim"], int(c["hidden_scale"] * c["dim"])),
            context=c["context"],
            theta=float(c["max_period"]),
            text_card=c["text_card"],
            n_q=c["n_q"],
            dep_q=c["dep_q"],
            spoken=min(c["dep_q"], c["n_q"] - c["n_q"] // 2),
            card=c["card"],
            depth_dim=c["depformer_dim"],
            depth_layers=c["depformer_num_layers"],
            depth_heads=c["depformer_num_heads"],
            depth_hidden=gated_width(c["depformer_dim"], c["depformer_dim_feedforward"]),
            delays=tuple(c["delays"]),
        )

    @classmethod
    def from_transformers(cls, config: Mapping[str, Any]) -> MoshiConfig:
        """From a ``MoshiConfig`` of transformers, where the delays are not written: they are Moshi's.

        What such a file does not say is as in moshiko, which is the class's own default.
        """
        depth = {**_TRANSFORMERS_DEPTH, **config["depth_decoder_config"]}
        config = {**_TRANSFORMERS, **config}
        spoken = config["num_codebooks"]
        return cls(
            dim=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            hidden=config["ffn_dim"] // 2,
            context=config["sliding_window"],
            theta=float((config.get("rope_parameters") or config)["rope_theta"]),
            text_card=config["vocab_size"],
            n_q=2 * spoken,
            dep_q=spoken,
            spoken=spoken,
            card=config["audio_vocab_size"],
            depth_dim=depth["hidden_size"],
            depth_layers=depth["num_hidden_layers"],
            depth_heads=depth["num_attention_heads"],
            depth_hidden=depth["ffn_dim"] // 2,
            delays=(0, *(0, *(1,) * (spoken - 1)) * 2),
        )


_TRANSFORMERS = {
    "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "ffn_dim": 22_528, "sliding_window": 3000,
    "rope_theta": 10_000.0, "vocab_size": 32_000, "audio_vocab_size": 2048, "num_codebooks": 8,
}  # fmt: skip
_TRANSFORMERS_DEPTH = {"hidden_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 16, "ffn_dim": 5632}


def gated_width(dim: int, feedforward: int) -> int:
    """Width of a gated MLP that stands for a plain one of ``feedforward`` (Kyutai's rule)."""
    return 21 * dim // 8 if feedforward == 4 * dim else 2 * feedforward // 3
