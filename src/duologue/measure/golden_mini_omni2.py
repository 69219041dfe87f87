"""Checks of the golden cases of Mini-Omni2. The tokenizer is the cases' stub: a byte is a token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from duologue.checkpoints.files import Tensors, open_safetensors
from duologue.checkpoints.keys import KeyTable, unfilled
from duologue.checkpoints.weight_norm import folded
from duologue.codecs import snac
from duologue.codecs.snac import Snac, SnacConfig, by_layers
from duologue.encoders import clip
from duologue.encoders.clip import Clip, ClipConfig, pixels
from duologue.encoders.mel import HOP, windowed
from duologue.encoders.whisper import Whisper, WhisperConfig, openai_keys
from duologue.measure.golden import Case, Check, Claim
from duologue.models.mini_omni2 import LAYERS, MiniOmni2Config, MiniOmni2LM, Specials, Task, frames, kept, keys, prompt
from duologue.nn.rows import Rows

STRIDE = 4
"""Frames that the reference decodes at once."""
FIRST = 10
"""Column with which its first chunk is whole."""


def config_of(case: Case) -> MiniOmni2Config:
    c = case.config
    return MiniOmni2Config.from_published(c, Specials(c["text_vocabsize"], c["audio_vocabsize"]))


def lm(case: Case) -> MiniOmni2LM:
    """The language model of a case."""
    config = config_of(case)
    model = unfilled(lambda: MiniOmni2LM(config), "cpu", torch.float32)
    own = open_safetensors(case.folder / "weights.safetensors")
    keys(config).load(model, own, source=str(case.folder))
    return model


# -- encoders and codec ---------------------------------------------------------------------------------------


def whisper_of(sizes: Mapping[str, Any], tensors: Tensors, source: str) -> Whisper:
    config = WhisperConfig.from_openai(sizes)
    model = unfilled(lambda: Whisper(config), "cpu", torch.float32)
    encoder = {name: stored for name, stored in tensors.items() if name.startswith("encoder.")}
    KeyTable(*openai_keys("encoder.", "", config.dim)).load(model, encoder, source=source)
    return model


def whisper_encoder(case: Case) -> dict[str, Tensor]:
    model = whisper_of(case.config, case.weights, str(case.folder))
    heard = model.norm(model(case.given("mel")))
    return {"encoder": heard, "audio_feature": heard[0, : len(case.expected["audio_feature"])]}


def mel_features(case: Case) -> dict[str, Tensor]:
    c = case.config
    out: dict[str, Tensor] = {}
    for n in (0, 1):
        wave = case.given(f"wav{n}")
        mel = windowed([wave], c["n_samples"], c["n_mels"])[0]
        out |= {
            f"mel{n}": mel[:, : case.expected[f"mel{n}"].shape[1]],
            f"mel{n}_tail": mel[:, -2:],
            f"leng{n}": torch.tensor([kept(len(wave))]),
        }
    table = case.expected["leng_table"][:, 0].tolist()
    return out | {"leng_table": torch.tensor([[samples, kept(samples)] for samples in table])}


def clip_of(sizes: Mapping[str, Any], tensors: Tensors, source: str) -> Clip:
    config = ClipConfig(
        sizes["input_resolution"], sizes["vision_patch_size"], sizes["vision_width"], sizes["vision_layers"],
        sizes["vision_heads"], sizes["embed_dim"],
    )  # fmt: skip
    model = unfilled(lambda: Clip(config), "cpu", torch.float32)
    clip.KEYS.load(model, tensors, source=source)
    return model


def clip_visual(case: Case) -> dict[str, Tensor]:
    return {"features": clip_of(case.config, case.weights, str(case.folder))(case.given("pixels"))}


def _picture(case: Case) -> Image.Image:
    return Image.fromarray(case.given("image").numpy().astype(np.uint8))


def image_preprocess(case: Case) -> dict[str, Tensor]:
    return {"pixels": pixels(_picture(case), case.config["n_px"])}


def snac_of(sizes: Mapping[str, Any], tensors: Tensors, source: str, parts: tuple[str, ...] = ("",)) -> Snac:
    config = SnacConfig.from_published(sizes)
    model = unfilled(lambda: Snac(config), "cpu", torch.float32)
    snac.KEYS.load(model, folded(tensors), source=source, parts=parts)
    return model


def snac_decode(case: Case) -> dict[str, Tensor]:
    model = snac_of(case.config, case.weights, str(case.folder), _parts(case.weights))
    codes = [case.given(f"codes{n}") for n in range(3)]
    torch.manual_seed(1053)
    drawn = [torch.randn(1, 1, count) for count in model.noise_shapes(codes[-1].shape[1])]
    return {
        "z_q": model.quantizer.decode(codes),
        "audio_zero_noise": model.decode(codes),
        "audio_with_noise": model.decode(codes, [case.given(f"noise{n}") for n in range(4)]),
        "audio_torch_seed": model.decode(codes, drawn),
    }


def _parts(tensors: Tensors) -> tuple[str, ...]:
    """Those parts of the codec that a case has."""
    return tuple(part for part in ("encoder.", "quantizer.", "decoder.") if any(n.startswith(part) for n in tensors))


def snac_encode(case: Case) -> dict[str, Tensor]:
    model = snac_of(case.config, case.weights, str(case.folder))
    codes = model.encode(case.given("audio"))
    return {"z": model.latent(case.given("audio")), **{f"codes{n}": row for n, row in enumerate(codes)}}


def snac_layers_stream(case: Case) -> dict[str, Tensor | Claim]:
    model = snac_of(case.config, case.weights, str(case.folder), _parts(case.weights))
    whole = frames(case.given("list_output").T.tolist())
    chunks = torch.cat([model.decode(by_layers(chunk))[0] for chunk in _chunks(whole)])
    return {
        **{f"codes{n}": row for n, row in enumerate(by_layers(whole))},
        "audio_full": model.decode(by_layers(whole)),
        "audio_chunks": chunks,
        "pcm_chunks": _whole_numbers(chunks, case.expected["pcm_chunks"]),
        "emit_at_index": torch.tensor(_emitted(case.given("list_output").shape[1])),
    }


def _whole_numbers(wave: Tensor, theirs: Tensor) -> Claim:
    """The wave in 16 bits, truncated: noise of 1e-6 in it may move a sample by one."""
    apart = ((wave.double() * 32768).trunc().long() - theirs).abs()
    return Claim(int(apart.max()) <= 1, f"{int((apart > 0).sum())} of {apart.numel()} samples differ by one")


def _emitted(columns: int) -> list[int]:
    """The columns with which the reference gives a chunk."""
    return list(range(FIRST, columns, STRIDE))


def _chunks(whole: Tensor) -> list[Tensor]:
    count = whole.shape[1] // STRIDE
    return [whole[:, STRIDE * n : STRIDE * (n + 1)] for n in range(count)]


# -- the language model ---------------------------------------------------------------------------------------


def adapters(case: Case) -> dict[str, Tensor]:
    c = case.config
    config = MiniOmni2Config(
        dim=c["n_embd"], layers=0, heads=1, kv_heads=1, hidden=c["intermediate_size"], text_size=0, audio_size=0,
        audio_dim=c["whisper_adapter_dim"], picture_dim=c["vision_adapter_dim"],
    )  # fmt: skip
    model = unfilled(lambda: MiniOmni2LM(config), "cpu", torch.float32)
    keys(config).load(model, case.weights, source=str(case.folder), parts=("whisper_adapter.", "vision_adapter."))
    return {
        "audio": model.whisper_adapter(case.given("audio_features")),
        "vision": model.vision_adapter(case.given("clip_features")),
    }


def forward_tokens(case: Case) -> dict[str, Tensor]:
    model = lm(case)
    hidden = model.offline(model.merge(case.given("input_ids")))
    return {"logits_audio": model.audio_logits(hidden), "logits_text": model.text_logits(hidden)}


def forward_multimodal(case: Case) -> dict[str, Tensor]:
    model, out = lm(case), {}
    for run in ("A", "V"):
        sounds = _sounds(case, f"{run}.audio_features", f"{run}.whisper_lens")
        pictures = list(case.given("V.clip_features")) if run == "V" else []
        hidden = model.offline(model.merge(case.given(f"{run}.input_ids"), sounds, pictures))
        last = case.expected[f"{run}.logits_text"].shape[1]
        out[f"{run}.logits_audio"] = model.audio_logits(hidden)[:, :, -last:]
        out[f"{run}.logits_text"] = model.text_logits(hidden)[:, -last:]
    return out


def _sounds(case: Case, features: str, lengths: str) -> list[Tensor]:
    counts = case.given(lengths).tolist()
    return [row[:count] for row, count in zip(case.given(features), counts, strict=True)]


def cached_decode(case: Case) -> dict[str, Tensor]:
    model = lm(case)
    sounds = _sounds(case, "audio_features", "whisper_lens")
    x = model.merge(case.given("input_ids"), sounds, list(case.given("clip_features")))
    cache, rows = model.decoder.cache(2, length=config_of(case).context, chunk=32), Rows.of([0, 1])
    hidden = [model.think(x, cache, rows)[:, -1:]]
    for forced in case.given("forced_ids").unbind(1):
        hidden.append(model.think(model.merge(forced[..., None]), cache, rows))
    whole = torch.cat(hidden, 1)
    return {"logits_audio": model.audio_logits(whole), "logits_text": model.text_logits(whole)}


class Loop:
    """The reference's loops: columns of eight tokens, one row or a pair of rows of the cache."""

    def __init__(self, model: MiniOmni2LM, x: Tensor) -> None:
        self.model, self.specials = model, model.config.specials
        self.rows = Rows.of(range(len(x)))
        self.length = x.shape[1]
        self.cache = model.decoder.cache(len(x), length=model.config.context, chunk=64)
        self.hidden = model.think(x, self.cache, self.rows)[:, -1]

    def heads(self) -> tuple[Tensor, Tensor]:
        """The most probable tokens: audio int64 [7, N], text int64 [N]."""
        return self.model.audio_logits(self.hidden).argmax(-1), self.model.text_logits(self.hidden).argmax(-1)

    def feed(self, audio: Tensor, text: Tensor) -> None:
        """The next column: audio [7, N], text [N]."""
        ids = torch.cat([self.model.shifted(audio), text[None]])[..., None]
        self.hidden = self.model.think(self.model.merge(ids), self.cache, self.rows)[:, -1]

    def silence(self, n: int) -> Tensor:
        return torch.full((LAYERS, n), self.specials.pad_a)


