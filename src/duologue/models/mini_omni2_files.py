"""Mini-Omni2 from its published files, and small random ones in their layout.

    gpt-omni/mini-omni2      lit_model.pth, model_config.yaml, small.pt, ViT-B-32.pt, tokenizer.json
    ╰ snac_24khz/            config.json and pytorch_model.bin of hubertsiuzdak/snac_24khz

OpenAI's ViT-B-32.pt is a TorchScript archive; its tensors are read, its code is not run. A plain dictionary will do.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml  # type: ignore[import-untyped]

from duologue.checkpoints.elsewhere import Elsewhere
from duologue.checkpoints.files import CheckpointError, Stored, read_json, read_pickle
from duologue.checkpoints.keys import KeyTable, stored, unfilled
from duologue.checkpoints.weight_norm import SPELLINGS, folded, unfolded
from duologue.codecs import snac
from duologue.codecs.snac import Snac, SnacConfig
from duologue.encoders import clip
from duologue.encoders.clip import Clip, ClipConfig
from duologue.encoders.whisper import Whisper, WhisperConfig, openai_keys
from duologue.models.catalogue import System
from duologue.models.mini_omni2 import MiniOmni2Config, MiniOmni2LM, Specials, keys, manifest
from duologue.models.mini_omni2_turns import MiniOmni2
from duologue.models.text import Vocabulary
from duologue.models.tiny import byte_level, fill
from duologue.nn.linear import pack, quantize

LM, CONFIG, EAR, EYE = "lit_model.pth", "model_config.yaml", "small.pt", "ViT-B-32.pt"
CODEC = ("snac_24khz", "pytorch_model.bin")
CODEC_FROM = "hubertsiuzdak/snac_24khz on the hub"

SIZES: Mapping[str, Any] = {
    "n_embd": 64, "n_layer": 2, "n_head": 4, "n_query_groups": 2, "head_size": 16, "intermediate_size": 96,
    "block_size": 2048, "rope_base": 1000000, "norm_eps": 1e-6, "text_vocab_size": 384, "audio_vocab_size": 1024,
    "whisper_adapter_dim": 64, "vision_adapter_dim": 32, "bias": False, "lm_head_bias": False, "add_qkv_bias": True,
    "parallel_residual": False, "rotary_percentage": 1, "rope_condense_ratio": 1, "tie_word_embeddings": True,
    "post_adapter": False, "scale_embeddings": False, "norm_class_name": "RMSNorm", "mlp_class_name": "LLaMAMLP",
    "asr_adapter": "llamamlp",
}  # fmt: skip
WHISPER_SIZES = {"n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": 64, "n_audio_head": 1, "n_audio_layer": 1}
CLIP_SIZES = {"size": 224, "patch": 32, "dim": 64, "layers": 1, "out": 32}
SNAC_SIZES: Mapping[str, Any] = {
    "sampling_rate": 24000, "encoder_dim": 4, "encoder_rates": [2, 4, 8, 8], "decoder_dim": 16,
    "decoder_rates": [8, 8, 4, 2], "attn_window_size": None, "codebook_size": 1000, "codebook_dim": 4,
    "vq_strides": [4, 2, 1], "noise": True, "depthwise": True,
}  # fmt: skip
HEAD = 64
"""Width of a head of CLIP's."""


def load(directory: Path, *, device: torch.device, dtype: torch.dtype, bits: int | None = None) -> MiniOmni2:
    """See :class:`duologue.models.catalogue.Load`."""
    for name in (LM, CONFIG, EAR, EYE):
        if not (directory / name).is_file():
            raise CheckpointError(f"{directory / name} is missing: it belongs to gpt-omni/mini-omni2, fetch it again")
    raw = _yaml(directory / CONFIG)
    codec = _codec(directory, device)
    try:
        config = MiniOmni2Config.from_published(raw, _specials(raw, codec.config))
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{directory / CONFIG} is not of this model: {error}") from error
    vocabulary = Vocabulary(directory / "tokenizer.json")
    if vocabulary.size > config.specials.text:
        raise CheckpointError(
            f"{directory}: the tokenizer has {vocabulary.size} tokens, the model {config.specials.text} beside its own"
        )
    lm = unfilled(lambda: MiniOmni2LM(config), device, dtype)
    keys(config).load(lm, _stored(read_pickle(directory / LM)), source=str(directory / LM))
    quantize(lm) if bits == 8 else pack(lm)
    return MiniOmni2(lm, _ear(directory / EAR, device), _eye(directory / EYE, device), codec, vocabulary)


def _specials(raw: Mapping[str, Any], codec: SnacConfig) -> Specials:
    """The published ids, and those of small ones of our own: the tables are the next multiples of 64 above."""
    if raw["text_vocab_size"] == MiniOmni2Config().text_size:
        return Specials()
    return Specials(raw["text_vocab_size"] - 64, codec.codebook_size)


def _stored(tensors: Mapping[str, Any]) -> dict[str, Stored]:
    return {name: stored(tensor) for name, tensor in tensors.items() if isinstance(tensor, torch.Tensor)}


def _yaml(path: Path) -> dict[str, Any]:
    try:
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(held, dict):
        raise CheckpointError(f"{path} holds {type(held).__name__}, not a mapping")
    return held


