"""Moshi and PersonaPlex from their published directories.

``kyutai/moshiko-pytorch-bf16``, ``kyutai/moshika-pytorch-bf16``, ``nvidia/personaplex-7b-v1``: a language
model, the codec, a SentencePiece model, and perhaps a ``config.json`` that names the files and sizes; without
it the files have these names and the model is the 7B.

``kmhf/hf-moshiko`` and its like: the same in the layout of transformers, where codec and language model share their
files and the text tokenizer is a ``tokenizer.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from duologue.checkpoints.files import CheckpointError, Tensors, below, open_directory, open_safetensors, read_json
from duologue.checkpoints.keys import unfilled
from duologue.checkpoints.layouts import mimi_from_transformers, moshi_from_transformers, one_spelling
from duologue.codecs import mimi as codec
from duologue.codecs.mimi import Mimi, MimiConfig
from duologue.models import moshi as system
from duologue.models.catalogue import System
from duologue.models.moshi import Dialogue, Moshi, MoshiLM
from duologue.models.moshi_config import MoshiConfig
from duologue.models.personaplex import PersonaPlex, load_voices, personaplex
from duologue.nn.linear import pack, quantize
from duologue.nn.sampling import Sampling

LM_FILE = "model.safetensors"
MIMI_FILE = "tokenizer-e351c8d8-checkpoint125.safetensors"
TEXT_FILE = "tokenizer_spm_32k_3.model"
CODEC_PREFIX = "audio_encoder."
"""Of the codec's tensors in the layout of transformers."""


def load_mimi(config: MimiConfig, tensors: Tensors, source: str, device: torch.device | str = "cpu") -> Mimi:
    """The codec, in float32, from tensors in Kyutai's layout."""
    mimi = unfilled(lambda: Mimi(config), device, torch.float32)
    codec.KEYS.load(mimi, one_spelling(tensors), source=source)
    mimi.quantizer.settle()
    pack(mimi)
    return mimi


def load_lm(
    config: MoshiConfig,
    tensors: Tensors,
    source: str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    bits: int | None = None,
) -> MoshiLM:
    """The language model from tensors in Kyutai's layout, the fused or the newer spelling; 8 ``bits``: quantized."""
    lm = unfilled(lambda: MoshiLM(config), device, dtype)
    system.KEYS.load(lm, one_spelling(tensors), source=source)
    quantize(lm) if bits == 8 else pack(lm)
    return lm


def configuration(directory: Path) -> tuple[MoshiConfig, MimiConfig, dict[str, Any]]:
    """Sizes of both models and the rest of ``config.json`` (empty where there is none)."""
    path = directory / "config.json"
    raw = read_json(path) if path.is_file() else {}
    named = raw.get("mimi_config_name")
    try:
        lm = MoshiConfig.from_published(raw) if "dim" in raw else MoshiConfig()
        mimi = MimiConfig.from_published(read_json(directory / named)) if named else MimiConfig()
    except ValueError as error:
        raise CheckpointError(f"{directory}: {error}") from error
    if is_personaplex(directory, raw):
        lm = personaplex(lm if "dim" in raw else replace(lm, dep_q=lm.n_q))
    return lm, mimi, raw


def is_personaplex(directory: Path, raw: dict[str, Any]) -> bool:
    """Its configuration says so, or its voices lie beside it."""
    voices = (directory / "voices.tgz").is_file() or (directory / "voices").is_dir()
    return raw.get("model_type") == "personaplex" or ("model_type" not in raw and voices)


def load_moshi(
    directory: Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.bfloat16,
    bits: int | None = None,
) -> Moshi:
    """A model from a directory of the published layout; with 8 ``bits`` (and bfloat16) its weights are quantized.

    Raises :class:`~duologue.checkpoints.files.CheckpointError` naming what is missing or does not fit.
    """
    if not directory.is_dir():
        raise CheckpointError(f"{directory} is no directory: give one with {LM_FILE} and {MIMI_FILE}")
    if (from_transformers := _transformers_config(directory)) is not None:
        return _load_transformers(directory, from_transformers, device, dtype, bits)
    lm_config, mimi_config, raw = configuration(directory)
    lm_path = directory / raw.get("moshi_name", LM_FILE)
    mimi_path = directory / raw.get("mimi_name", MIMI_FILE)
    text_path = directory / raw.get("tokenizer_name", TEXT_FILE)
    if not text_path.is_file():
        raise CheckpointError(f"{text_path} does not exist: the text tokenizer is part of the model")
    from sentencepiece import SentencePieceProcessor

    try:
        tokenizer = SentencePieceProcessor(model_file=str(text_path))
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f"{text_path} is not a SentencePiece model: {error}") from error
    if tokenizer.vocab_size() != lm_config.text_card:
        pieces = tokenizer.vocab_size()
        raise CheckpointError(f"{text_path} has {pieces} pieces, the model {lm_config.text_card}")
    mimi = load_mimi(mimi_config, open_safetensors(mimi_path), str(mimi_path), device)
    lm = load_lm(lm_config, open_safetensors(lm_path), str(lm_path), device, dtype, bits)
    dialogue = Dialogue(lm, *sampling(raw.get("lm_gen_config") or {}))
    if is_personaplex(directory, raw):
        voices = load_voices(directory)
        return PersonaPlex(mimi, dialogue, tokenizer.id_to_piece, tokenizer.encode, voices)
    return Moshi(mimi, dialogue, tokenizer.id_to_piece)