def single(model: MiniOmni2LM, x: Tensor, most: int) -> list[list[int]]:
    """Speech and text from one row."""
    loop, s, columns, ended = Loop(model, x), model.config.specials, [], False
    for step in range(most - loop.length):
        audio, text = loop.heads()
        if step and int(audio[-1, 0]) == s.eoa:
            break
        if ended:
            text = torch.tensor([s.pad_t])
        elif step and int(text) == s.eot:
            ended = True
        columns.append([*audio[:, 0].tolist(), int(text)])
        loop.feed(audio, text)
    return columns


def written(model: MiniOmni2LM, x: Tensor, most: int) -> list[int]:
    """Text only."""
    loop, s, tokens = Loop(model, x), model.config.specials, []
    for step in range(most - loop.length):
        _, text = loop.heads()
        if step and int(text) == s.eot:
            break
        tokens.append(int(text))
        loop.feed(loop.silence(1), text)
    return tokens


def paired(model: MiniOmni2LM, x: Tensor, most: int) -> list[list[int]]:
    """Speech from the first row, text from the second, which both are fed."""
    loop, s, columns, ended = Loop(model, x), model.config.specials, [], False
    for step in range(most - loop.length):
        audio, text = loop.heads()
        spoken, word = audio[:, :1], text[1:]
        if step and int(spoken[-1]) == s.eoa:
            break
        if ended:
            word = torch.tensor([s.pad_t])
        elif step and int(word) == s.eot:
            ended = True
        columns.append([*spoken[:, 0].tolist(), int(word)])
        loop.feed(torch.cat([spoken, loop.silence(1)], 1), word.expand(2))
    return columns


