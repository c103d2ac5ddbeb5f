"""The first sign of structure in each filter, against the noise null of `interp.kernels.noise`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from interp.kernels.noise import LEVEL, PERMUTED, Statistic, discoveries

LEAST_P = len(Statistic) / (PERMUTED + 1)
"""What no p-value of `interp.kernels.noise` is below: three statistics, against so many permutations."""
NEVER = -1


@dataclass(frozen=True, eq=False)
class Onset:
    """``p`` of each filter at each moment. ``thresholds``: the largest p that Benjamini-Hochberg accepts at `LEVEL` among the filters of
    each moment, 0 where it accepts none; how many moments there are does not count. ``first``: the moment from which on a filter is
    accepted at all later ones, `NEVER` where it is not at the last; ``tested``: filters of which it was asked at every moment."""

    p: Float[np.ndarray, "moments out"]
    thresholds: Float[np.ndarray, " moments"]
    first: Int[np.ndarray, " out"]
    tested: Bool[np.ndarray, " out"]


def onset(p: Float[np.ndarray, "moments out"]) -> Onset:
    """The `Onset` of a layer's filters; NaN is not asked."""
    tested = np.isfinite(p).all(axis=0)
    thresholds = np.array([_threshold(own[tested].astype(np.float64)) for own in p])
    above = np.where(np.isnan(p), True, p > thresholds[:, None])
    # One behind the last moment that is above: from there on it stays below.
    after = np.where(above.any(axis=0), len(p) - np.argmax(above[::-1], axis=0), 0)
    return Onset(p, thresholds, np.where(after < len(p), after, NEVER), tested)


def _threshold(p: Float[np.ndarray, " n"]) -> float:
    accepted = p[discoveries(p, LEVEL)]
    return float(accepted.max()) if len(accepted) else 0.0
