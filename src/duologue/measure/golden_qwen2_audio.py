"""Checks of the golden cases of Qwen2-Audio. The tokenizer is the cases' stub: a byte is a token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from duologue.checkpoints.keys import unfilled
from duologue.encoders.mel import HOP, filters, log_mel
from duologue.measure.golden import Case, Check, Claim
from duologue.models.chatml import laid_out
from duologue.models.qwen2_audio import Qwen2AudioConfig, Qwen2AudioNet, frames, keys, positions, seen
from duologue.models.turns import Ids, Line, Piece, Sound
from duologue.nn.cache import Around
from duologue.nn.rows import Rows

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")


def net(case: Case, parts: tuple[str, ...] = ("",), **sizes: Any) -> Qwen2AudioNet:
    """The network of a case, or parts of it."""
    config = Qwen2AudioConfig.from_published(sizes or case.config)
    model = unfilled(lambda: Qwen2AudioNet(config), "cpu", torch.float32)
    keys(config).load(model, case.weights, source=str(case.folder), parts=parts)
    return model


def audio_tower(case: Case) -> dict[str, Tensor]:
    text = {"hidden_size": case.config["text_hidden_size"], "num_attention_heads": 1}  # of a decoder that is not there
    model = net(case, ("tower.", "projector."), audio_config=case.config, text_config=text)
    mel, lengths = case.given("input_features"), case.given("feature_attention_mask").sum(1)
    stem = model.tower.stem(mel)
    block = model.tower.blocks.layers[0]
    pooled = model.pooled(mel, lengths)
    return {
        "layers_input": stem,
        "layer0": block(stem, 0, Around(stem.shape[1], seen(lengths)), None, None),
        "tower": pooled,
        "projected": model.project(pooled),
        "lengths_after_conv": seen(lengths),
        "lengths_after_pool": positions(lengths),
    }


def llm(case: Case) -> dict[str, Tensor]:
    model = net(case, ("embedding", "decoder.", "norm.", "head."), text_config=case.config, audio_config={})
    ids = case.given("input_ids")
    x = model.embed(ids)
    first = _first_block(model, x)
    logits = model.logits(model.norm(model.decoder.offline(x)))
    tokens, step_logits = _greedy(model, [x[0]], case.expected["tokens"].shape[1])
    return {"logits": logits, "hidden_1": first, "tokens": tokens, "step_logits": step_logits}


def _first_block(model: Qwen2AudioNet, x: Tensor) -> Tensor:
    from duologue.nn.attention import rotation
    from duologue.nn.cache import Whole

    c = model.config.decoder
    memory = Whole(x.shape[1], None)
    out: Tensor = model.decoder.layers[0](x, 0, memory, rotation(memory.positions, c.head_dim, c.theta), None)
    return out


def _greedy(model: Qwen2AudioNet, prompts: Sequence[Tensor], count: int) -> tuple[Tensor, Tensor]:
    """Prompts [T, dim] of different lengths, prefilled apart and decoded together: tokens and logits of each step."""
    n, chunk = len(prompts), 16
    cache = model.decoder.cache(n, length=max(map(len, prompts)) + count, chunk=chunk)
    last = [model.think(prompt[None], cache, Rows.of([row]))[:, -1:] for row, prompt in enumerate(prompts)]
    hidden, rows = torch.cat(last), Rows.of(range(n))
    tokens, logits = [], []
    for _ in range(count):
        logits.append(model.logits(hidden)[:, 0])
        tokens.append(logits[-1].argmax(-1))
        hidden = model.think(model.embed(tokens[-1][:, None]), cache, rows)
    return torch.stack(tokens, 1), torch.stack(logits, 1)


def whole(case: Case) -> dict[str, Tensor]:
    model = net(case)
    ids, mask = case.given("input_ids"), case.given("attention_mask").bool()
    mel, lengths = case.given("input_features"), case.given("feature_attention_mask").sum(1)
    rows = model.project(model.pooled(mel, lengths))
    sounds = [row[:count] for row, count in zip(rows, positions(lengths).tolist(), strict=True)]
    merged, prompts, at = [], [], 0
    for row, attended in zip(ids, mask, strict=True):
        many = int((row == model.config.placeholder).sum())
        taken: list[Tensor] = []
        while sum(map(len, taken)) < many:
            taken.append(sounds[at])
            at += 1
        merged.append(model.merged(row, torch.cat(taken)))
        prompts.append(merged[-1][attended])
    tokens, step_logits = _greedy(model, prompts, case.expected["tokens"].shape[1])
    return {
        "inputs_embeds": torch.stack(merged),
        "prefill_last_logits": step_logits[:, 0],
        "tokens": tokens,
        "step_logits": step_logits,
    }


def processor(case: Case) -> dict[str, Tensor | Claim]:
    waves = [case.given(name) for name in ("wave0", "wave1")]
    c = case.config
    window = c["nb_max_frames"] * HOP
    mel = log_mel(torch.stack([F.pad(wave, (0, window - len(wave))) for wave in waves]), c["feature_size"])
    lengths = torch.tensor([frames(len(wave), c["nb_max_frames"] // 2) for wave in waves])
    head = case.expected["input_features_head"].shape[-1]
    ids = _ids(case, case.about["data"]["conversation"], positions(lengths).tolist())
    return {
        "input_features_head": mel[..., :head],
        "pad_value": mel[:, 0, -1],
        "feature_lengths": lengths,
        "num_audio_tokens": positions(lengths),
        "input_ids": torch.tensor([ids]),
        "mel_filters": filters(c["feature_size"]),
    }


def prompts(case: Case) -> dict[str, Tensor | Claim]:
    data = case.about["data"]
    out: dict[str, Tensor | Claim] = {}
    for dialog in data["dialogs"]:
        ours = _ids(case, dialog["conversation"], None)
        out[dialog["name"]] = Claim(ours == dialog["stub_ids_unexpanded"], "to the letter")
        bare = _text(case, dialog["conversation"], answer=False)
        out[f"{dialog['name']}, no answer"] = Claim(bare == dialog["text_no_generation_prompt"], "to the letter")
    for row in data["length_table"]:
        mel = torch.tensor(frames(row["samples"], 1500))
        ours_row = [int(mel), int(seen(mel)), int(positions(mel))]
        theirs = [row["mel_frames"], row["after_conv"], row["audio_tokens"]]
        out[f"{row['samples']} samples"] = Claim(ours_row == theirs, f"{ours_row}")
    return out


def _pieces(case: Case, conversation: Sequence[Mapping[str, Any]], *, answer: bool = True) -> list[Piece]:
    lines = []
    for message in conversation:
        content = message["content"]
        parts = [content] if isinstance(content, str) else [
            part["text"] if part["type"] == "text" else Sound(0, np.zeros(1, np.float32)) for part in content
        ]  # fmt: skip
        lines.append(Line(message["role"], tuple(parts)))
    return laid_out(lines, lambda text: list(text.encode()), _control(case), answer=answer)


def _control(case: Case) -> dict[str, int]:
    stub = case.config["stub_tokenizer"]
    return {name: stub[name] for name in CONTROL}


def _ids(case: Case, conversation: Sequence[Mapping[str, Any]], counts: Sequence[int] | None) -> list[int]:
    """Token ids, a sound's placeholder repeated ``counts`` times (``None``: once)."""
    ids: list[int] = []
    left = list(counts or ())
    for piece in _pieces(case, conversation):
        if isinstance(piece, Ids):
            ids += [column for column in piece.columns if isinstance(column, int)]
        else:
            ids += [_control(case)["<|AUDIO|>"]] * (1 if counts is None else left.pop(0))
    return ids


def _text(case: Case, conversation: Sequence[Mapping[str, Any]], *, answer: bool) -> str:
    names = {number: name for name, number in _control(case).items()}
    text = b""
    for piece in _pieces(case, conversation, answer=answer):
        if isinstance(piece, Ids):
            columns = [column for column in piece.columns if isinstance(column, int)]
            text += b"".join(names[c].encode() if c in names else bytes([c]) for c in columns)
        else:
            text += b"<|AUDIO|>"
    return text.decode()


CHECKS: dict[str, Check] = {
    "audio_tower": audio_tower,
    "Whisper-like audio tower + average pooling + projector": audio_tower,
    "llm": llm,
    "Qwen2 decoder forward + cached greedy decode": llm,
    "whole model: chat template -> ids -> merge -> prefill -> greedy decode": whole,
    "processor": processor,
    "feature extraction + placeholder expansion": processor,
    "prompts": prompts,
    "chat template and length rule": prompts,
}
"""By the case's name and by its component."""