def text_spans(columns: Sequence[Sequence[int]], eot: int) -> list[list[int]]:
    """(from, to, ended) of the text given with each chunk, until it has ended."""
    text, spans, start = [column[-1] for column in columns], [], 0
    for index in _emitted(len(columns)):
        end = index + 1
        over = int(eot in text[start:end])
        spans.append([start, end, over])
        if over:
            break
        start = index + 1
    return spans


def gen_single(case: Case) -> dict[str, Tensor]:
    model, c = lm(case), case.config
    heard = model.merge(case.given("AA.input_ids"), [case.given("AA.audio_feature")[0]])
    aloud = single(model, heard, c["AA.max_returned_tokens"])
    typed = single(model, model.merge(case.given("TA.input_ids")), c["TA.max_returned_tokens"])
    text = [column[-1] for column in aloud]
    eot = model.config.specials.eot
    return {
        "AA.list_output": torch.tensor(aloud).T,
        **{f"AA.codes{n}": row for n, row in enumerate(by_layers(frames(aloud)))},
        "AA.text_ids": torch.tensor(text[: text.index(eot)] if eot in text else text),
        "TA.list_output": torch.tensor(typed).T,
    }


def gen_text(case: Case) -> dict[str, Tensor]:
    model, most = lm(case), case.config["max_returned_tokens"]
    sound = [case.given("audio_feature")[0]]
    out = {}
    for task in ("AT", "ASR", "TT"):
        x = model.merge(case.given(f"{task}.input_ids"), [] if task == "TT" else sound)
        out[f"{task}.tokens"] = torch.tensor(written(model, x, most))
    return out


