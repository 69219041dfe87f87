"""Linear maps packed and quantized: the same products, as near as their bits allow."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from duologue.checkpoints.keys import stored
from duologue.models.moshi import KEYS
from duologue.models.moshi_files import load_lm
from duologue.nn.linear import LONG, Linear, pack, quantize

from .tiny import LM, filled, lm


@pytest.mark.parametrize(("inputs", "outputs", "steps"), [(64, 48, None), (16, 33, 3), (88, 24, None), (33, 7, 2)])
@pytest.mark.parametrize("rows", [1, 3, 9])
def test_eight_bits_are_near(inputs: int, outputs: int, steps: int | None, rows: int) -> None:
    plain = filled(Linear(inputs, outputs, steps)).to(torch.bfloat16)
    short = filled(Linear(inputs, outputs, steps)).to(torch.bfloat16)
    quantize(short)
    assert short.scales
    x = torch.randn(rows, 1, inputs, generator=torch.Generator().manual_seed(0)).bfloat16()
    step = None if steps is None else steps - 1
    ours, theirs = short(x, step).float(), plain(x, step).float()
    assert ours.shape == theirs.shape == (rows, 1, outputs)
    assert (ours - theirs).norm() < 0.02 * theirs.norm()


@pytest.mark.parametrize("processor", ["Intel(R) Xeon(R) Processor", "AMD EPYC 7B13"])
@pytest.mark.parametrize(
    ("inputs", "outputs", "steps", "bias"),
    [(40, 24, None, True), (40, 24, 3, False), (300, 1024, None, True), (300, 1000, None, False), (500, 529, 2, True)],
)
@pytest.mark.parametrize("rows", [1, 3, LONG])
def test_packing_changes_nothing_but_noise(
    processor: str, inputs: int, outputs: int, steps: int | None, bias: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("duologue.nn.linear.processor_name", lambda: processor)
    plain = filled(Linear(inputs, outputs, steps, bias=bias))
    packed = filled(Linear(inputs, outputs, steps, bias=bias))
    pack(packed)
    blocks = "Intel" in processor and torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
    assert packed.packed[0].is_mkldnn != blocks
    x = torch.randn(rows, 2, inputs, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(packed(x), plain(x), atol=1e-5, rtol=1e-5)
    few = 1 if steps is None else steps
    together = packed.total([x] * few)
    apart = sum(plain.multiply(x, step) for step in range(few)) - (few - 1) * (0 if plain.bias is None else plain.bias)
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-5)


def test_a_language_model_of_eight_bits_says_nearly_the_same() -> None:
    config = replace(LM, dim=64, hidden=96, depth_dim=32, depth_hidden=48)
    tensors = {name: stored(view) for name, view in KEYS.published(lm(config)).items()}
    exact = load_lm(config, tensors, "exact")
    codes = torch.randint(0, 24, (2, 7, 20), generator=torch.Generator().manual_seed(0))
    errors = {}
    for name, bits in (("bfloat16", None), ("int8", 8)):
        short = load_lm(config, tensors, name, dtype=torch.bfloat16, bits=bits)
        with torch.no_grad():
            ours, theirs = short(codes), exact(codes)
        pairs = [(a.nan_to_num(0), b.float().nan_to_num(0)) for a, b in zip(theirs, ours, strict=True)]
        errors[name] = max(float((a - b).norm() / a.norm()) for a, b in pairs)
    assert errors["bfloat16"] < errors["int8"] < 0.03
