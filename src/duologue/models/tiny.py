"""What small random checkpoints are made of, in whatever layout they are then written."""

from __future__ import annotations

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import nn


def fill(model: nn.Module, generator: torch.Generator) -> None:
    """Random parameters of a size that keeps what goes through at its size; norms about one."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        scale = 0.1 if parameter.dim() == 1 else parameter[0].numel() ** -0.5
        with torch.no_grad():
            parameter.copy_(noise * scale + float("norm" in name and name.endswith("weight")))


def byte_level(control: tuple[str, ...]) -> Tokenizer:
    """A tokenizer whose tokens are bytes, and control tokens after them."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: n for n, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in control])
    return tokenizer
