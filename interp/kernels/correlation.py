"""How alike neighbouring weights of a filter are: what tells an edge or a colour blob from noise."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def neighbour_correlation(weights: Float[np.ndarray, "out in rows cols"]) -> Float[np.ndarray, " out"]:
    """Moran's I of each filter (Moran 1950) over places that share an edge, each plane centred: (out,), near 0 for noise.

    At most 1 in magnitude but for the border; 0 for a filter whose planes are each of one value.
    """
    centred = weights - weights.mean(axis=(2, 3), keepdims=True)
    across = (centred[..., :, 1:] * centred[..., :, :-1]).sum(axis=(1, 2, 3))
    down = (centred[..., 1:, :] * centred[..., :-1, :]).sum(axis=(1, 2, 3))
    _, inputs, rows, cols = weights.shape
    pairs = inputs * (rows * (cols - 1) + (rows - 1) * cols)
    places = inputs * rows * cols
    spread = (centred**2).sum(axis=(1, 2, 3)) / places
    # What is below this is the rounding of a mean.
    varied = spread > 1e-12 * np.square(weights).mean(axis=(1, 2, 3))
    result: np.ndarray = np.divide((across + down) / pairs, spread, out=np.zeros_like(spread), where=varied)
    return result
