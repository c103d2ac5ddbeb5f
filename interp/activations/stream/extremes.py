"""The k images at one end of every channel, with the places of the values: of equal values the earlier image, then the earlier place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.activations.stream.values import Examples, Side


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
        channels, k = self.values.shape
        every = torch.cat([self.values, ends.T.float().cpu()], dim=1)
        # Stable: those from before stand first, then earlier images.
        order = every.sort(dim=1, descending=self.side is Side.TOP, stable=True).indices[:, :k]
        old = order < k
        kept = order.clamp(max=k - 1)
        images = torch.where(old, self.images.gather(1, kept), first + order - k)
        places = torch.where(old, self.places.gather(1, kept), 0)
        channel, rank = (~old).nonzero(as_tuple=True)
        if len(channel) and maps.shape[2] > 1:
            rows = (order[channel, rank] - k) * channels + channel
            places[channel, rank] = _first(maps.reshape(-1, maps.shape[2]), rows, self.side)
        return Extremes(self.side, every.gather(1, order), images, places)

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
    if rows.device.type == "cpu":  # NumPy's search is several times as fast as torch's
        taken = rows.numpy()[chosen.numpy()]
        return torch.from_numpy(taken.argmax(axis=1) if side is Side.TOP else taken.argmin(axis=1))
    there = rows[chosen.to(rows.device)]
    return (there.argmax(1) if side is Side.TOP else there.argmin(1)).cpu()
