"""Are units the same from moment to moment? Within a training they keep their index, which is checked; between trainings they are matched.

The measure is the cosine of the weights: 1 for the same filter at any size, 0 for unrelated ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment

LIKE, UNLIKE = 0.9, 0.5
"""A filter has jumped where its cosine to the moment before is below `UNLIKE`, or below `LIKE` while another filter's is nearer."""

Filters = Float[np.ndarray, "out in rows cols"]


@dataclass(frozen=True, eq=False)
class Identity:
    """From each moment to the next: ``cosine`` of each filter with itself before, ``other``, the largest with any other, ``jumped``.

    A filter of zeros has no cosine (NaN), and jumps neither there nor away.
    """

    cosine: Float[np.ndarray, "steps out"]
    other: Float[np.ndarray, "steps out"]

    @property
    def jumped(self) -> Bool[np.ndarray, "steps out"]:
        result: np.ndarray = (self.cosine < UNLIKE) | ((self.cosine < LIKE) & (self.other > self.cosine))
        return result


def cosines(before: Filters, after: Filters) -> Float[np.ndarray, "out out"]:
    """[i, k]: of filter i before with filter k after, in [-1, 1]; NaN where one is zero."""
    one, two = (_unit(each) for each in (before, after))
    result: np.ndarray = np.clip(one @ two.T, -1, 1)
    return result


def own_cosines(before: Filters, after: Filters) -> Float[np.ndarray, " out"]:
    """Of each filter before with the same after."""
    result: np.ndarray = np.clip((_unit(before) * _unit(after)).sum(axis=1), -1, 1)
    return result


def identity(weights: Float[np.ndarray, "moments out in rows cols"]) -> Identity:
    """The `Identity` of a layer's filters through all moments."""
    own, others = [], []
    for before, after in pairwise(weights):
        table = cosines(before, after)
        own.append(np.diagonal(table).copy())
        np.fill_diagonal(table, np.nan)
        others.append(np.max(np.nan_to_num(table, nan=-1.0), axis=0))
    return Identity(np.array(own), np.array(others))


def assigned(before: Filters, after: Filters) -> Int[np.ndarray, " out"]:
    """The order of the filters after that makes the sum of cosines to those before as large as can be (Kuhn 1955).

    ``after[order[k]]`` is matched to ``before[k]``.
    """
    rows, order = linear_sum_assignment(-np.nan_to_num(cosines(before, after), nan=0.0))
    result: np.ndarray = order[np.argsort(rows)]
    return result


def _unit(filters: Filters) -> Float[np.ndarray, "out n"]:
    flat = filters.reshape(len(filters), -1).astype(np.float64)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    result: np.ndarray = np.divide(flat, length, out=np.full_like(flat, np.nan), where=length > 0)
    return result
