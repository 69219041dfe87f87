"""Checks of the golden cases of LLaMA-Omni. The tokenizer is the cases' stub: a byte is a token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from duologue.checkpoints.files import Tensors, open_safetensors
from duologue.checkpoints.keys import unfilled
from duologue.checkpoints.weight_norm import folded
from duologue.codecs import unit_hifigan
from duologue.codecs.unit_hifigan import UnitHiFiGAN, UnitHiFiGANConfig
from duologue.encoders.mel import HOP, windowed
from duologue.encoders.whisper import WhisperConfig
from duologue.measure.golden import Case, Check, Claim
from duologue.models.llama3 import laid_out
from duologue.models.llama_omni import (
    REQUIRED,
    Collapse,
    LlamaOmniConfig,
    LlamaOmniNet,
    SpeechDecoder,
    keys,
    positions,
)
from duologue.models.turns import Ids, Line, Sound
from duologue.nn.attention import rotation
from duologue.nn.cache import Whole
from duologue.nn.rows import Rows

SLOT = -200
"""Where the reference's prompts have a sound."""
IGNORED = -100

ENCODER = ("tower.", "linear")
LLAMA = ("embedding", "decoder.", "norm.", "head.")


def net(case: Case, parts: tuple[str, ...], tensors: Tensors | None = None, **sizes: Any) -> LlamaOmniNet:
    """Parts of the network of a case."""
    whisper = sizes.pop("whisper", None) or {}
    tower = WhisperConfig(
        mels=whisper.get("n_mels", 128),
        dim=whisper.get("n_audio_state", 16),
        layers=whisper.get("n_audio_layer", 1),
        heads=whisper.get("n_audio_head", 1),
        hidden=4 * whisper.get("n_audio_state", 16),
        steps=whisper.get("n_audio_ctx", 1500),
    )
    config = LlamaOmniConfig.from_published({**dict.fromkeys(REQUIRED, 1), **sizes}, tower)
    model = unfilled(lambda: LlamaOmniNet(config), "cpu", torch.float32)
    keys(config).load(model, case.weights if tensors is None else tensors, source=str(case.folder), parts=parts)
    return model


def whisper_encoder(case: Case) -> dict[str, Tensor]:
    model = net(case, ("tower.",), whisper=case.config, hidden_size=1)
    return {"hidden": model.tower.norm(model.tower(case.given("mel")))}


def speech_projector(case: Case) -> dict[str, Tensor]:
    c = case.config
    whisper = {"n_audio_state": c["speech_encoder_hidden_size"]}
    model = net(case, ("linear",), **{**c, "whisper": whisper})
    return {"y": model.project(case.given("x"))}


def encode_speech(case: Case) -> dict[str, Tensor]:
    model = net(case, ENCODER, **{**case.config, "whisper": case.config})
    heard = model.hear(case.given("mel2").transpose(1, 2))[case.given("which_mel")]
    counts = [positions(frames) for frames in case.given("speech_lengths").tolist()]
    kept = [row[:count] for row, count in zip(heard, counts, strict=True)]
    return {
        "n_features": torch.tensor([len(row) for row in kept]),
        "features": torch.nn.utils.rnn.pad_sequence(kept, batch_first=True),
    }


def mel_frontend(case: Case) -> dict[str, Tensor]:
    mel = _mel(case.given("wave"), case.config["mel_size"], case.config["chunk_length_s"])[0].T
    about = torch.stack([torch.tensor(float(len(mel))), mel.mean(), mel.min(), mel.max()])
    head, tail = len(case.expected["mel_head"]), len(case.expected["mel_tail"])
    return {"mel_head": mel[:head], "mel_tail": mel[-tail:], "mel_stats": about}


def _mel(wave: Tensor, mels: int, seconds: int = 30) -> Tensor:
    return windowed([wave], 100 * HOP * seconds, mels)


def llama(case: Case) -> dict[str, Tensor]:
    model = net(case, ("decoder.", "norm.", "head."), _without_embedding(case), **case.config)
    x = case.given("inputs_embeds")
    hidden = model.norm(model.decoder.offline(x))
    first = _first_block(model, x)
    cache, row = model.decoder.cache(1, length=x.shape[1], chunk=16), Rows.of([0])
    cut = case.config.get("prefill", 70)
    pieces = [model.think(x[:, :cut], cache, row)]
    pieces += [model.think(x[:, n : n + 1], cache, row) for n in range(cut, x.shape[1])]
    return {
        "logits": model.logits(hidden),
        "hidden": hidden,
        "cached_hidden": torch.cat(pieces, 1),
        "hidden_states_0": x,
        "hidden_states_1": first,
    }