def _ear(path: Path, device: torch.device) -> Whisper:
    held = read_pickle(path, "dims", "model_state_dict")
    try:
        config = WhisperConfig.from_openai(held["dims"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path} does not say the sizes of its encoder: {error}") from error
    model = unfilled(lambda: Whisper(config), device, torch.float32)
    encoder = {name: each for name, each in _stored(held["model_state_dict"]).items() if name.startswith("encoder.")}
    KeyTable(*openai_keys("encoder.", "", config.dim)).load(model, encoder, source=str(path))
    return model


def _eye(path: Path, device: torch.device) -> Clip:
    visual = {name: each for name, each in _stored(_state_dict(path)).items() if name.startswith("visual.")}
    try:
        dim, _, patch, _ = visual["visual.conv1.weight"].shape
        tokens, out = visual["visual.positional_embedding"].shape[0], visual["visual.proj"].shape[1]
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path} holds no CLIP encoder of pictures: {error}") from error
    layers = len({name.split(".")[3] for name in visual if name.startswith("visual.transformer.resblocks.")})
    side = round((tokens - 1) ** 0.5) * patch
    config = ClipConfig(side, patch, dim, layers, max(1, dim // HEAD), out)
    model = unfilled(lambda: Clip(config), device, torch.float32)
    clip.KEYS.load(model, visual, source=str(path))
    return model


def _state_dict(path: Path) -> dict[str, Any]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            scripted = any(name.endswith("constants.pkl") for name in archive.namelist())
        if scripted:
            try:
                return dict(torch.jit.load(str(path), map_location="cpu").state_dict())  # type: ignore[no-untyped-call]
            except RuntimeError as error:
                raise CheckpointError(f"{path} cannot be read as a TorchScript archive: {error}") from error
    return read_pickle(path)


def _codec(directory: Path, device: torch.device) -> Snac:
    path, described = directory.joinpath(*CODEC), directory / CODEC[0] / "config.json"
    for file in (path, described):
        if not file.is_file():
            raise CheckpointError(f"{file} is missing: it comes from {CODEC_FROM}")
    try:
        config = SnacConfig.from_published(read_json(described))
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{described}: {error}") from error
    model = unfilled(lambda: Snac(config), device, torch.float32)
    snac.KEYS.load(model, folded(_stored(read_pickle(path))), source=str(path))
    return model


def elsewhere(directory: Path) -> list[Elsewhere]:
    """The codec."""
    files = (f"{CODEC[0]}/{name}" for name in ("config.json", CODEC[1]))
    return [Elsewhere(path, "hubertsiuzdak/snac_24khz") for path in files if not (directory / path).is_file()]


def recognised(directory: Path) -> bool:
    """Whether a directory is laid out like it."""
    return (directory / LM).is_file() and (directory / CONFIG).is_file()


def write(directory: Path, *, seed: int, sizes: Mapping[str, Any]) -> None:
    """See :class:`duologue.models.catalogue.Write`. The sizes of Whisper, CLIP and SNAC are below ``whisper``, ``clip``
    and ``snac``; those of CLIP, which has no file for them, under the names of :class:`ClipConfig`."""
    dims = {**WHISPER_SIZES, **sizes.get("whisper", {})}
    voice = {**SNAC_SIZES, **sizes.get("snac", {})}
    raw = {**SIZES, **{name: each for name, each in sizes.items() if name not in ("whisper", "clip", "snac")}}
    tokenizer = byte_level(("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    try:
        codec_config, look = SnacConfig.from_published(voice), {**CLIP_SIZES, **sizes.get("clip", {})}
        eye_config = ClipConfig(heads=max(1, look["dim"] // HEAD), **look)
        config = MiniOmni2Config.from_published(raw, _specials(raw, codec_config))
        lm = unfilled(lambda: MiniOmni2LM(config), "cpu", torch.float32)
        ear = unfilled(lambda: Whisper(WhisperConfig.from_openai(dims)), "cpu", torch.float32)
        eye = unfilled(lambda: Clip(eye_config), "cpu", torch.float32)
        codec = unfilled(lambda: Snac(codec_config), "cpu", torch.float32)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"sizes that make no model: {error}") from error
    if config.specials.text < tokenizer.get_vocab_size() or config.audio_size < config.specials.codes + 7:
        raise CheckpointError("the vocabularies are too small: bytes and 64 tokens more; a codebook and 7 tokens more")
    generator = torch.Generator().manual_seed(seed)
    for part in (lm, ear, eye, codec):
        fill(part, generator)
    (directory / CODEC[0]).mkdir(parents=True, exist_ok=True)
    own = _whole(keys(config).published(lm))
    torch.save({**own, "lm_head.weight": own["transformer.wte.weight"]}, directory / LM)
    encoder = _whole(KeyTable(*openai_keys("encoder.", "", ear.config.dim)).published(ear))
    torch.save({"dims": dims, "model_state_dict": encoder}, directory / EAR)
    torch.save(_whole(clip.KEYS.published(eye)), directory / EYE)
    torch.save(_whole(unfolded(snac.KEYS.published(codec), SPELLINGS[1])), directory.joinpath(*CODEC))
    (directory / CODEC[0] / "config.json").write_text(json.dumps(voice, indent=1))
    (directory / CONFIG).write_text(yaml.safe_dump(raw))
    tokenizer.save(str(directory / "tokenizer.json"))


def _whole(published: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: view.contiguous().clone() for name, view in published.items()}


SYSTEM = System(
    name="mini_omni2",
    title="Mini-Omni2",
    languages=("en",),
    licence="MIT",
    repositories=("gpt-omni/mini-omni2", "hubertsiuzdak/snac_24khz"),
    recognises=recognised,
    load=load,
    write=write,
    manifest=manifest,
    elsewhere=elsewhere,
)