def gen_batch_stream(case: Case) -> dict[str, Tensor]:
    model = lm(case)
    x = model.merge(case.given("input_ids"), list(case.given("audio_feature")))
    columns = paired(model, x, case.config["max_returned_tokens"])
    chunks = [by_layers(chunk) for chunk in _chunks(frames(columns))]
    emitted = _emitted(len(columns))
    return {
        "list_output": torch.tensor(columns).T,
        "emit_at_index": torch.tensor(emitted),
        **{f"chunk_codes{n}": torch.cat([rows[n] for rows in chunks[: len(emitted)]]) for n in range(3)},
        "text_spans": torch.tensor(text_spans(columns, model.config.specials.eot)),
    }


def e2e(case: Case) -> dict[str, Tensor]:
    c = case.config
    files = {
        part: open_safetensors(case.folder / f"weights_{part}.safetensors") for part in ("whisper", "clip", "snac")
    }
    source = str(case.folder)
    ear, eye = whisper_of(c["whisper"], files["whisper"], source), clip_of(c["clip"], files["clip"], source)
    voice = snac_of(c["snac"], files["snac"], source, _parts(files["snac"]))
    wave, model = case.given("wav"), lm(case)
    window = 2 * c["whisper"]["n_audio_ctx"] * HOP
    mel = windowed([wave], window, c["whisper"]["n_mels"])
    count = kept(len(wave))
    sound = ear.norm(ear(mel))[0, :count]
    seen = pixels(_picture(case), c["clip"]["input_resolution"])
    picture = eye(seen[None])[0]
    ids = torch.stack([prompt(model.config, task, sound=count, picture=True) for task in ("A1A2", "A1T2")], 1)
    columns = paired(model, model.merge(ids, [sound, sound], [picture, picture]), c["max_returned_tokens"])
    chunks = [voice.decode(by_layers(chunk))[0, 0] for chunk in _chunks(frames(columns))]
    shown = case.expected["pcm_chunks"].shape[0]
    return {
        "leng": torch.tensor([count]),
        "audio_feature": sound,
        "pixels": seen,
        "list_output": torch.tensor(columns).T,
        "pcm_chunks": torch.stack(chunks[:shown]),
        "text_spans": torch.tensor(text_spans(columns, model.config.specials.eot)),
    }


# -- tables ---------------------------------------------------------------------------------------------------


