"""Class selectivity: how far a channel answers to one class more than to the others (Morcos, Barrett, Rabinowitz & Botvinick 2018).

The index is (a - b) / (a + b): a the mean activity in the class where it is largest, b the mean of the other classes' means. Activity is
what is behind a ReLU, so the positive part of a value, averaged over places: for a layer with a ReLU the value itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(eq=False)
class ClassSums:
    """Sums (classes, channels) of the images' mean positive parts, float64, and how many images each class has."""

    sums: Float[Tensor, "l c"]
    images: Int[Tensor, " l"]

    @classmethod
    def empty(cls, classes: int, channels: int) -> ClassSums:
        return cls(torch.zeros(classes, channels, dtype=torch.float64), torch.zeros(classes, dtype=torch.int64))

    def add(self, activity: Float[Tensor, "n c"], labels: Int[Tensor, " n"]) -> None:
        """Add images by the indices of their classes; -1 for one without a label."""
        known = labels >= 0
        self.sums.index_add_(0, labels[known], activity[known].double())
        self.images += torch.bincount(labels[known], minlength=len(self.images))

    def selectivity(self) -> tuple[Float[np.ndarray, " c"], Int[np.ndarray, " c"]]:
        """Each channel's index, and the class of its largest mean, -1 where none is positive; classes without an image do not count."""
        there = np.flatnonzero(self.images.numpy())
        if len(there) < 2:
            channels = self.sums.shape[1]
            return np.full(channels, np.nan), np.full(channels, -1)
        means = self.sums.numpy()[there] / self.images.numpy()[there, None]
        best = means.argmax(axis=0)
        most = means.max(axis=0)
        others = (means.sum(axis=0) - most) / (len(there) - 1)
        whole = most + others
        index = np.divide(most - others, whole, out=np.zeros_like(whole), where=whole > 0)
        return np.clip(index, 0, 1), np.where(most > 0, there[best], -1)


def activity(maps: Float[Tensor, "n c p"]) -> Float[Tensor, "n c"]:
    """The mean over places of the positive part."""
    # Not (x + |x|) / 2, which leaves rounding where nothing is positive.
    mean: Tensor = maps.clamp(min=0).mean(2).cpu()
    return mean
