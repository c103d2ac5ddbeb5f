"""Which place of a grid each token of each attention window is, and sums along attention that need no dense matrix."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

PADDING = -1


@dataclass(frozen=True, eq=False)
class Partition:
    """How an attention layer divides its tokens into windows; global attention has one window that holds all.

    Tokens are ``prefix`` class or register tokens, then the places of ``grid`` (rows, cols) row by row. ``tokens``
    (windows, queries) says which token is where in a window, `PADDING` where there is none. Each is in one window.
    """

    prefix: int
    grid: tuple[int, int]
    tokens: Int[np.ndarray, "windows queries"]

    @property
    def count(self) -> int:
        return self.prefix + self.grid[0] * self.grid[1]

    def gather(self, values: Float[Tensor, "*batch tokens"]) -> Float[Tensor, "*batch windows queries"]:
        """Values of the tokens, by window; zero at padding."""
        padded = torch.cat([values, values.new_zeros(*values.shape[:-1], 1)], dim=-1)
        index: Tensor = torch.from_numpy(self.tokens).to(values.device)
        gathered: Tensor = padded[..., index]
        return gathered

    def scatter(self, values: Float[Tensor, "*batch windows queries"]) -> Float[Tensor, "*batch tokens"]:
        """The inverse of ``gather``; what lies on padding is lost."""
        kept = torch.from_numpy(np.flatnonzero(self.tokens.ravel() != PADDING)).to(values.device)
        order = torch.from_numpy(self.tokens[self.tokens != PADDING]).to(values.device)
        found = values.new_zeros(*values.shape[:-2], self.count)
        found[..., order] = values.flatten(-2)[..., kept]
        return found

    def pull(
        self, weights: Float[Tensor, "*batch tokens"], matrices: Float[Tensor, "*batch windows queries keys"]
    ) -> Float[Tensor, "*batch tokens"]:
        """``weights`` of the queries times the matrices, which say what each query takes from each key: weights of the keys."""
        return self.scatter(torch.einsum("...wq,...wqk->...wk", self.gather(weights), matrices))

    def is_token(self, like: Tensor) -> Float[Tensor, "windows 1 keys"]:
        """One at the keys that are tokens, zero at padding."""
        keys: Tensor = torch.from_numpy(self.tokens != PADDING).to(like.device, like.dtype)
        return keys[:, None]

    def maps(self, values: Float[Tensor, "*batch tokens"]) -> Float[Tensor, "*batch rows cols"]:
        """Values of the tokens that are places, on the grid."""
        places: Tensor = values[..., self.prefix :].unflatten(-1, self.grid)
        return places


def refines(fine: Partition, coarse: Partition) -> bool:
    """Whether each place of the ``coarse`` grid is a block of places of the ``fine`` one, and prefix tokens are the same."""
    return fine.prefix == coarse.prefix and all(
        -(-many // -(-many // few)) == few for many, few in zip(fine.grid, coarse.grid, strict=True)
    )


def spread(values: Float[Tensor, "*batch tokens"], coarse: Partition, fine: Partition) -> Float[Tensor, "*batch finer"]:
    """Values of the ``coarse`` tokens on the ``fine`` ones: each place gives equal parts to those it was merged from."""
    if coarse.grid == fine.grid:
        return values
    maps = coarse.maps(values)
    for dim, many, few in ((-2, fine.grid[0], coarse.grid[0]), (-1, fine.grid[1], coarse.grid[1])):
        parent = torch.arange(many, device=values.device) // -(-many // few)
        shares = maps / torch.bincount(parent).to(maps.dtype).unflatten(0, (few, *([1] * (-1 - dim))))
        maps = shares.index_select(dim, parent)
    return torch.cat([values[..., : coarse.prefix], maps.flatten(-2)], dim=-1)


def is_chain(partitions: list[Partition]) -> bool:
    """Whether each partition, from the first layer's to the last's, is on the same grid as the one before it or a coarser one."""
    return all(refines(fine, coarse) for fine, coarse in pairwise(partitions))
