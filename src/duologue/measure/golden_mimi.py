"""Checks of Mimi's golden cases."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from duologue.checkpoints.keys import unfilled
from duologue.checkpoints.layouts import mimi_from_transformers, one_spelling
from duologue.codecs.mimi import KEYS, Mimi, MimiConfig, in_pieces
from duologue.measure.golden import Case, Check
from duologue.models.moshi_files import load_mimi
from duologue.nn.conv import Streaming
from duologue.nn.rows import Rows


def whole(case: Case) -> Mimi:
    """The codec of a case that has all its weights."""
    return load_mimi(MimiConfig.from_published(case.config["mimi_config"]), case.weights, str(case.folder))


def part(case: Case, *parts: str) -> Mimi:
    """A codec of which only these parts have weights."""
    config = MimiConfig.from_published(case.config["mimi_config"])
    mimi = unfilled(lambda: Mimi(config), "cpu", torch.float32)
    KEYS.load(mimi, one_spelling(case.weights), source=str(case.folder), parts=parts)
    if "quantizer." in parts:
        mimi.quantizer.settle()
    return mimi


def everyone(x: Tensor) -> Rows:
    """All entries of a batch."""
    return Rows.of(range(len(x)))


def streamed(layer: Streaming, x: Tensor, size: int) -> Tensor:
    """[B, channels, T], the reference's order, through a layer ``size`` steps at a time."""
    return swapped(in_pieces(layer, swapped(x), size))


def swapped(x: Tensor) -> Tensor:
    """Between [B, channels, T] and [B, T, channels]."""
    return x.transpose(1, 2)


def seanet_encoder(case: Case) -> dict[str, Tensor]:
    encoder, audio = part(case, "encoder.").encoder, case.given("audio")
    return {
        "emb": swapped(encoder(swapped(audio))),
        "emb_stream": streamed(encoder, audio, case.config["chunk_samples"]),
    }


def seanet_decoder(case: Case) -> dict[str, Tensor]:
    decoder, z = part(case, "decoder.").decoder, case.given("z")
    return {
        "audio": swapped(decoder(swapped(z))),
        "audio_stream": streamed(decoder, z, case.config["chunk_steps"]),
    }


def transformer(case: Case) -> dict[str, Tensor]:
    mimi, z = part(case, "encoder_transformer."), swapped(case.given("z"))
    decoder, rows, steps = mimi.encoder_transformer, everyone(z), mimi.config.steps

    def stream(size: int, reset_before: int | None = None) -> Tensor:
        cache = decoder.cache(len(z), group=size, chunk=size)
        out = []
        for index, piece in enumerate(torch.split(z, size, dim=1)):
            if index == reset_before:
                cache.reset(Rows.of(n for n, on in enumerate(case.config["reset_mask"]) if on))
            out.append(decoder.stream(piece, cache, rows))
        return swapped(torch.cat(out, dim=1))

    outputs = {
        "y": swapped(decoder.offline(z)),
        "y_reset": stream(steps, case.config["reset_chunk_index"]),
    }
    for name in case.expected:
        if found := re.fullmatch(r"y_stream(\d+)", name):
            outputs[name] = stream(int(found[1]))
    return outputs


def resample(case: Case) -> dict[str, Tensor]:
    mimi = part(case, "downsample.", "upsample.")
    z, u = case.given("z"), case.given("u")
    return {
        "down": swapped(mimi.downsample(swapped(z))),
        "down_stream": streamed(mimi.downsample, z, mimi.config.steps),
        "up": swapped(mimi.upsample(swapped(u))),
        "up_stream": streamed(mimi.upsample, u, 1),
    }


def split_rvq(case: Case) -> dict[str, Tensor]:
    quantizer, z, codes = part(case, "quantizer.").quantizer, case.given("z"), case.given("codes")
    # `codes` is an input (to look up) and an output (of encoding z): the input is found first.
    encoded = quantizer.encode(swapped(z), case.config["num_codebooks"])
    return {
        "codes": encoded,
        "codes_all_levels": quantizer.encode(swapped(z), quantizer.levels),
        "quantized": swapped(quantizer.decode(encoded)),
        "lookup": swapped(quantizer.decode(codes)),
        "lookup_semantic_only": swapped(quantizer.decode(codes[:, :1])),
    }


