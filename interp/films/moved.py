"""Which filters moved most while the network learned, and in which direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from interp.films.matching import own_cosines
from interp.kernels import ranks


@dataclass(frozen=True, eq=False)
class Moved:
    """Per filter of a layer: ``distance``, the norm of (last - first) over that of the first; ``cosine`` of last and first: 1 where only
    the size changed; ``size``, the norm of the last over that of the first. NaN for a filter that was zero at first.

    The three hold together: distance^2 = 1 + size^2 - 2 size cosine.
    """

    layer: str
    distance: Float[np.ndarray, " out"]
    cosine: Float[np.ndarray, " out"]
    size: Float[np.ndarray, " out"]

    @property
    def order(self) -> Int[np.ndarray, " out"]:
        """The filters, the farthest first; those without a distance last."""
        return np.argsort(-np.nan_to_num(self.distance, nan=-1.0), kind="stable")


def moved(layer: str, weights: Float[np.ndarray, "moments out in rows cols"]) -> Moved:
    """How far the filters of a layer are at the last moment from where they were at the first."""
    first, last = weights[0], weights[-1]
    start = ranks.l2(first)
    distance, size = (
        np.divide(ranks.l2(each), start, out=np.full_like(start, np.nan), where=start > 0)
        for each in (last.astype(np.float64) - first, last)
    )
    return Moved(layer, distance, own_cosines(first, last), size)
