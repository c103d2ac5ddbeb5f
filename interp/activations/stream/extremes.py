"""The k images at one end of every channel, with the places of the values: of equal values the earlier image, then the earlier place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.activations.stream.values import Examples, Side

_AT_ONCE = 1 << 17


@dataclass(frozen=True, eq=False)
class Extremes:
    """``values`` (channels, k), the outermost first, with images and places (row * columns + column); -1 where there is none yet."""

    side: Side
    values: Float[Tensor, "c k"]
    images: Int[Tensor, "c k"]
    places: Int[Tensor, "c k"]

    @classmethod
    def empty(cls, side: Side, channels: int, k: int) -> Extremes:
        none = torch.full((channels, k), -1, dtype=torch.int64)
        worst = -torch.inf if side is Side.TOP else torch.inf
        return cls(side, torch.full((channels, k), worst, dtype=torch.float32), none, none.clone())

    def extended(self, ends: Float[Tensor, "n c"], maps: Float[Tensor, "n c p"], first: int) -> Extremes:
        """With images ``first``, ``first`` + 1 ..., whose maps have the values ``ends`` at this side."""
        ends = ends.float().cpu()
        # Only channels of which an image is better than the last one kept.
        better = ends.amax(0) > self.values[:, -1] if self.side is Side.TOP else ends.amin(0) < self.values[:, -1]
        moved = better.nonzero()[:, 0]
        if not len(moved):
            return self
        k = self.values.shape[1]
        every = torch.cat([self.values[moved], ends.T[moved]], dim=1)
        # Stable: those from before stand first, then earlier images.
        order = every.sort(dim=1, descending=self.side is Side.TOP, stable=True).indices[:, :k]
        old = order < k
        kept = order.clamp(max=k - 1)
        images = torch.where(old, self.images[moved].gather(1, kept), first + order - k)
        places = torch.where(old, self.places[moved].gather(1, kept), 0)
        row, rank = (~old).nonzero(as_tuple=True)
        if maps.shape[2] > 1:
            rows = (order[row, rank] - k) * len(self.values) + moved[row]
            places[row, rank] = _first(maps.reshape(-1, maps.shape[2]), rows, self.side)
        return Extremes(
            self.side,
            self.values.index_copy(0, moved, every.gather(1, order)),
            self.images.index_copy(0, moved, images),
            self.places.index_copy(0, moved, places),
        )

    def examples(self, cols: int) -> Examples:
        """As values, of maps with so many columns."""
        values, images, places = (tensor.numpy() for tensor in (self.values, self.images, self.places))
        none = images < 0
        return Examples(
            np.where(none, np.nan, values).astype(np.float32),
            images,
            np.where(none, -1, places // cols),
            np.where(none, -1, places % cols),
        )


def _first(rows: Float[Tensor, "r p"], chosen: Int[Tensor, " m"], side: Side) -> Int[Tensor, " m"]:
    """Where in each of the ``chosen`` rows its outermost value is first."""
    if rows.device.type != "cpu":
        there = rows[chosen.to(rows.device)]
        return (there.argmax(1) if side is Side.TOP else there.argmin(1)).cpu()
    # NumPy's search is several times as fast as torch's; few rows at once, so that their copies stay in the cache.
    values, found = rows.numpy(), np.empty(len(chosen), dtype=np.int64)
    step = max(1, _AT_ONCE // rows.shape[1])
    for start in range(0, len(chosen), step):
        taken = values[chosen[start : start + step].numpy()]
        found[start : start + step] = taken.argmax(axis=1) if side is Side.TOP else taken.argmin(axis=1)
    return torch.from_numpy(found)