def offline(case: Case) -> dict[str, Tensor]:
    mimi, audio = whole(case), case.given("audio")
    levels = case.config["num_codebooks"]
    features = mimi.features(audio)
    codes = mimi.encode(audio, levels)
    return {
        "offline_emb": swapped(features),
        "offline_tr": swapped(mimi.encoder_transformer.offline(features)),
        "offline_latent": swapped(mimi.latent(audio)),
        "offline_codes": codes,
        "offline_quantized": swapped(mimi.quantizer.decode(codes)),
        "offline_audio": mimi.decode(codes),
    }


def streaming(case: Case) -> dict[str, Tensor]:
    mimi, audio = whole(case), case.given("audio")
    state, rows = mimi.state(len(audio)), everyone(audio)
    levels = case.config["num_codebooks"]
    codes, waves = [], []
    for frame in torch.split(audio, mimi.config.frame, dim=-1):
        codes.append(mimi.encode_stream(frame, state.encoder, rows, levels))
        waves.append(mimi.decode_stream(codes[-1], state.decoder, rows))
    outputs = {"codes": torch.cat(codes, dim=-1), "audio": torch.cat(waves, dim=-1)}
    if "codes_offline" in case.expected:
        outputs["codes_offline"] = mimi.encode(audio, levels)
        outputs["audio_offline"] = mimi.decode(outputs["codes_offline"])
    return outputs


def two_sessions(case: Case) -> dict[str, Tensor]:
    mimi, audio, mask = whole(case), case.given("audio"), case.given("exec_mask")
    state = mimi.state(len(audio))
    levels = case.config["num_codebooks"]
    frames = torch.split(audio, mimi.config.frame, dim=-1)
    codes = torch.zeros(len(audio), levels, len(frames), dtype=torch.int64)
    wave = torch.zeros_like(audio)
    for index, frame in enumerate(frames):
        if index == case.config["reset_before_frame"]:
            state.reset(Rows.of(n for n, on in enumerate(case.config["reset_mask"]) if on))
        running = [n for n in range(len(audio)) if mask[index, n]]
        if not running:
            continue
        rows = Rows.of(running)
        column = mimi.encode_stream(frame[running], state.encoder, rows, levels)
        codes[running, :, index] = column[..., 0]
        start = index * mimi.config.frame
        wave[running, :, start : start + mimi.config.frame] = mimi.decode_stream(column, state.decoder, rows)
    return {"codes": codes, "audio": wave, "exec_mask": mask}


def transformers_layout(case: Case) -> dict[str, Tensor]:
    published = case.config["hf_config"]
    config = MimiConfig.from_transformers(published)
    tensors = mimi_from_transformers(case.weights, published["num_attention_heads"])
    mimi = load_mimi(config, tensors, str(case.folder))
    codes = mimi.encode(case.given("audio"), case.config["num_quantizers_used"])
    return {"codes": codes, "audio": mimi.decode(codes)}


CHECKS: dict[str, Check] = {
    "seanet_encoder": seanet_encoder,
    "mimi.encoder": seanet_encoder,
    "seanet_decoder": seanet_decoder,
    "mimi.decoder": seanet_decoder,
    "mimi_transformer": transformer,
    "mimi.encoder_transformer": transformer,
    "mimi_resample": resample,
    "mimi.downsample+upsample": resample,
    "split_rvq": split_rvq,
    "mimi.quantizer": split_rvq,
    "mimi_offline": offline,
    "mimi.encode+decode (offline)": offline,
    "mimi_streaming": streaming,
    "mimi.encode+decode (frame by frame)": streaming,
    "mimi_published_strides": streaming,
    "mimi at 24 kHz, ratios 8,6,5,4, 1920-sample frames": streaming,
    "mimi_two_sessions": two_sessions,
    "mimi streaming with per-entry reset and exec mask": two_sessions,
    "hf_mimi": transformers_layout,
    "Mimi in the transformers layout (kyutai/mimi)": transformers_layout,
}
"""By the case's name and by its component."""
