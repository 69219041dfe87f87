"""LLaMA-Omni from its published files, and small random ones in their layout.

    ICTNLP/Llama-3.1-8B-Omni     config.json, shards with their index, tokenizer.json
    ╰ large-v3.pt                OpenAI's Whisper; where it is not there, the shards' own model.speech_encoder
    ╰ vocoder/                   g_00500000 and config.json of fairseq's CodeHiFiGAN for mHuBERT's units

The last two come from elsewhere and are looked for beside the first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from duologue.checkpoints.elsewhere import Elsewhere
from duologue.checkpoints.files import CheckpointError, Tensors, below, open_directory, read_json, read_pickle
from duologue.checkpoints.keys import stored, unfilled
from duologue.checkpoints.weight_norm import folded, unfolded
from duologue.codecs import unit_hifigan
from duologue.codecs.unit_hifigan import UnitHiFiGAN, UnitHiFiGANConfig
from duologue.encoders.whisper import WhisperConfig
from duologue.models.catalogue import System
from duologue.models.llama_omni import LlamaOmniConfig, LlamaOmniNet, keys, manifest
from duologue.models.llama_omni_turns import CONTROL, LlamaOmni
from duologue.models.text import Vocabulary
from duologue.models.tiny import byte_level, fill
from duologue.nn.linear import pack, quantize

WHISPER = ("large-v3.pt", "models/speech_encoder/large-v3.pt")
WHISPER_DIGEST = "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb"
WHISPER_FROM = f"https://openaipublic.azureedge.net/main/whisper/models/{WHISPER_DIGEST}/large-v3.pt"
VOCODER = ("vocoder", "g_00500000")
VOCODER_FROM = (
    "https://dl.fbaipublicfiles.com/fairseq/speech_to_speech/vocoder/code_hifigan/"
    "mhubert_vp_en_es_fr_it3_400k_layer11_km1000_lj"
)
IN_SHARDS = "model.speech_encoder."

SIZES: Mapping[str, Any] = {
    "model_type": "omni_speech2s_llama",
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 264, "max_position_embeddings": 2048, "rope_theta": 500000.0,
    "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
    "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                     "original_max_position_embeddings": 8192},
    "speech_encoder_ds_rate": 5, "speech_projector_type": "linear", "speech_generator_type": "ctc",
    "projector_hidden": 48, "ctc_decoder_config": "(1,32,4,48)", "ctc_upsample_factor": 25, "unit_vocab_size": 100,
}  # fmt: skip
WHISPER_SIZES = {"n_mels": 128, "n_audio_ctx": 1500, "n_audio_state": 64, "n_audio_head": 1, "n_audio_layer": 1}
VOCODER_SIZES: Mapping[str, Any] = {
    "resblock": "1", "upsample_rates": [5, 4, 4, 2, 2], "upsample_kernel_sizes": [11, 8, 8, 4, 4],
    "upsample_initial_channel": 32, "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]], "num_embeddings": 100, "embedding_dim": 16,
    "model_in_dim": 16, "code_hop_size": 320, "sampling_rate": 16000,
    "dur_predictor_params": {"encoder_embed_dim": 16, "var_pred_hidden_dim": 16, "var_pred_kernel_size": 3,
                             "var_pred_dropout": 0.5},
}  # fmt: skip


def load(directory: Path, *, device: torch.device, dtype: torch.dtype, bits: int | None = None) -> LlamaOmni:
    """See :class:`duologue.models.catalogue.Load`."""
    raw = read_json(directory / "config.json")
    shards = open_directory(directory)
    tower, encoder = _whisper(directory, shards)
    if (inner := shards.get("model.speech_projector.linear1.weight")) is not None:
        raw = {"projector_hidden": inner.shape[0], **raw}  # no published configuration names it
    try:
        config = LlamaOmniConfig.from_published(raw, tower)
    except ValueError as error:
        raise CheckpointError(f"{directory}: {error}") from error
    vocabulary = Vocabulary(directory / "tokenizer.json")
    if vocabulary.size > config.vocabulary:
        raise CheckpointError(
            f"{directory}: the tokenizer has {vocabulary.size} tokens, the model {config.vocabulary}: they do not agree"
        )
    net = unfilled(lambda: LlamaOmniNet(config), device, dtype)
    own = {name: each for name, each in shards.items() if not name.startswith(IN_SHARDS)}
    keys(config).load(net, {**own, **encoder}, source=str(directory))
    net.tower.float()  # the spectrogram's range asks for it
    quantize(net) if bits == 8 else pack(net)
    return LlamaOmni(net, _vocoder(directory, device, config.units), vocabulary)


def elsewhere(directory: Path) -> list[Elsewhere]:
    """Whisper, where its shards have none, and the vocoder."""
    there = any((directory / place).is_file() for place in WHISPER)
    inside = there or any(name.startswith(IN_SHARDS) for name in open_directory(directory))
    wanted = [] if inside else [Elsewhere(WHISPER[0], url=WHISPER_FROM, sha256=WHISPER_DIGEST)]
    voice = (f"{VOCODER[0]}/{name}" for name in (VOCODER[1], "config.json"))
    wanted += [Elsewhere(path, url=f"{VOCODER_FROM}/{Path(path).name}") for path in voice]
    return [each for each in wanted if not (directory / each.path).is_file()]


def _whisper(directory: Path, shards: Tensors) -> tuple[WhisperConfig, Tensors]:
    """Sizes and tensors of the encoder, under OpenAI's names."""
    for place in WHISPER:
        if (path := directory / place).is_file():
            held = read_pickle(path, "model_state_dict", "dims")
            dims = held["dims"]
            tensors = {name: stored(t) for name, t in held["model_state_dict"].items() if name.startswith("encoder.")}
            try:
                return WhisperConfig.from_openai(dims), tensors
            except (KeyError, TypeError) as error:
                raise CheckpointError(f"{path} does not say the sizes of its encoder: {error}") from error
    inner = below(shards, IN_SHARDS)
    if not inner:
        raise CheckpointError(
            f"{directory} has no Whisper: neither {WHISPER[0]} nor {IN_SHARDS}* in its shards. "
            f"Put {WHISPER[0]} beside config.json; it comes from {WHISPER_FROM}"
        )
    dim, mels, _ = inner["conv1.weight"].shape
    layers = len({name.split(".")[1] for name in inner if name.startswith("blocks.")})
    steps = inner["positional_embedding"].shape[0]
    sizes = {"n_mels": mels, "n_audio_ctx": steps, "n_audio_state": dim, "n_audio_head": max(1, dim // 64)}
    tensors = {f"encoder.{name}": each for name, each in inner.items()}
    return WhisperConfig.from_openai({**sizes, "n_audio_layer": layers}), tensors


def _vocoder(directory: Path, device: torch.device, units: int) -> UnitHiFiGAN:
    path, described = directory.joinpath(*VOCODER), directory / VOCODER[0] / "config.json"
    for file in (path, described):
        if not file.is_file():
            raise CheckpointError(f"{file} is missing: the unit vocoder comes from {VOCODER_FROM}")
    try:
        config = UnitHiFiGANConfig.from_published(read_json(described))
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{described}: {error}") from error
    if config.num_embeddings != units:
        raise CheckpointError(f"{described}: {config.num_embeddings} units, but the speech decoder names {units}")
    tensors = {name: stored(tensor) for name, tensor in read_pickle(path, "generator")["generator"].items()}
    model = unfilled(lambda: UnitHiFiGAN(config), device, torch.float32)
    unit_hifigan.KEYS.load(model, folded(tensors), source=str(path))
    return model


def recognised(directory: Path) -> bool:
    """Whether a directory is laid out like it."""
    path = directory / "config.json"
    return path.is_file() and read_json(path).get("model_type") == "omni_speech2s_llama"


def write(directory: Path, *, seed: int, sizes: Mapping[str, Any]) -> None:
    """See :class:`duologue.models.catalogue.Write`. Whisper's and the vocoder's sizes are below ``whisper`` and
    ``vocoder``, under the names in their own files."""
    dims = {**WHISPER_SIZES, **sizes.get("whisper", {})}
    voice = {**VOCODER_SIZES, **sizes.get("vocoder", {})}
    raw = {**SIZES, **{name: value for name, value in sizes.items() if name not in ("whisper", "vocoder")}}
    tokenizer = byte_level(CONTROL)
    try:
        config = LlamaOmniConfig.from_published(raw, WhisperConfig.from_openai(dims))
        net = unfilled(lambda: LlamaOmniNet(config), "cpu", torch.float32)
        vocoder = unfilled(lambda: UnitHiFiGAN(UnitHiFiGANConfig.from_published(voice)), "cpu", torch.float32)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"sizes that make no model: {error}") from error
    if config.vocabulary < tokenizer.get_vocab_size():
        raise CheckpointError(f"a vocabulary of {config.vocabulary} is too small; bytes alone are 256")
    generator = torch.Generator().manual_seed(seed)
    fill(net, generator)
    fill(vocoder, generator)
    with torch.no_grad():
        # Random heads leave few units of a text. Each is said for 100 ms or so, that there is speech to be heard.
        vocoder.dur_predictor.proj.bias.fill_(1.8)
    (directory / VOCODER[0]).mkdir(parents=True, exist_ok=True)
    published = {name: view.contiguous().clone() for name, view in keys(config).published(net).items()}
    save_file({n: t for n, t in published.items() if not n.startswith("encoder.")}, directory / "model.safetensors")
    encoder = {name: tensor for name, tensor in published.items() if name.startswith("encoder.")}
    torch.save({"dims": dims, "model_state_dict": encoder}, directory / WHISPER[0])
    spoken = unfolded(unit_hifigan.KEYS.published(vocoder), plain=("dur_predictor.",))
    torch.save({"generator": {name: each.clone() for name, each in spoken.items()}}, directory.joinpath(*VOCODER))
    (directory / VOCODER[0] / "config.json").write_text(json.dumps(voice, indent=1))
    (directory / "config.json").write_text(json.dumps(raw, indent=1))
    tokenizer.save(str(directory / "tokenizer.json"))


SYSTEM = System(
    name="llama_omni",
    title="LLaMA-Omni",
    languages=("en",),
    licence="academic research only, on top of the Llama 3.1 Community License; the vocoder CC-BY-NC-4.0",
    repositories=("ICTNLP/Llama-3.1-8B-Omni",),
    recognises=recognised,
    load=load,
    write=write,
    manifest=manifest,
    elsewhere=elsewhere,
)
