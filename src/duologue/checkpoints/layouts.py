"""Other layouts of the published models, brought to the one that the key tables name.

Each function takes named tensors and gives named tensors; what must be put together or taken apart is put
together when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from duologue.checkpoints.files import Stored, Tensors
from duologue.checkpoints.keys import Key


def decoder_keys(theirs: str, ours: str, *, q: int, kv: int, hidden: int, biases: bool = False) -> tuple[Key, ...]:
    """How transformers' files name the layers of a Llama or a Qwen2: ``theirs`` and ``ours`` before them.

    ``q`` and ``kv``: rows of the query and of the key projection; ``hidden``: of the gate.
    """
    layer, own = f"{theirs}layers.{{i}}.", f"{ours}layers.{{i}}."
    parts = {"q": range(q), "k": range(q, q + kv), "v": range(q + kv, q + 2 * kv)}
    kinds = ("weight", "bias") if biases else ("weight",)
    return (
        Key(f"{layer}input_layernorm.weight", f"{own}norm_attn.weight"),
        *(
            Key(f"{layer}self_attn.{part}_proj.{kind}", f"{own}qkv.{kind}", rows=rows)
            for part, rows in parts.items()
            for kind in kinds
        ),
        Key(f"{layer}self_attn.o_proj.weight", f"{own}out.weight"),
        Key(f"{layer}post_attention_layernorm.weight", f"{own}norm_mlp.weight"),
        Key(f"{layer}mlp.gate_proj.weight", f"{own}up.weight", rows=range(hidden)),
        Key(f"{layer}mlp.up_proj.weight", f"{own}up.weight", rows=range(hidden, 2 * hidden)),
        Key(f"{layer}mlp.down_proj.weight", f"{own}down.weight"),
    )


def _stacked(parts: Sequence[Stored], change: Callable[[Tensor], Tensor] = lambda t: t) -> Stored:
    """Parts on top of one another, along their first axis."""
    shape = (sum(part.shape[0] for part in parts), *parts[0].shape[1:])
    return Stored(shape, lambda: torch.cat([change(part.read()) for part in parts]))


_OLD_CODEBOOKS = (
    (r"\._codebook\.inited$", "._codebook._initialized"),
    (r"\._codebook\.cluster_size$", "._codebook.cluster_usage"),
    (r"\._codebook\.embed_(?:avg|sum)$", "._codebook.embedding_sum"),
)


def one_spelling(tensors: Tensors) -> dict[str, Stored]:
    """Files of Kyutai's as the published ones spell them.

    Newer files keep the attention's projections for each step, ``in_projs.{s}.weight`` and
    ``out_projs.{s}.weight``, or write ``in_proj.weight``: these become ``in_proj_weight`` and
    ``out_proj.weight``. Older ones have other names in the codebooks.
    """
    tensors = _renamed(tensors, _OLD_CODEBOOKS)
    fused: dict[str, Stored] = {}
    steps: dict[str, dict[int, Stored]] = {}
    names = {"in": "in_proj_weight", "out": "out_proj.weight"}
    for name, stored in tensors.items():
        if found := re.fullmatch(r"(.*\.self_attn\.)(in|out)_projs\.(\d+)\.weight", name):
            steps.setdefault(found[1] + names[found[2]], {})[int(found[3])] = stored
        else:
            fused[re.sub(r"\.self_attn\.in_proj\.weight$", ".self_attn.in_proj_weight", name)] = stored
    for name, parts in steps.items():
        fused[name] = _stacked([parts[step] for step in sorted(parts)])
    return fused


def _interleaved(weight: Tensor, heads: int) -> Tensor:
    """Rows of a query or key projection from half-split to interleaved rotary pairs, head by head."""
    rows, width = weight.shape
    return weight.view(heads, 2, rows // heads // 2, width).transpose(1, 2).reshape(rows, width)


def _fused_qkv(tensors: dict[str, Stored], attention: str, end: str, heads: int) -> dict[str, Stored]:
    """Separate q, k, v with half-split rotary pairs → one ``in_proj_weight`` with interleaved ones."""
    fused: dict[str, Stored] = {}
    for name, stored in tensors.items():
        found = re.fullmatch(rf"({attention}.*\.self_attn\.)([qkv])_proj{end}", name)
        if not found:
            fused[name] = stored
        elif found[2] == "q":
            q, k, v = (tensors[f"{found[1]}{part}_proj{end.replace(chr(92), '')}"] for part in "qkv")
            shape = (q.shape[0] + k.shape[0] + v.shape[0], q.shape[1])
            fused[found[1] + "in_proj_weight"] = Stored(
                shape,
                lambda q=q, k=k, v=v: torch.cat(  # type: ignore[misc]
                    [_interleaved(q.read(), heads), _interleaved(k.read(), heads), v.read()]
                ),
            )
    return fused


def _renamed(tensors: Tensors, rules: Sequence[tuple[str, str]]) -> dict[str, Stored]:
    """Every rule applied to every name, in order."""
    renamed = {}
    for name, stored in tensors.items():
        for old, new in rules:
            name = re.sub(old, new, name)
        renamed[name] = stored
    return renamed


_MIMI_RULES = (
    (r"^((?:en|de)coder)\.layers\.(\d+)\.block\.(\d+)\.conv\.", r"\1.model.\2.block.\3.conv.conv."),
    (r"^encoder\.layers\.(\d+)\.conv\.", r"encoder.model.\1.conv.conv."),
    (r"_transformer\.layers\.", "_transformer.transformer.layers."),
    (r"\.input_layernorm\.", ".norm1."),
    (r"\.post_attention_layernorm\.", ".norm2."),
    (r"\.self_attn_layer_scale\.", ".layer_scale_1."),
    (r"\.mlp_layer_scale\.", ".layer_scale_2."),
    (r"\.mlp\.fc([12])\.", r".linear\1."),
    (r"\.o_proj\.", ".out_proj."),
    (r"\.semantic_residual_vector_quantizer\.layers\.", ".rvq_first.vq.layers."),
    (r"\.acoustic_residual_vector_quantizer\.layers\.", ".rvq_rest.vq.layers."),
    (r"\.semantic_residual_vector_quantizer\.", ".rvq_first."),
    (r"\.acoustic_residual_vector_quantizer\.", ".rvq_rest."),
    (r"\.codebook\.initialized$", "._codebook._initialized"),
    (r"\.codebook\.cluster_usage$", "._codebook.cluster_usage"),
    (r"\.codebook\.embed_sum$", "._codebook.embedding_sum"),
    (r"^downsample\.conv\.weight$", "downsample.conv.conv.conv.weight"),
    (r"^upsample\.conv\.weight$", "upsample.convtr.convtr.convtr.weight"),
)


def mimi_from_transformers(tensors: Tensors, heads: int) -> dict[str, Stored]:
    """``kyutai/mimi`` as transformers keeps it → Kyutai's own layout."""
    renamed = _renamed(tensors, _MIMI_RULES)
    # In the decoder a convolution and a transposed one have the same name. The first and the last layer are
    # plain, the strided ones between them transposed.
    strided = [re.match(r"decoder\.layers\.(\d+)\.conv\.", name) for name in renamed]
    places = [int(found[1]) for found in strided if found]
    plain = {min(places), max(places)} if places else set()
    for name in list(renamed):
        if found := re.fullmatch(r"decoder\.layers\.(\d+)\.conv\.(\w+)", name):
            kind = "conv" if int(found[1]) in plain else "convtr"
            renamed[f"decoder.model.{found[1]}.{kind}.{kind}.{found[2]}"] = renamed.pop(name)
    return _fused_qkv(renamed, "", r"\.weight", heads)


