"""Checks of the golden cases of Moshi's language model, its loop, and PersonaPlex."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from duologue.checkpoints.files import Tensors, below
from duologue.checkpoints.keys import unfilled
from duologue.checkpoints.layouts import moshi_from_transformers, one_spelling
from duologue.codecs.mimi import MimiConfig
from duologue.measure.golden import Case, CaseError, Check, Claim
from duologue.models.columns import UNGENERATED
from duologue.models.moshi import KEYS, ZERO, Dialogue, Moshi, MoshiLM
from duologue.models.moshi_config import MoshiConfig
from duologue.models.moshi_files import load_lm, load_mimi
from duologue.models.personaplex import Persona, Voice, personaplex, prime, replay
from duologue.nn.rows import Rows
from duologue.nn.sampling import GREEDY, Sampling, race

TEMPORAL = ("text_embedding", "audio_embeddings", "temporal.", "out_norm.", "text_head")
DEPTH = ("depth",)


def whole(case: Case) -> MoshiLM:
    """The language model of a case that has all its weights."""
    return loaded(case, MoshiConfig.from_published(case.config["lm_config"]), case.weights)


def loaded(case: Case, config: MoshiConfig, tensors: Tensors) -> MoshiLM:
    """A language model in the precision that the case is run in."""
    how = case.precision
    return load_lm(config, tensors, str(case.folder), how.device, how.dtype, how.bits)


def part(case: Case, parts: tuple[str, ...]) -> MoshiLM:
    """A language model of which only these parts have weights."""
    config = MoshiConfig.from_published(case.config["lm_config"])
    lm = unfilled(lambda: MoshiLM(config), case.precision.device, torch.float32)
    KEYS.load(lm, one_spelling(case.weights), source=str(case.folder), parts=parts)
    return lm


def greedy(case: Case, lm: MoshiLM) -> Dialogue:
    """The loop of a case, which must be one without chance."""
    if case.config["use_sampling"]:
        raise CaseError("the case draws at random in the reference's order, which is not ours")
    return Dialogue(lm, GREEDY, GREEDY)


def forward_text(case: Case) -> dict[str, Tensor]:
    lm, sequence = part(case, TEMPORAL), case.given("sequence")
    first = case.config["prefill_steps"]
    x = lm.embed(sequence)
    rows = Rows.of(range(len(x)))

    def stream(sizes: list[int]) -> Tensor:
        # As many slots as the reference's ring has, unless a call would overwrite what it attends to.
        cache = lm.temporal.cache(len(x), chunk=max(sizes))
        return torch.cat([lm.think(piece, cache, rows) for piece in torch.split(x, sizes, dim=1)], dim=1)

    return {
        "input_emb": x,
        "pre_norm": lm.temporal.offline(x),
        "transformer_out": lm.hidden(sequence),
        "text_logits": lm.text_logits(lm.hidden(sequence)),
        "transformer_out_stream": stream([1] * x.shape[1]),
        "transformer_out_prefill": stream([first] + [1] * (x.shape[1] - first)),
    }


def forward_depth(case: Case) -> dict[str, Tensor]:
    lm = part(case, DEPTH)
    hidden = case.given("transformer_out")
    tokens = case.given("tokens").transpose(1, 2)  # [B, T, dep_q]
    batch, length, steps = tokens.shape
    flat, before = hidden.flatten(0, 1), tokens.flatten(0, 1)
    _, logits = lm.utter(flat, before[:, 0], steps, lambda step, _: before[:, min(step + 1, steps - 1)])
    one_by_one = torch.stack(logits, dim=1)
    return {
        name: out.view(batch, length, steps, -1).transpose(1, 2)
        for name, out in (("logits", one_by_one), ("logits_parallel", lm.depth_logits(flat, before)))
    }


def teacher_forced(case: Case) -> dict[str, Tensor]:
    lm, codes = whole(case), case.given("codes")
    text, audio = lm(codes)
    known = ~audio.isnan().any(-1) & (codes[:, 1 : 1 + lm.config.dep_q] != ZERO)
    return {
        "logits": audio.nan_to_num(0.0),
        "mask": known.long(),
        "text_logits": text[:, None],
        "text_mask": (codes[:, :1] != ZERO).long(),
    }


@dataclass(frozen=True, slots=True)
class Dictated(Sampling):
    """Says what it is told. In less precision another token may be the best one, and everything after it would differ;
    so the loop says what the reference said, and what is compared is what it had in mind."""

    said: list[Tensor] = field(default_factory=list)
    """int64 [N] of every draw, in order."""

    def choose(
        self, logits: Tensor, keys: Tensor, seen: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        return self.said.pop(0)


def loop(case: Case) -> dict[str, Tensor]:
    lm = whole(case)
    dialogue, c = greedy(case, lm), lm.config
    heard = case.given("user_codes")
    batch, _, length = heard.shape
    apart = bool(case.config.get("support_out_of_sync"))
    runs = case.given("exec_mask") if apart else torch.ones(length, batch)
    resets = case.given("reset") if apart else torch.zeros(length, batch)

    device, exact, state = case.precision.device, case.precision.exact, dialogue.state(batch)
    said_text, said_codes = case.given("text_sampled").long(), case.given("audio_sampled").long()
    out: dict[str, Tensor] = {
        "text_sampled": torch.zeros(length, batch, dtype=torch.int64),
        "audio_sampled": torch.zeros(length, batch, c.dep_q, dtype=torch.int64),
        "step_out": torch.full((length, batch, 1 + c.dep_q), UNGENERATED),
        "step_is_none": torch.zeros(length, dtype=torch.int64),
        "lm_input": torch.zeros(length, batch, 1 + c.n_q, dtype=torch.int64),
        "text_logits": torch.zeros(length, batch, c.text_card),
        "transformer_out": torch.zeros(length, batch, c.dim),
        "audio_logits": torch.zeros(length, batch, c.dep_q, c.card),
    }
    for t in range(length):
        if resets[t].any():
            state.reset(Rows.of(resets[t].nonzero()[:, 0].tolist(), device))
        if not runs[t].any():
            continue
        on = runs[t].nonzero()[:, 0].tolist()
        if not exact:
            dialogue = Dialogue(lm, Dictated(0.0, said=[said_text[t, on]]), Dictated(0.0, said=[*said_codes[t, on].T]))
        step = dialogue.step(state, Rows.of(on, device), heard[on, :, t])
        audio_logits = torch.stack(step.audio_logits, dim=1)
        out["text_sampled"][t, on] = (step.text if exact else step.text_logits.argmax(-1)).cpu()
        out["audio_sampled"][t, on] = (step.codes if exact else audio_logits.argmax(-1)).cpu()
        out["step_out"][t, on] = step.frame.cpu()
        out["lm_input"][t, on] = step.column.cpu()
        out["text_logits"][t, on] = step.text_logits.float().cpu()
        out["transformer_out"][t, on] = step.hidden.float().cpu()
        out["audio_logits"][t, on] = audio_logits.float().cpu()
        if not apart:
            out["step_is_none"][t] = int(not all(step.ready))
    return out


def top_k(case: Case) -> dict[str, Tensor]:
    logits, noise = case.given("logits").flatten(1), case.given("noise")
    top = Sampling(case.config["temp"], case.config["top_k"])
    p, ids = top.candidates(logits)
    distribution = torch.zeros_like(logits).scatter(1, ids, p / p.sum(-1, keepdim=True))
    draws = torch.stack([race(p, ids, noise[:, n]) for n in range(noise.shape[1])], dim=1)

    every, all_ids = Sampling(case.config["temp"]).candidates(logits)
    torch.manual_seed(case.about["seed"])  # the case keeps no noise for these: it is torch's own
    count = case.expected["draws_no_top_k"].shape[1]
    whole_noise = [torch.empty_like(every).exponential_(1) for _ in range(count)]
    return {
        "draws": draws,
        "draws_no_top_k": torch.stack([race(every, all_ids, e) for e in whole_noise], dim=1),
        "distribution": distribution,
        "greedy": GREEDY.choose(logits, torch.zeros(len(logits), dtype=torch.int64)),
    }


def system(case: Case) -> Moshi:
    """Codec and language model of a case that has both."""
    mimi_config = MimiConfig.from_published(case.config["mimi_config"])
    mimi = load_mimi(mimi_config, below(case.weights, "mimi."), str(case.folder))
    lm_config = MoshiConfig.from_published(case.config["lm_config"])
    lm = loaded(case, lm_config, below(case.weights, "lm."))
    return Moshi(mimi, greedy(case, lm))


def server_frames(moshi: Moshi, pcm: Tensor) -> list[dict[str, Any]]:
    """A conversation of Kyutai's server: one row, frames of ``pcm`` [T], its quirk included.

    The first frame is encoded, then the codec begins anew, so that the second is the stream's start again.
    """
    state, row, levels = moshi.state(1), Rows.of([0]), moshi.dialogue.lm.config.heard
    frames = []
    for index, frame in enumerate(torch.split(pcm, moshi.frame)):
        heard = moshi.mimi.encode_stream(frame[None, None], state.mimi.encoder, row, levels)[..., 0]
        if index == 0:
            state.mimi.reset(row)
        step = moshi.dialogue.step(state.dialogue, row, heard)
        frames.append({"heard": heard, "step": step, "said": moshi.voiced(state, row, step).frames()})
    return frames


def duplex_loop(case: Case) -> dict[str, Tensor | Claim]:
    frames = server_frames(system(case), case.given("pcm").flatten())
    sent = [f for f in frames if f["step"].ready[0]]
    return {
        "codes": torch.stack([f["heard"] for f in frames], dim=-1),
        "frame_sent": torch.tensor([int(f["step"].ready[0]) for f in frames]),
        "tokens": torch.stack([f["step"].frame for f in sent], dim=-1),
        # With other tokens it is another sentence.
        "audio": torch.cat([f["said"].wave for f in sent], dim=-1)[:, None]
        if case.precision.exact
        else Claim(True, "not compared: it says other tokens"),
    }


def prompted_loop(case: Case) -> dict[str, Tensor]:
    lm_config = personaplex(MoshiConfig.from_published(case.config["lm_config"]))
    dialogue = greedy(case, loaded(case, lm_config, case.weights))
    persona = Persona(case.config["silence_tokens"], case.config["sine_tokens"], case.config["audio_silence_frame_cnt"])
    row, heard = Rows.of([0]), case.given("user_codes")
    text = persona.text(case.given("text_prompt_tokens").tolist())
    chunk = 8

    def talk(state: Any) -> tuple[Tensor, list[Tensor]]:
        steps = [dialogue.step(state, row, heard[..., t]) for t in range(heard.shape[-1])]
        return torch.cat([step.frame for step in steps]), [step.column for step in steps]

    state = dialogue.state(1, chunk)
    voice = prime(dialogue, state, row, persona.voice(case.given("voice_codes")[0].T))
    embeddings = dialogue.lm.embed(voice.T[None])
    ring = state.columns.tokens.clone()
    prompt = torch.cat([voice, prime(dialogue, state, row, text)])
    outputs = {
        "n_prompt_columns": torch.tensor([len(prompt)]),
        "cache_after_prompt": state.columns.tokens.clone(),
        # The reference counts its first call, which runs no model.
        "offset_after_prompt": state.columns.offset + 1,
        "voice_embeddings": embeddings[0][:, None, None],
        "voice_cache": ring,
    }
    outputs["step_out"], columns = talk(state)
    outputs["input_columns"] = torch.cat([prompt, *columns])

    again = dialogue.state(1, chunk)
    packed = Voice(case.given("voice_embeddings").flatten(0, 2), case.given("voice_cache")[0])
    replay(dialogue, again, row, packed)
    prime(dialogue, again, row, text)
    outputs["cache_after_prompt_replay"] = again.columns.tokens.clone()
    outputs["step_out_replay"], _ = talk(again)
    return outputs


def transformers_layout(case: Case) -> dict[str, Tensor]:
    published = case.config["hf_config"]
    config = MoshiConfig.from_transformers(published)
    tensors = moshi_from_transformers(case.weights, published["num_attention_heads"])
    lm = loaded(case, config, tensors)
    hidden = lm.hidden(case.given("sequence"))
    return {
        "transformer_out": hidden,
        "text_logits": lm.text_logits(hidden),
        "depth_logits": lm.depth_logits(hidden.flatten(0, 1), case.given("depth_tokens")),
    }


CHECKS: dict[str, Check] = {
    "lm_forward_text": forward_text,
    "LMModel.forward_text (temporal transformer)": forward_text,
    "lm_forward_depformer": forward_depth,
    "LMModel.forward_depformer (depth transformer)": forward_depth,
    "lm_teacher_forced": teacher_forced,
    "LMModel.forward (delays, both transformers)": teacher_forced,
    "lmgen_greedy": loop,
    "LMGen streaming loop, one session": loop,
    "lmgen_delay2": loop,
    "LMGen with acoustic delay 2 (layout of the Hibiki / moshi-dev family)": loop,
    "lmgen_sessions": loop,
    "LMGen with several desynchronised sessions in one batch": loop,
    "sampling_top_k": top_k,
    "top-k sampling": top_k,
    "server_duplex_loop": duplex_loop,
    "PCM in -> Mimi encode -> LMGen -> Mimi decode -> PCM out, one frame at a time": duplex_loop,
    "personaplex_prompted_loop": prompted_loop,
    "PersonaPlex: voice prompt + text prompt prefill, then duplex loop": prompted_loop,
    "hf_moshi": transformers_layout,
    "Moshi LM in the transformers layout (kmhf/hf-moshiko style)": transformers_layout,
}
"""By the case's name and by its component."""