def prompt_layout(case: Case) -> dict[str, Tensor]:
    config, text = MiniOmni2Config(), case.given("text_bytes").tolist()
    out = {task: prompt(config, task, text=text) for task in ("T1A2", "T1T2")}
    tasks: tuple[Task, ...] = ("A1A2", "A1T1", "A1T2")
    for count in (1, 8, 98):
        out |= {f"{task}.{count}": prompt(config, task, sound=count) for task in tasks}
        for name, picture in (("BATCH", False), ("IMAGE_BATCH", True)):
            pair = [prompt(config, task, sound=count, picture=picture) for task in ("A1A2", "A1T2")]
            out[f"{name}.{count}"] = torch.stack(pair, 1)
    most = min(1723, config.tower.steps)
    return out | {"over30s": torch.tensor([most, prompt(config, "A1A2", sound=most).shape[1]])}


def vad_segments(case: Case) -> dict[str, Tensor | Claim]:
    """The demo client's endpointing, which is Silero's; duologue has its own, and this is here for its numbers only."""
    out: dict[str, Tensor | Claim] = {}
    for n, options in enumerate(case.config["options"]):
        length = case.given(f"n_samples{n}")
        found = _segments(case.given(f"prob{n}").tolist(), int(length), case.config["sampling_rate"], options)
        out |= {f"segments{n}": torch.tensor(found), f"n_samples{n}": length}
    return out


def _segments(prob: Sequence[float], length: int, rate: int, options: Mapping[str, Any]) -> list[list[int]]:
    size, threshold = options["window_size_samples"], options["threshold"]
    pad, least = rate * options["speech_pad_ms"] // 1000, rate * options["min_speech_duration_ms"] / 1000
    quiet, quiet_at_most = rate * options["min_silence_duration_ms"] / 1000, rate * 98 / 1000
    longest = options["max_speech_duration_s"]
    most = float("inf") if longest is None else rate * longest - size - 2 * pad
    found: list[list[int]] = []
    start: int | None = None
    fading = cut = resumed = 0
    for n, p in enumerate(prob):
        at = size * n
        if p >= threshold and fading:
            fading = 0
            resumed = at if resumed < cut else resumed
        if p >= threshold and start is None:
            start = at
            continue
        if start is not None and at - start > most:
            found.append([start, cut or at])
            start = (resumed if resumed >= cut else None) if cut else None
            ended = not cut
            fading = cut = resumed = 0
            if ended:
                continue
        if p < threshold - 0.15 and start is not None:
            fading = fading or at
            cut = fading if at - fading > quiet_at_most else cut
            if at - fading < quiet:
                continue
            if fading - start > least:
                found.append([start, fading])
            start, fading, cut, resumed = None, 0, 0, 0
    if start is not None and length - start > least:
        found.append([start, length])
    return _widened(found, length, pad)


def _widened(found: list[list[int]], length: int, pad: int) -> list[list[int]]:
    for n, segment in enumerate(found):
        if n == 0:
            segment[0] = max(0, segment[0] - pad)
        if n + 1 == len(found):
            segment[1] = min(length, segment[1] + pad)
        elif (silence := found[n + 1][0] - segment[1]) < 2 * pad:
            segment[1] += silence // 2
            found[n + 1][0] = max(0, found[n + 1][0] - silence // 2)
        else:
            segment[1] = min(length, segment[1] + pad)
            found[n + 1][0] = max(0, found[n + 1][0] - pad)
    return found


CHECKS: dict[str, Check] = {
    "adapters": adapters,
    "clip_visual": clip_visual,
    "e2e_vision_stream": e2e,
    "gen_batch_stream": gen_batch_stream,
    "gen_single": gen_single,
    "gen_text": gen_text,
    "gpt_cached_decode": cached_decode,
    "gpt_forward_multimodal": forward_multimodal,
    "gpt_forward_tokens": forward_tokens,
    "image_preprocess": image_preprocess,
    "mel_features": mel_features,
    "prompt_layout": prompt_layout,
    "snac_decode": snac_decode,
    "snac_encode": snac_encode,
    "snac_layers_stream": snac_layers_stream,
    "vad_segments": vad_segments,
    "whisper_encoder": whisper_encoder,
}
"""By the case's name."""