_MOSHI_RULES = (
    (r"^decoder\.model\.embed_tokens\.", "text_emb."),
    (r"^embed_tokens\.", "emb."),
    (r"^decoder\.lm_head\.", "text_linear."),
    (r"^decoder\.model\.norm\.weight$", "out_norm.alpha"),
    (r"^decoder\.model\.layers\.", "transformer.layers."),
    (r"^depth_decoder\.text_embed_tokens\.", "depformer_text_emb."),
    (r"^depth_decoder\.embed_tokens\.", "depformer_emb."),
    (r"^depth_decoder\.layers\.", "depformer.layers."),
    (r"\.input_layernorm\.weight$", ".norm1.alpha"),
    (r"\.post_attention_layernorm\.weight$", ".norm2.alpha"),
    (r"\.mlp\.fc1\.weight$", ".gating.linear_in.weight"),
    (r"\.mlp\.fc2\.weight$", ".gating.linear_out.weight"),
    (r"\.o_proj\.linear\.weight$", ".out_proj.weight"),
)


def moshi_from_transformers(tensors: Tensors, heads: int) -> dict[str, Stored]:
    """Moshi's language model as transformers keeps it (``kmhf/hf-moshiko``) → Kyutai's own layout.

    There the depth transformer's weights have the step as their first axis; it has no rotary positions, so
    its projections keep their rows.
    """
    renamed = _fused_qkv(_renamed(tensors, _MOSHI_RULES), r"transformer\.", r"\.linear\.weight", heads)
    plain: dict[str, Stored] = {}
    for name, stored in renamed.items():
        if name.endswith(".alpha"):
            shape = (1, 1, *stored.shape)
            plain[name] = Stored(shape, lambda s=stored, shape=shape: s.read().view(shape))  # type: ignore[misc]
        elif found := re.fullmatch(r"(depformer\.layers\.\d+\.self_attn\.)q_proj\.linear\.weight", name):
            parts = [renamed[f"{found[1]}{part}_proj.linear.weight"] for part in "qkv"]
            steps, _, width = stored.shape
            shape = (steps * sum(part.shape[1] for part in parts), width)
            plain[found[1] + "in_proj_weight"] = Stored(
                shape,
                lambda parts=parts: torch.cat([part.read() for part in parts], dim=1).flatten(0, 1),  # type: ignore[misc]
            )
        elif re.fullmatch(r"depformer\.layers\.\d+\.self_attn\.[kv]_proj\.linear\.weight", name):
            continue  # read together with their query projection
        elif re.fullmatch(r"depformer\.layers\.\d+\.self_attn\.out_proj\.weight", name):
            shape = (stored.shape[0] * stored.shape[1], stored.shape[2])
            plain[name] = Stored(shape, lambda s=stored: s.read().flatten(0, 1))  # type: ignore[misc]
        elif found := re.fullmatch(r"(depformer\.layers\.\d+\.gating)\.(linear_(?:in|out)\.weight)", name):
            plain.update(_steps(stored, f"{found[1]}.{{s}}.{found[2]}"))
        elif name == "depth_decoder.input_projections.weight":
            plain.update(_steps(stored, "depformer_in.{s}.weight"))
        elif name == "depth_decoder.lm_heads.weight":
            plain.update(_steps(stored, "linears.{s}.weight"))
        else:
            plain[name] = stored
    return plain


def _steps(stored: Stored, template: str) -> dict[str, Stored]:
    """A tensor with the step as its first axis → one tensor for each step."""
    return {
        template.format(s=step): Stored(stored.shape[1:], lambda step=step: stored.read()[step])  # type: ignore[misc]
        for step in range(stored.shape[0])
    }
