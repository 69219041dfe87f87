"""Mini-Omni2: hears a spoken turn, may look at a picture, answers in text and speech at once (arXiv 2410.11190).

    sound → log-mel of 30 s → Whisper small → adapter ╮
    picture → CLIP, 50 tokens → adapter               ┼→ eight rows, embedded and averaged → Qwen2 → eight heads
    text, and seven layers of SNAC's codes            ┴→

Each step of an answer is a text token and a token of each of seven audio layers; layer i says what the text said i + 1
steps before. An answer in speech is made twice at once: one item of a pair gives the speech, the other, which is fed no
speech, the text, and what the second says is fed to both ("parallel decoding"): so it is as good as a written answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from duologue.checkpoints.keys import Key, KeyTable, unfilled
from duologue.checkpoints.weight_norm import SPELLINGS, unfolded
from duologue.codecs import snac
from duologue.codecs.snac import Snac, SnacConfig
from duologue.encoders import clip
from duologue.encoders.clip import Clip, ClipConfig
from duologue.encoders.whisper import Whisper, WhisperConfig, openai_keys
from duologue.nn.cache import Cache
from duologue.nn.decoder import Decoder, DecoderConfig, RMSNorm
from duologue.nn.linear import Linear
from duologue.nn.rows import Rows

LAYERS = 7
"""Audio layers; the text is the eighth row."""
PICTURE = 50
"""Positions of a picture."""

Task = Literal["A1A2", "A1T2", "A1T1", "T1A2", "T1T2"]
"""What is given and what is wanted: A sound, T text; 1 the question, 2 the answer (A1T1: what was said)."""


@dataclass(frozen=True, slots=True)
class Specials:
    """The special ids, which follow the vocabularies in this order."""

    text: int = 151_936
    """Size of the text vocabulary."""
    codes: int = 4096
    """Size of a codebook."""

    eot = property(lambda self: self.text)
    pad_t = property(lambda self: self.text + 1)
    input_t = property(lambda self: self.text + 2)
    answer_t = property(lambda self: self.text + 3)
    asr = property(lambda self: self.text + 4)
    eoa = property(lambda self: self.codes)
    pad_a = property(lambda self: self.codes + 1)
    input_a = property(lambda self: self.codes + 2)
    answer_a = property(lambda self: self.codes + 3)
    image = property(lambda self: self.codes + 5)
    eoimage = property(lambda self: self.codes + 6)


@dataclass(frozen=True, slots=True)
class MiniOmni2Config:
    """Its sizes; the defaults are the published model's."""

    dim: int = 896
    layers: int = 24
    heads: int = 14
    kv_heads: int = 2
    hidden: int = 4864
    context: int = 2048
    theta: float = 1_000_000.0
    eps: float = 1e-6
    text_size: int = 152_000
    """Rows of the text's part of the head."""
    audio_size: int = 4160
    """Rows of each audio layer's."""
    specials: Specials = field(default_factory=Specials)
    audio_dim: int = 768
    picture_dim: int = 512
    tower: WhisperConfig = field(default_factory=lambda: WhisperConfig(80, 768, 12, 12, 3072))
    clip: ClipConfig = field(default_factory=ClipConfig)

    @property
    def decoder(self) -> DecoderConfig:
        return DecoderConfig(
            self.dim, self.layers, self.heads, self.hidden, kv_heads=self.kv_heads, eps=self.eps, biases="qkv",
            rope="half", theta=self.theta,
        )  # fmt: skip

    @property
    def vocabulary(self) -> int:
        return self.text_size + LAYERS * self.audio_size

    @classmethod
    def from_published(cls, config: Mapping[str, Any], specials: Specials | None = None) -> MiniOmni2Config:
        """From ``model_config.yaml``. Raises ``ValueError`` naming what this model does not do."""
        fixed = {
            "bias": False, "lm_head_bias": False, "add_qkv_bias": True, "parallel_residual": False,
            "rotary_percentage": 1, "rope_condense_ratio": 1, "tie_word_embeddings": True, "post_adapter": False,
            "scale_embeddings": False, "norm_class_name": "RMSNorm", "mlp_class_name": "LLaMAMLP",
            "asr_adapter": "llamamlp",
        }  # fmt: skip
        if wrong := [f"{key}={config[key]!r}" for key, value in fixed.items() if config.get(key, value) != value]:
            raise ValueError(f"the checkpoint asks for what this model does not do: {', '.join(wrong)}")
        return cls(
            dim=config["n_embd"],
            layers=config["n_layer"],
            heads=config["n_head"],
            kv_heads=config["n_query_groups"],
            hidden=config["intermediate_size"],
            context=config["block_size"],
            theta=float(config["rope_base"]),
            eps=config["norm_eps"],
            text_size=config["text_vocab_size"],
            audio_size=config["audio_vocab_size"],
            specials=specials or Specials(),
            audio_dim=config["whisper_adapter_dim"],
            picture_dim=config["vision_adapter_dim"],
        )


