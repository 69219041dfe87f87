"""Residual vector quantisation: a vector as a column of codes, each refining what the ones before left over."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Codebook(nn.Module):
    """``entries`` vectors. Stored as the running sums that training keeps: a centroid is its sum / its usage."""

    embedding: Tensor

    def __init__(self, entries: int, dim: int) -> None:
        super().__init__()
        self.embedding_sum = nn.Parameter(torch.empty(entries, dim), requires_grad=False)
        self.cluster_usage = nn.Parameter(torch.empty(entries), requires_grad=False)
        self.register_buffer("embedding", torch.empty(entries, dim), persistent=False)
        self.register_buffer("half_norm", torch.empty(entries), persistent=False)

    def settle(self) -> None:
        """Work out the centroids, once the sums are loaded. A codebook is used only after this."""
        usage = self.cluster_usage.clamp(min=1e-5)
        self.embedding = self.embedding_sum / usage[:, None]
        self.half_norm = self.embedding.square().sum(1) / 2

    def nearest(self, x: Tensor) -> Tensor:
        """The closest centroid to each vector by Euclidean distance: [N, dim] → int64 [N].

        |x - e|² orders entries as |e|²/2 - x·e does.
        """
        return torch.addmm(self.half_norm, x, self.embedding.T, alpha=-1).argmin(dim=-1)


class ResidualQuantizer(nn.Module):
    """``levels`` codebooks in a row, in a space of their own: linear maps lead into it and back."""

    def __init__(self, levels: int, entries: int, dim: int, outside: int) -> None:
        super().__init__()
        self.input_proj = nn.Parameter(torch.empty(dim, outside))
        self.output_proj = nn.Parameter(torch.empty(outside, dim))
        self.codebooks = nn.ModuleList(Codebook(entries, dim) for _ in range(levels))

    def _books(self, levels: int) -> list[Codebook]:
        books = [book for book in self.codebooks if isinstance(book, Codebook)]
        if levels > len(books):
            raise ValueError(f"{levels} levels of codes, but there are {len(books)} codebooks")
        return books[:levels]

    def encode(self, x: Tensor, levels: int) -> Tensor:
        """[N, outside] → codes int64 [N, levels]."""
        residual = F.linear(x, self.input_proj)
        codes = []
        for book in self._books(levels):
            code = book.nearest(residual)
            residual = residual - book.embedding[code]
            codes.append(code)
        return torch.stack(codes, dim=-1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [N, levels] → [N, outside]."""
        books = self._books(codes.shape[1])
        total = sum((book.embedding[codes[:, i]] for i, book in enumerate(books)), start=torch.zeros(()))
        return F.linear(total.to(self.output_proj.dtype), self.output_proj)


class SplitQuantizer(nn.Module):
    """Two quantisers of the *same* vector: one level that carries meaning, and levels that carry sound.

    The second is not a residual of the first; their outputs are summed (Moshi, arXiv 2410.00037, 3.3.3).
    """

    def __init__(self, levels: int, entries: int, dim: int, outside: int) -> None:
        super().__init__()
        self.first = ResidualQuantizer(1, entries, dim, outside)
        self.rest = ResidualQuantizer(levels - 1, entries, dim, outside)
        self.levels = levels

    def settle(self) -> None:
        """Work out the centroids, once the weights are loaded."""
        for module in self.modules():
            if isinstance(module, Codebook):
                module.settle()

    def encode(self, x: Tensor, levels: int) -> Tensor:
        """[N, outside, T] → codes int64 [N, levels, T]."""
        flat = x.transpose(1, 2).flatten(0, 1)
        codes = self.first.encode(flat, 1)
        if levels > 1:
            codes = torch.cat([codes, self.rest.encode(flat, levels - 1)], dim=-1)
        return codes.view(x.shape[0], x.shape[2], levels).transpose(1, 2)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [N, levels, T] → [N, outside, T]; the first level alone will do."""
        flat = codes.transpose(1, 2).flatten(0, 1)
        x = self.first.decode(flat[:, :1])
        if flat.shape[1] > 1:
            x = x + self.rest.decode(flat[:, 1:])
        return x.view(codes.shape[0], codes.shape[2], -1).transpose(1, 2)
