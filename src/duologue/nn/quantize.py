"""Residual vector quantisation: a vector as codes, each refining what the ones before left over."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from duologue.nn.linear import Linear, Packable


class Codebook(Packable):
    """``entries`` vectors. Stored as the sums that training keeps: a centroid is its sum / its usage."""

    keeps_weight = True  # the centroids themselves are looked up
    embedding: Tensor
    height: Tensor

    def __init__(self, entries: int, dim: int) -> None:
        super().__init__()
        self.embedding_sum = nn.Parameter(torch.empty(entries, dim))
        self.cluster_usage = nn.Parameter(torch.empty(entries))
        self.register_buffer("embedding", torch.empty(entries, dim), persistent=False)
        self.register_buffer("height", torch.empty(entries), persistent=False)

    def settle(self) -> None:
        """Work out the centroids, once the sums are loaded. A codebook is used only after this."""
        usage = self.cluster_usage.clamp(min=1e-5)
        self.embedding = self.embedding_sum / usage[:, None]
        self.height = self.embedding.square().sum(1) / -2

    def matrices(self) -> Sequence[Tensor]:
        return [self.embedding]

    def addend(self) -> Tensor:
        return self.height

    def nearest(self, x: Tensor) -> Tensor:
        """The closest centroid to each vector by Euclidean distance: [..., dim] → int64 [...].

        The smallest |x - e|² is the largest x·e - |e|²/2.
        """
        return self.multiply(x).argmax(dim=-1)


class ResidualQuantizer(nn.Module):
    """``levels`` codebooks in a row, in a space of their own: linear maps lead into it and back."""

    def __init__(self, levels: int, entries: int, dim: int, outside: int) -> None:
        super().__init__()
        self.input_proj = Linear(outside, dim)
        self.output_proj = Linear(dim, outside)
        self.codebooks = nn.ModuleList(Codebook(entries, dim) for _ in range(levels))

    def _books(self, levels: int) -> list[Codebook]:
        books = [book for book in self.codebooks if isinstance(book, Codebook)]
        if levels > len(books):
            raise ValueError(f"{levels} levels of codes, but there are {len(books)} codebooks")
        return books[:levels]

    def encode(self, x: Tensor, levels: int) -> Tensor:
        """[N, T, outside] → codes int64 [N, levels, T]."""
        residual = self.input_proj(x)
        codes = []
        for book in self._books(levels):
            codes.append(book.nearest(residual))
            residual = residual - book.embedding[codes[-1]]
        return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [N, levels, T] → [N, T, outside]."""
        books = self._books(codes.shape[1])
        found = torch.stack([book.embedding[codes[:, i]] for i, book in enumerate(books)])
        x: Tensor = self.output_proj(found.sum(0))
        return x


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
        """[N, T, outside] → codes int64 [N, levels, T]."""
        codes = self.first.encode(x, 1)
        return codes if levels == 1 else torch.cat([codes, self.rest.encode(x, levels - 1)], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [N, levels, T] → [N, T, outside]; the first level alone will do."""
        x = self.first.decode(codes[:, :1])
        return x if codes.shape[1] == 1 else x + self.rest.decode(codes[:, 1:])
