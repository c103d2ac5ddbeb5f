"""In which order places are removed: by signed value, the highest first, and places of equal value in an order of their own.

Many maps are mostly ties (a ReLU makes nine of ten values zero). Removing ties from the top left to the bottom right would
delete a band of the image; removing all at once, as thresholds do, would delete everything. Here tied places follow one
fixed permutation, drawn from the seed and the map's size alone: it knows neither the image nor the map.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int

from interp.core.rng import generator
from interp.errors import InterpError

# Values are compared with this many binary digits (about six decimal ones), so that the rounding of an interpolation
# does not put the places of a plateau into an order.
_DIGITS = 20


def removal_order(values: Float[np.ndarray, "rows cols"], seed: int = 0) -> Int[np.ndarray, " places"]:
    """Flat (row-major) indices of all places, from the highest to the lowest signed value.

    Values that agree to about six digits are tied, and tied places follow a permutation that depends on ``seed`` and the
    size (rows, cols) alone. A zero or constant map is one single tie: its order is that of a random map. Reversed, this is the
    order from the lowest value on. Raises InterpError where a value is not finite.
    """
    if not np.isfinite(values).all():
        raise InterpError("the map holds NaN or infinite values, which have no order: leave it out")
    rows, cols = values.shape
    ties = torch.randperm(rows * cols, generator=generator(seed, "ties", rows, cols)).numpy()
    order: np.ndarray = ties[np.argsort(-_levels(values).ravel()[ties], kind="stable")]
    return order


def removed_counts(places: int, shares: Float[np.ndarray, " steps"]) -> Int[np.ndarray, " steps"]:
    """How many of ``places`` a share in [0, 1] of them is, rounded to the nearest."""
    counts: np.ndarray = np.rint(places * shares).astype(np.int64)
    return counts


def _levels(values: Float[np.ndarray, "rows cols"]) -> Float[np.ndarray, "rows cols"]:
    """The values, relative to the largest absolute one, with `_DIGITS` binary digits."""
    most = float(np.abs(values).max())
    if most == 0:
        return np.zeros(values.shape)
    mantissas, exponents = np.frexp(values.astype(np.float64) / most)
    return np.ldexp(np.rint(np.ldexp(mantissas, _DIGITS)), exponents)
