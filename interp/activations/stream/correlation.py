"""Pearson's correlations of the channels of a layer, over images and places.

Of large maps an even grid of at most 5 x 5 places counts, the same in each image: neighbouring places say nearly the same, and all of them
would cost a good part of the network's own arithmetic. Products are summed in float32 around the means of a batch, and merged in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

SIDE = 5
PLACES = SIDE * SIDE
MOST_SHOWN = 2048
"""Of layers with more channels the matrix is not given, only the nearest neighbours."""
MOST = 4096
"""Layers with more channels are not correlated: the matrix takes 8 bytes x channels^2."""


def grid(maps: Float[Tensor, "n c rows cols"]) -> Float[Tensor, "n c r k"]:
    """The places that count: every s-th, s the smallest step that leaves at most 5, with equal borders."""
    rows, cols = (slice((side - 1) % step // 2, None, step) for side, step in ((s, -(-s // SIDE)) for s in maps.shape[2:]))
    return maps[:, :, rows, cols]


@dataclass(eq=False)
class Comoments:
    """Of ``count`` places: the means, and the sums of products of deviations (channels, channels), float64."""

    count: int
    mean: Float[Tensor, " c"]
    products: Float[Tensor, "c c"]

    @classmethod
    def empty(cls, channels: int) -> Comoments:
        return cls(0, torch.zeros(channels, dtype=torch.float64), torch.zeros(channels, channels, dtype=torch.float64))

    @classmethod
    def of(cls, maps: Float[Tensor, "n c rows cols"]) -> Comoments:
        """Of the `grid` of float32 maps."""
        # Gathered, then turned around: both at once takes longer.
        values = grid(maps).contiguous().transpose(0, 1).flatten(1)
        count = values.shape[1]
        mean = values.mean(1)
        apart = values - mean[:, None]
        # The mean was rounded: what is left of it is taken out.
        left = apart.sum(1).double().cpu()
        products = (apart @ apart.T).double().cpu()
        return cls(count, mean.double().cpu() + left / count, products.addr_(left, left, alpha=-1 / count))

    def add(self, part: Comoments) -> None:
        """Merge ``part`` into this one."""
        count = self.count + part.count
        apart = part.mean - self.mean
        self.products.add_(part.products).addr_(apart, apart, alpha=self.count * part.count / count)
        self.mean = self.mean + apart * (part.count / count)
        self.count = count

    def correlation(self) -> Float[np.ndarray, "c c"]:
        """In [-1, 1], 1 on the diagonal; nan where a channel is constant."""
        variance = self.products.diagonal().numpy() / max(1, self.count)
        scale = np.sqrt(np.where(variance > (1e-6 * self.mean.numpy()) ** 2, variance, np.nan) * self.count)
        found: np.ndarray = self.products.numpy() / scale / scale[:, None]
        np.clip(found, -1, 1, out=found)
        known = np.isfinite(scale)
        found[known, known] = 1
        return found


def nearest(correlation: Float[np.ndarray, "c c"], count: int) -> tuple[Int[np.ndarray, "c m"], Float[np.ndarray, "c m"]]:
    """For each channel the others of the largest correlation, the largest first, of equal ones the earlier channel."""
    apart = np.where(np.isnan(correlation), -np.inf, correlation)
    np.fill_diagonal(apart, -np.inf)
    order = _largest(apart, count)
    values = np.take_along_axis(apart, order, axis=1)
    there = np.isfinite(values)
    return np.where(there, order, -1), np.where(there, values, np.nan)


def _largest(rows: Float[np.ndarray, "r c"], count: int) -> Int[np.ndarray, "r m"]:
    """Where the largest values of each row are, the largest first, of equal ones the first."""
    if count >= rows.shape[1]:
        return np.argsort(-rows, axis=1, kind="stable")
    # A whole sort only where the last place has several claimants.
    some = np.sort(np.argpartition(-rows, count - 1, axis=1)[:, :count], axis=1)
    values = np.take_along_axis(rows, some, axis=1)
    found = np.take_along_axis(some, np.argsort(-values, axis=1, kind="stable"), axis=1)
    several = (rows >= values.min(axis=1, keepdims=True)).sum(axis=1) > count
    found[several] = np.argsort(-rows[several], axis=1, kind="stable")[:, :count]
    return found