def _without_embedding(case: Case) -> Tensors:
    return {name: stored for name, stored in case.weights.items() if name != "model.embed_tokens.weight"}


def _first_block(model: LlamaOmniNet, x: Tensor) -> Tensor:
    c = model.config.decoder
    memory = Whole(x.shape[1], None)
    turn = rotation(memory.positions, c.head_dim, c.theta, c.stretch)
    out: Tensor = model.decoder.layers[0](x, 0, memory, turn, None)
    return out


def generate(case: Case) -> dict[str, Tensor]:
    model = net(case, LLAMA, **case.config)
    x, most = case.given("inputs_embeds"), case.config["max_new_tokens"]
    tokens, logits, hidden = greedy(model, x, most)
    ended, _, hidden_ended = greedy(model, x, most, case.config["eos_token_id_second_run"])
    return {
        "tokens": tokens,
        "step_logits": logits,
        "hidden": hidden[None],
        "tokens_eos": ended,
        "hidden_eos": hidden_ended[None],
    }


def greedy(model: LlamaOmniNet, x: Tensor, most: int, end: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens [T], logits [T, vocabulary] and the states that predicted them [T, dim] after a prompt [1, P, dim]."""
    cache, row = model.decoder.cache(1, length=x.shape[1] + most, chunk=16), Rows.of([0])
    hidden = model.think(x, cache, row)[:, -1:]
    tokens, logits, states = [], [], []
    for _ in range(most):
        states.append(hidden[0, 0])
        logits.append(model.logits(hidden)[0, 0])
        tokens.append(logits[-1].argmax(-1))
        if end is not None and int(tokens[-1]) == end:
            break
        hidden = model.think(model.embed(tokens[-1].view(1, 1)), cache, row)
    return torch.stack(tokens), torch.stack(logits), torch.stack(states)


def speech_generator(case: Case) -> dict[str, Tensor]:
    model = net(case, ("speech.",), **case.config).speech
    states = case.given("hidden")
    logits = model(states[None])
    units, after = said(model, states)
    return {
        "upsampled": model.upsampled(states[None])[:, : case.expected["upsampled"].shape[1]],
        "ctc_logits": logits,
        "ctc_ids": logits.argmax(-1),
        "units": torch.tensor(units),
        "units_len_after_step": torch.tensor(after),
        **{f"chunk_ends_{size}": torch.tensor(chunk_ends(after, size)) for size in case.config["chunk_sizes"]},
    }


def said(model: SpeechDecoder, states: Tensor) -> tuple[list[int], list[int]]:
    """The units of an answer's states, token by token with a cache; and how many there were after each."""
    cache, row, collapse = model.cache(1, len(states)), Rows.of([0]), Collapse(model.blank)
    units: list[int] = []
    after = []
    for state in states:
        units += collapse.read(model.stream(state[None], cache, row)[0].tolist())
        after.append(len(units))
    return units, after


def chunk_ends(after: Sequence[int], size: int) -> list[int]:
    """Where chunks end: after every token with at least so many new units, all of them; the rest at the end."""
    ends: list[int] = []
    for count in after:
        if count - (ends[-1] if ends else 0) >= size:
            ends.append(count)
    return ends if ends and ends[-1] == after[-1] else [*ends, after[-1]]


def vocoder_of(config: Mapping[str, Any], tensors: Tensors, source: str) -> UnitHiFiGAN:
    """The unit vocoder from tensors with their weight norm."""
    model = unfilled(lambda: UnitHiFiGAN(UnitHiFiGANConfig.from_published(config)), "cpu", torch.float32)
    unit_hifigan.KEYS.load(model, folded(tensors), source=source)
    return model


def vocoder(case: Case) -> dict[str, Tensor]:
    model = vocoder_of(case.config, case.weights, str(case.folder))
    given = case.given("code_with_invalid")[0]
    units = given[given >= 0]
    chunks = [units[:11], units[11:]]
    return {
        "log_dur": model.log_durations(units[None], [len(units)]),
        "durations": model.durations(units[None], [len(units)]),
        "wave_dur": model(given),
        "wave_nodur": model(case.given("code")[0], timed=False),
        "wave_two_chunks": torch.cat([model(chunk) for chunk in chunks]),
        "durations_two_chunks": torch.cat([model.durations(c[None], [len(c)]) for c in chunks], dim=1),
    }


def splice(case: Case) -> dict[str, Tensor]:
    model = net(case, ("embedding",), **case.config)
    ids, mask = case.given("input_ids"), case.given("attention_mask").bool()
    sounds = [case.given(f"speech_{n}") for n in range(3)]
    rows, labels = [], []
    for row, attended in zip(ids, mask, strict=True):
        pieces, marks, start = [], [], 0
        kept = row[attended]
        for at in (kept == SLOT).nonzero()[:, 0].tolist():
            sound = sounds.pop(0)
            pieces += [model.embed(kept[start:at]), sound]
            marks += [kept[start:at], torch.full((len(sound),), IGNORED)]
            start = at + 1
        rows.append(torch.cat([*pieces, model.embed(kept[start:])]))
        labels.append(torch.cat([*marks, kept[start:]]))
    longest = max(map(len, rows))
    right = [(0, longest - len(row)) for row in rows]
    left = [(longest - len(row), 0) for row in rows]

    def padded(values: Sequence[Tensor], sides: Sequence[tuple[int, int]], value: int = 0) -> Tensor:
        return torch.stack([F.pad(v, (*(0, 0) * (v.dim() - 1), *side), value=value)
                            for v, side in zip(values, sides, strict=True)])  # fmt: skip

    ones = [torch.ones(len(row), dtype=torch.int64) for row in rows]
    numbers = [torch.arange(len(row)) for row in rows]
    return {
        "inputs_embeds_right": padded(rows, right),
        "attention_mask_right": padded(ones, right),
        "position_ids_right": padded(numbers, right),
        "labels_right": padded(labels, right, IGNORED),
        "inputs_embeds_left": padded(rows, left),
        "attention_mask_left": padded(ones, left),
        "position_ids_left": padded(numbers, left),
    }


def prompt_layout(case: Case) -> dict[str, Tensor]:
    stub = case.config["stub_special_ids"]
    return {
        f"ids_{name}": torch.tensor(_ids(dialogue["messages"], stub))
        for name, dialogue in case.config["dialogues"].items()
    }


def _ids(messages: Sequence[Sequence[str | None]], control: Mapping[str, int]) -> list[int]:
    """The tokens of a dialogue, a sound as the reference's slot."""
    lines = []
    for role, text in messages:
        if text is not None:
            sound = Sound(0, np.zeros(1, np.float32))
            parts: tuple[Any, ...] = (sound,) if text.startswith("<speech>") else (text,)
            lines.append(Line("user" if role == "user" else "assistant", parts))
    ids: list[int] = []
    for piece in laid_out(lines, lambda text: list(text.encode()), control):
        ids += [c for c in piece.columns if isinstance(c, int)] if isinstance(piece, Ids) else [SLOT]
    return ids


def whole_loop(case: Case) -> dict[str, Tensor | Claim]:
    c = case.config
    files = [open_safetensors(case.folder / f"weights{part}.safetensors") for part in ("", "_whisper", "_vocoder")]
    model = net(case, ("",), {**files[0], **files[1]}, **c)
    voice = vocoder_of(c["vocoder"], files[2], str(case.folder))
    mel = _mel(case.given("wave"), c["whisper"]["n_mels"])
    features = model.hear(mel)[0]
    ids = case.given("input_ids")[0]
    at = int((ids == SLOT).nonzero())
    x = torch.cat([model.embed(ids[:at]), features, model.embed(ids[at + 1 :])])
    tokens, _, hidden = greedy(model, x[None], c["max_new_tokens"])
    units, after = said(model.speech, hidden)
    ends = chunk_ends(after, c["chunk_size"])
    all_units = torch.tensor(units)
    chunks = [all_units[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return {
        "mel_head": mel[0].T[: len(case.expected["mel_head"])],
        "speech_features": features,
        "tokens": tokens,
        "hidden": hidden,
        "ctc_ids": model.speech(hidden[None]).argmax(-1),
        "units": all_units,
        "units_len_after_step": torch.tensor(after),
        "chunk_ends": torch.tensor(ends),
        "wave_offline": voice(all_units),
        "wave_streaming": torch.cat([voice(chunk) for chunk in chunks]),
        "durations_offline": voice.durations(all_units[None], [len(units)]),
        "durations_streaming": torch.cat([voice.durations(chunk[None], [len(chunk)]) for chunk in chunks], dim=1),
    }


CHECKS: dict[str, Check] = {
    "whisper_encoder": whisper_encoder,
    "speech_projector": speech_projector,
    "encode_speech": encode_speech,
    "mel_frontend": mel_frontend,
    "llama": llama,
    "llama_generate": generate,
    "speech_generator": speech_generator,
    "vocoder": vocoder,
    "splice": splice,
    "prompt_layout": prompt_layout,
    "whole_loop": whole_loop,
}
"""By the case's component."""
