"""Streams of convolutions against torch's own convolutions over the whole."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from duologue.codecs.mimi import in_pieces
from duologue.nn.conv import MUCH, WIDE, CausalConv1d, CausalConvTranspose1d, ChannelwiseUpsample, Streaming, elu
from duologue.nn.linear import pack
from duologue.nn.rows import Rows

from .tiny import filled

SIZES = st.lists(st.integers(1, 7), min_size=1, max_size=8)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def in_chunks(layer: Streaming, x: Tensor, sizes: list[int]) -> Tensor:
    """The rows of ``x`` in a bigger state, scattered, chunk by chunk."""
    rows = Rows.of([4, 1, 2][: len(x)])
    state = layer.state(6)
    return torch.cat([layer.stream(piece, state, rows) for piece in torch.split(x, sizes, dim=1)], dim=1)


@given(
    sizes=SIZES, kernel=st.integers(1, 7), stride=st.integers(1, 4), dilation=st.integers(1, 3),
    inputs=st.sampled_from((3, WIDE)), replicate=st.booleans(), packed=st.booleans(), active=st.booleans(),
)  # fmt: skip
def test_a_convolution(
    sizes: list[int], kernel: int, stride: int, dilation: int, inputs: int, replicate: bool, packed: bool, active: bool
) -> None:
    reach = (kernel - 1) * dilation + 1 - stride
    if reach < 0:
        return
    start = "replicate" if replicate else "zeros"
    layer = filled(CausalConv1d(inputs, 5, kernel, stride=stride, dilation=dilation, start=start, elu=active))
    weight, bias = layer.weight.detach().permute(0, 2, 1), layer.bias
    if packed:
        pack(layer)
    sizes = [size * stride for size in sizes]
    x = noise(2, sum(sizes), inputs)
    seen = F.elu(x) if active else x
    padded = F.pad(seen.transpose(1, 2), (reach, 0), mode="replicate" if replicate else "constant")
    want = F.conv1d(padded, weight, bias, stride, dilation=dilation).transpose(1, 2)
    torch.testing.assert_close(in_chunks(layer, x, sizes), want, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(layer(x), want, atol=1e-5, rtol=1e-5)


@given(sizes=SIZES, stride=st.integers(1, 4), strides=st.integers(1, 4), packed=st.booleans())
def test_a_transposed_convolution(sizes: list[int], stride: int, strides: int, packed: bool) -> None:
    layer = filled(CausalConvTranspose1d(3, 5, strides * stride, stride=stride))
    weight = layer.transposed.weight.detach().permute(2, 1, 0)
    if packed:
        pack(layer)
    x = noise(2, sum(sizes), 3)
    whole = F.conv_transpose1d(x.transpose(1, 2), weight, layer.transposed.bias, stride)
    want = whole[..., : x.shape[1] * stride].transpose(1, 2)
    torch.testing.assert_close(in_chunks(layer, x, sizes), want, atol=1e-5, rtol=1e-5)


@given(sizes=SIZES, stride=st.integers(1, 4), strides=st.integers(1, 4))
def test_a_channelwise_upsampling(sizes: list[int], stride: int, strides: int) -> None:
    layer = filled(ChannelwiseUpsample(5, strides * stride, stride=stride))
    x = noise(2, sum(sizes), 5)
    whole = F.conv_transpose1d(x.transpose(1, 2), layer.weight.t()[:, None], None, stride, groups=5)
    want = whole[..., : x.shape[1] * stride].transpose(1, 2)
    torch.testing.assert_close(in_chunks(layer, x, sizes), want, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "kernel", "stride", "dilation"), [(3, 5, 2, 1), (WIDE, 4, 2, 1), (WIDE, 3, 1, 2), (WIDE, 4, 2, 3)]
)
@pytest.mark.parametrize("packed", [False, True])
def test_long_pieces_of_several_rows_are_the_same_as_short_ones(
    inputs: int, kernel: int, stride: int, dilation: int, packed: bool
) -> None:
    for layer in (
        filled(CausalConv1d(inputs, 5, kernel, stride=stride, dilation=dilation)),
        filled(CausalConvTranspose1d(inputs, 5, 2 * stride, stride=stride)),
    ):
        if packed:
            pack(layer)
        x = noise(3, 400, inputs)
        torch.testing.assert_close(layer(x), in_pieces(layer, x, 20), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_elu(dtype: torch.dtype) -> None:
    x = torch.cat([noise(1000), torch.tensor([0.0, -1e-9, 1e-9, -19.9, -20.1, -1e30, 1e30])]).to(dtype)
    torch.testing.assert_close(elu(x, torch.empty_like(x)), F.elu(x), atol=1e-7, rtol=0)


def test_much_at_once_goes_row_by_row() -> None:
    x = noise(3, MUCH // 256, 128)
    whole = torch.empty(3, MUCH // 256 + 5, 128)
    kept = elu(x, whole[:, 5:])
    torch.testing.assert_close(kept, F.elu(x), atol=1e-7, rtol=0)
    assert kept.data_ptr() == whole[:, 5:].data_ptr()


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_wide_layers_cut_into_blocks(chunk: int) -> None:
    """As many numbers as it takes for blocks, the last of which is not full."""
    for make in (
        lambda: CausalConv1d(256, 400, 3),
        lambda: CausalConv1d(128, 520, 4, stride=2, elu=True),
        lambda: CausalConvTranspose1d(300, 250, 8, stride=4, elu=True),
    ):
        plain, packed = filled(make()), filled(make())
        pack(packed)
        x = noise(2, 100, plain.inputs if isinstance(plain, CausalConv1d) else 300)
        size = chunk * (plain.stride if isinstance(plain, CausalConv1d) else 1)
        ours = in_chunks(packed, x, [size] * (100 // size) + [100 % size] * bool(100 % size))
        torch.testing.assert_close(ours, plain(x), atol=1e-4, rtol=1e-5)


def test_half_a_stride_is_refused() -> None:
    layer = filled(CausalConv1d(3, 5, 4, stride=2))
    with pytest.raises(ValueError, match="multiple of the stride 2"):
        layer(noise(1, 3, 3))


@pytest.mark.parametrize(
    "make", [lambda: CausalConv1d(1, 1, 2, stride=3), lambda: CausalConvTranspose1d(1, 1, 2, stride=3)]
)
def test_a_kernel_with_gaps_is_refused(make: object) -> None:
    with pytest.raises(ValueError, match=r"gaps|whole strides"):
        make()  # type: ignore[operator]