def _transformers_config(directory: Path) -> dict[str, Any] | None:
    path = directory / "config.json"
    raw = read_json(path) if path.is_file() else {}
    return raw if "audio_encoder_config" in raw and "depth_decoder_config" in raw else None


def _load_transformers(
    directory: Path, raw: dict[str, Any], device: torch.device | str, dtype: torch.dtype, bits: int | None
) -> Moshi:
    try:
        lm_config = MoshiConfig.from_transformers(raw)
        mimi_config = MimiConfig.from_transformers(raw["audio_encoder_config"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{directory / 'config.json'}: {type(error).__name__}: {error}") from error
    from tokenizers import Tokenizer

    text_path = directory / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(text_path))
    except Exception as error:  # the library raises plain exceptions
        raise CheckpointError(f"{text_path} cannot be read as a tokenizer: {error}") from error
    if tokenizer.get_vocab_size() < lm_config.text_card:
        pieces = tokenizer.get_vocab_size()
        raise CheckpointError(f"{text_path} has {pieces} pieces, the model {lm_config.text_card}")
    tensors = open_directory(directory)
    codec_tensors = below(tensors, CODEC_PREFIX)
    rest = {name: stored for name, stored in tensors.items() if not name.startswith(CODEC_PREFIX)}
    mimi = load_mimi(mimi_config, mimi_from_transformers(codec_tensors, mimi_config.heads), str(directory), device)
    own = moshi_from_transformers(rest, lm_config.heads)
    lm = load_lm(lm_config, own, str(directory), device, dtype, bits)
    return Moshi(mimi, Dialogue(lm, *sampling({})), lambda token: tokenizer.id_to_token(token) or "")


def sampling(published: dict[str, Any]) -> tuple[Sampling, Sampling]:
    """How text and audio tokens are drawn, under the names of Kyutai's ``lm_gen_config``."""
    if not published.get("use_sampling", True):
        return Sampling(0.0), Sampling(0.0)
    return (
        Sampling(published.get("temp_text", 0.7), published.get("top_k_text", 25)),
        Sampling(published.get("temp", 0.8), published.get("top_k", 250)),
    )


def manifest(config: MoshiConfig) -> dict[str, dict[str, list[int]]]:
    """Names and shapes of what is loaded of a published checkpoint, from models without memory."""
    lm = unfilled(lambda: MoshiLM(config), "meta", torch.bfloat16)
    mimi = unfilled(lambda: Mimi(MimiConfig()), "meta", torch.float32)
    return {"lm": system.KEYS.manifest(lm), "mimi": codec.KEYS.manifest(mimi)}


def recognised(directory: Path) -> str | None:
    """``moshi`` or ``personaplex``, where a directory is laid out like one of them."""
    path = directory / "config.json"
    raw = read_json(path) if path.is_file() else {}
    codec_file = raw.get("mimi_name", MIMI_FILE)
    if raw.get("model_type", "moshi") not in ("moshi", "personaplex"):
        return None
    if not ({"dim", "mimi_name", "moshi_name"} & raw.keys() or (directory / codec_file).is_file()):
        return None
    return "personaplex" if is_personaplex(directory, raw) else "moshi"


def _write(directory: Path, *, seed: int, sizes: Mapping[str, Any]) -> None:
    from duologue.models.moshi_random import write

    write("moshi", directory, seed=seed, sizes=sizes)


SYSTEM = System(
    name="moshi",
    title="Moshi",
    languages=("en",),
    licence="CC-BY-4.0",
    repositories=("kyutai/moshiko-pytorch-bf16", "kyutai/moshika-pytorch-bf16"),
    recognises=lambda directory: recognised(directory) == "moshi",
    load=load_moshi,
    write=_write,
    manifest=lambda: manifest(MoshiConfig()),
)
