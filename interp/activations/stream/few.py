"""The values themselves, as long as they are few: then quantiles need neither bins nor a sample."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

MOST = 2048
"""So many values of a channel are kept, which take 8 kB."""


class Few:
    """All values of every channel while there are at most `MOST` of each, then none."""

    def __init__(self, values: Float[Tensor, "c m"]) -> None:
        self._parts = [values]

    def add(self, values: Float[Tensor, "c m"] | None) -> None:
        """Keep values too; None where there are too many from now on."""
        self._parts = [self._parts[0][:, :0]] if values is None else [*self._parts, values]

    def values(self) -> Float[Tensor, "c m"]:
        """In the order in which they came."""
        self._parts = [torch.cat(self._parts, 1)]
        return self._parts[0]


def kept(maps: Float[Tensor, "n c p"], count: int) -> Float[Tensor, "c m"] | None:
    """The values of each channel where they can be kept beside ``count`` others, else None."""
    if count + maps.shape[0] * maps.shape[2] > MOST:
        return None
    return maps.transpose(0, 1).flatten(1).cpu().clone()
