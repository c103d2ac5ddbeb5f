"""Units of one layer whose weights point the same way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from interp.core.model import Model
from interp.errors import InterpError
from interp.kernels.weights import Kernels
from interp.kernels.weights import of as kernels_of


@dataclass(frozen=True, eq=False)
class Neighbours:
    """For each filter of a layer the others by cosine of weights, nearest first: their indices (-1 where fewer than k) and cosines.

    A filter that is zero has no direction: it is nobody's neighbour, and has none. Equal cosines keep the order of the layer.
    """

    layer: str
    indices: Int[np.ndarray, "out k"]
    cosines: Float[np.ndarray, "out k"]


def of(model: Model, layer: str, k: int) -> Neighbours:
    """The ``k`` nearest filters of each filter of a layer by cosine of weights, those most alike first.

    Each filter is a vector of its weights as it holds them; of a grouped convolution, filters of different groups see different
    inputs and are compared all the same, as shapes. Raises as `interp.kernels.of` does.
    """
    if k < 1:
        raise InterpError(f"`k` is {k}: give at least 1")
    cosines = cosines_of(kernels_of(model, layer))
    none = np.eye(len(cosines), dtype=bool) | np.isnan(cosines)
    ranked = np.where(none, -np.inf, cosines)
    order = np.argsort(-ranked, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(ranked, order, axis=1)
    there = np.isfinite(values)
    pad = ((0, 0), (0, k - order.shape[1]))
    indices = np.pad(np.where(there, order, -1), pad, constant_values=-1)
    return Neighbours(layer, indices, np.pad(np.where(there, values, 0.0), pad))


def cosines_of(kernels: Kernels) -> Float[np.ndarray, "out out"]:
    """The cosine of each pair of filters, in double precision; NaN with a filter that is zero (or not finite)."""
    rows = kernels.weights.reshape(len(kernels), -1).astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    directions = np.divide(rows, lengths, out=np.full_like(rows, np.nan), where=lengths > 0)
    cosines: np.ndarray = np.clip(directions @ directions.T, -1, 1)
    return cosines