class Adapter(nn.Module):
    """proj(silu(fc_1 x) · fc_2 x)."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.fc_1, self.fc_2 = Linear(inputs, hidden), Linear(inputs, hidden)
        self.proj = Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.proj(F.silu(self.fc_1(x)) * self.fc_2(x))
        return out


class MiniOmni2LM(nn.Module):
    """Adapters, embedding, decoder; the heads are slices of the embedding."""

    def __init__(self, config: MiniOmni2Config) -> None:
        super().__init__()
        self.config = config
        self.whisper_adapter = Adapter(config.audio_dim, config.hidden, config.dim)
        self.vision_adapter = Adapter(config.picture_dim, config.hidden, config.dim)
        self.embedding = nn.Parameter(torch.empty(config.vocabulary, config.dim))
        self.decoder = Decoder(config.decoder)
        self.norm = RMSNorm(config.dim, config.eps)

    def merge(
        self,
        ids: Tensor,
        audio: Sequence[Tensor | None] = (),
        pictures: Sequence[Tensor | None] = (),
        *,
        text_only: bool = False,
    ) -> Tensor:
        """Eight rows of ids, those of layers shifted into their part of the vocabulary, int64 [8, N, T] → [N, T, dim].

        ``audio`` [t, audio_dim] and ``pictures`` [50, picture_dim] of each item take the place of the seven audio rows,
        from position 1 on; beside a picture the sound begins at 52, one place later than it should (as the model was
        served). Written prompts are divided by eight too.
        """
        rows = F.embedding(ids, self.embedding)
        for n in range(ids.shape[1]):
            picture = pictures[n] if pictures else None
            sound = audio[n] if audio else None
            if picture is not None:
                rows[:LAYERS, n, 1 : 1 + len(picture)] = self.vision_adapter(picture)
            if sound is not None:
                start = 1 if picture is None else PICTURE + 2
                rows[:LAYERS, n, start : start + len(sound)] = self.whisper_adapter(sound)
        return rows.sum(0) / (LAYERS + 1)

    def think(self, x: Tensor, cache: Cache, rows: Rows) -> Tensor:
        """The next positions [N, T, dim] of these rows → [N, T, dim], normed."""
        out: Tensor = self.norm(self.decoder.stream(x, cache, rows))
        return out

    def offline(self, x: Tensor) -> Tensor:
        """Whole sequences."""
        out: Tensor = self.norm(self.decoder.offline(x))
        return out

    def text_logits(self, hidden: Tensor) -> Tensor:
        """[…, dim] → […, text_size]."""
        return F.linear(hidden, self.embedding[: self.config.text_size])

    def audio_logits(self, hidden: Tensor) -> Tensor:
        """[…, dim] → [7, …, audio_size]."""
        logits = F.linear(hidden, self.embedding[self.config.text_size :])
        return logits.view(*logits.shape[:-1], LAYERS, self.config.audio_size).movedim(-2, 0)

    def shifted(self, codes: Tensor) -> Tensor:
        """Ids of the seven layers [7, …] in their parts of the vocabulary."""
        c = self.config
        shift = c.text_size + c.audio_size * torch.arange(LAYERS, device=codes.device)
        return codes + shift.view(-1, *(1,) * (codes.dim() - 1))


def kept(samples: int) -> int:
    """Steps of Whisper that a sound of so many samples at 16 kHz keeps; in the reference it may exceed a window."""
    return int(samples / 16_000 * 1000 / 20) + 1


def prompt(
    config: MiniOmni2Config, task: Task, *, sound: int = 0, text: Sequence[int] = (), picture: bool = False
) -> Tensor:
    """Ids of a prompt, int64 [8, T]: ``sound`` steps of Whisper or ``text`` tokens, and for a spoken question perhaps a
    picture before it. There is no system prompt, no template and no history."""
    s = config.specials
    answers_aloud = task in ("A1A2", "T1A2")
    last_a, last_t = s.answer_a if answers_aloud else s.pad_a, s.asr if task == "A1T1" else s.answer_t
    if picture:
        layer = [s.image, *[s.pad_a] * PICTURE, s.eoimage, s.input_a, *[s.pad_a] * sound, s.eoa, last_a]
        words = [*[s.pad_t] * (len(layer) - 1), last_t]
    elif task in ("T1A2", "T1T2"):
        layer = [*[s.pad_a] * (len(text) + 2), last_a]
        words = [s.input_t, *text, s.eot, last_t]
    else:
        layer = [s.input_a, *[s.pad_a] * sound, s.eoa, last_a]
        words = [s.input_t, *[s.pad_t] * sound, s.eot, last_t]
    layers = [[each + config.text_size + config.audio_size * n for each in layer] for n in range(LAYERS)]
    return torch.tensor([*layers, words])


def frames(columns: Sequence[Sequence[int]]) -> Tensor:
    """Whole frames int64 [7, F] of an answer's columns (eight tokens each, text last), the layers' delays undone."""
    tokens = torch.tensor([list(column)[:LAYERS] for column in columns], dtype=torch.int64).reshape(-1, LAYERS).T
    count = max(0, tokens.shape[1] - LAYERS)
    return torch.stack([tokens[n, n + 1 : n + 1 + count] for n in range(LAYERS)])


def keys(config: MiniOmni2Config) -> KeyTable:
    """How ``lit_model.pth`` names the tensors. Its fused projection goes group by group: the queries of a key, the key,
    the value."""
    c, head = config, config.decoder.head_dim
    each = c.heads // c.kv_heads
    order: list[int] = []
    for group in range(c.kv_heads):
        q, k = group * each * head, (c.heads + group) * head
        v = k + c.kv_heads * head
        order += [*range(q, q + each * head), *range(k, k + head), *range(v, v + head)]
    layer, own = "transformer.h.{i}.", "decoder.layers.{i}."
    return KeyTable(
        Key("{adapter}.{part}.weight", "{adapter}.{part}.weight"),
        Key("transformer.wte.weight", "embedding"),
        Key(f"{layer}norm_1.weight", f"{own}norm_attn.weight"),
        Key(f"{layer}norm_2.weight", f"{own}norm_mlp.weight"),
        Key(f"{layer}attn.attn.{{p}}", f"{own}qkv.{{p}}", order=order),
        Key(f"{layer}attn.proj.weight", f"{own}out.weight"),
        Key(f"{layer}mlp.fc_1.weight", f"{own}up.weight", rows=range(c.hidden)),
        Key(f"{layer}mlp.fc_2.weight", f"{own}up.weight", rows=range(c.hidden, 2 * c.hidden)),
        Key(f"{layer}mlp.proj.weight", f"{own}down.weight"),
        Key("transformer.ln_f.weight", "norm.weight"),
        unread=["lm_head.weight"],
    )


def manifest() -> dict[str, dict[str, list[int]]]:
    """Names and shapes of what is loaded of the published files, from models without memory."""
    config = MiniOmni2Config()
    lm = unfilled(lambda: MiniOmni2LM(config), "meta", torch.float32)
    whisper = unfilled(lambda: Whisper(config.tower), "meta", torch.float32)
    eye = unfilled(lambda: Clip(config.clip), "meta", torch.float32)
    voice = snac.KEYS.published(unfilled(lambda: Snac(SnacConfig()), "meta", torch.float32))
    return {
        "lit_model.pth": keys(config).manifest(lm),
        "small.pt[model_state_dict]": KeyTable(*openai_keys("encoder.", "", config.tower.dim)).manifest(whisper),
        "ViT-B-32.pt": clip.KEYS.manifest(eye),
        "snac_24khz/pytorch_model.bin": {
            name: list(tensor.shape) for name, tensor in unfolded(voice, SPELLINGS[1]).items()
        },
    }
