"""Filters that are one filter twice: by the cosine of weights, beside what chance gives in so many dimensions.

Between two independent directions in d dimensions, drawn without preference, cosine^2 is Beta(1/2, (d - 1)/2): the cosine has mean 0 and
standard deviation 1/sqrt(d). With few dimensions (a 1x1 kernel on three colours) nearly parallel pairs are no surprise; with many any
likeness is beyond chance, and says only that filters are related. So a duplicate is beyond chance and above `LEAST`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import stats
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from interp.kernels.neighbours import cosines_of
from interp.kernels.weights import Kernels

LEAST = 0.9
"""The least |cosine| of duplicates: 81 % of one's energy is the other's."""
LEVEL = 0.01
"""How probable one pair or more in a layer of random directions may be (Bonferroni over its pairs)."""


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Per filter: the largest |cosine| to another one of its group (``nearest``, with sign; NaN where there is none) and whose;
    ``p``: how probable a larger one is among all pairs of a random layer; ``cluster_of``: the first filter of its cluster, -1 where
    it has no duplicate.

    ``chance``: the |cosine| that a pair in a layer of random directions exceeds with probability `LEVEL`; ``threshold`` the larger
    of it and `LEAST`.
    """

    nearest: Float[np.ndarray, " out"]
    nearest_of: Int[np.ndarray, " out"]
    p: Float[np.ndarray, " out"]
    cluster_of: Int[np.ndarray, " out"]
    chance: float
    threshold: float

    @property
    def clusters(self) -> list[list[int]]:
        """The filters of each cluster of two or more, joined by chains of duplicates."""
        return [np.flatnonzero(self.cluster_of == first).tolist() for first in np.unique(self.cluster_of[self.cluster_of >= 0])]


def of(kernels: Kernels) -> Duplicates:
    """The `Duplicates` of a layer. Filters of different groups see different inputs, and are never duplicates."""
    count, dimensions = len(kernels), int(np.prod(kernels.weights.shape[1:]))
    group = np.arange(count) // (count // kernels.groups)
    cosines = cosines_of(kernels)
    cosines[(group[:, None] != group[None]) | np.eye(count, dtype=bool)] = np.nan
    size = np.nan_to_num(np.abs(cosines), nan=-1.0)
    nearest_of = size.argmax(axis=1)
    best = size[np.arange(count), nearest_of]
    share = count // kernels.groups
    pairs = max(1, kernels.groups * share * (share - 1) // 2)
    chance = chance_cosine(dimensions, pairs)
    threshold = max(chance, LEAST)
    _, labels = connected_components(csr_array(size >= threshold), directed=False)
    firsts = np.array([np.flatnonzero(labels == label)[0] for label in labels])
    alone = np.bincount(labels)[labels] == 1
    there = best >= 0
    p = np.where(there, np.minimum(1, pairs * tail(np.maximum(best, 0), dimensions)), np.nan)
    nearest = np.where(there, cosines[np.arange(count), nearest_of], np.nan)
    return Duplicates(nearest, np.where(there, nearest_of, -1), p, np.where(alone, -1, firsts), chance, threshold)


def tail(size: Float[np.ndarray, " n"], dimensions: int) -> Float[np.ndarray, " n"]:
    """The probability that two random directions have a larger |cosine|."""
    if dimensions == 1:
        return np.ones_like(size)
    result: np.ndarray = stats.beta.sf(np.square(size), 0.5, (dimensions - 1) / 2)
    return result


def chance_cosine(dimensions: int, pairs: int) -> float:
    """The |cosine| that any of ``pairs`` of random directions exceeds with probability `LEVEL` at most; 1 in one dimension."""
    return 1.0 if dimensions == 1 else float(np.sqrt(stats.beta.isf(LEVEL / pairs, 0.5, (dimensions - 1) / 2)))
