"""What a mean over images is worth: bootstrap intervals, ranks that share places where intervals overlap. Pure numpy.

NaN values (metrics that are not defined for an image) are left out and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.core.rng import generator
from interp.errors import InterpError
from interp.metrics.evidence import Better

# Resamples are drawn in pieces of about this many indices, so that many images need no more memory than few.
_MOST_INDICES = 4_000_000


@dataclass(frozen=True)
class Interval:
    """``mean`` of ``defined`` values out of ``total``, with a confidence interval from ``low`` to ``high``.

    ``mean`` is NaN where no value is defined; ``low`` and ``high`` are NaN for fewer than two, from which no spread can be told.
    """

    mean: float
    low: float
    high: float
    defined: int
    total: int

    @property
    def known(self) -> bool:
        """Whether there is an interval: at least two values are defined."""
        return self.defined >= 2


def bootstrap_interval(values: Float[np.ndarray, " n"], *, level: float = 0.95, n_resamples: int = 2000, seed: int = 0) -> Interval:
    """Percentile bootstrap of the mean over images (Efron & Tibshirani 1993, ch. 13), and the mean itself.

    Images are drawn with replacement among those that are defined. The interval does not depend on the order of the images, nor
    on which NaN are among them. Equal values give an interval of no width; few images one that is too narrow. Raises InterpError
    where ``level`` is not between 0 and 1, ``n_resamples`` below 1, or a value infinite.
    """
    if not 0 < level < 1 or n_resamples < 1:
        raise InterpError(f"`level` is {level} and `n_resamples` {n_resamples}: give a level between 0 and 1, and at least 1 resample")
    if np.isinf(values).any():
        raise InterpError("`values` holds an infinite value: give numbers, or NaN where the metric is not defined")
    # Sorted, so that the draws mean the same in whichever order the images come.
    defined = np.sort(values[~np.isnan(values)].astype(np.float64))
    count, nan = len(defined), float("nan")
    if count < 2:
        return Interval(float(defined[0]) if count else nan, nan, nan, count, len(values))
    means = _resampled_means(defined, n_resamples, seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(defined.mean()), float(low), float(high), count, len(values))


def paired_difference(
    values: Float[np.ndarray, " n"], control: Float[np.ndarray, " n"], *, level: float = 0.95, n_resamples: int = 2000, seed: int = 0
) -> Interval:
    """`bootstrap_interval` of ``values - control``, image by image, where both are defined.

    Where 0 lies outside the interval, the method differs from the control: what images have in common (easy, difficult) cancels,
    so this tells apart what two separate intervals cannot.
    """
    if values.shape != control.shape:
        raise InterpError(f"{len(values)} values cannot be paired with {len(control)} of the control: give one of each per image")
    return bootstrap_interval(values - control, level=level, n_resamples=n_resamples, seed=seed)


def ranks(intervals: Sequence[Interval], better: Better) -> list[int | None]:
    """Ranks by falling merit of the mean, shared with the best of a group as long as the intervals overlap; 1 is best.

    From the best mean on, each method joins the group of the leading one if their intervals overlap, else it leads the next group;
    a group's rank is 1 + the number of methods before it. So a better mean never has a worse rank, and a new rank begins only
    where an interval lies wholly apart from the leader's. None where fewer than two values are defined, as such a mean can be
    told from no other (so that a single image ranks nobody), and for all if ``better`` is ``NEITHER``.
    """
    found: list[int | None] = [None] * len(intervals)
    if better is Better.NEITHER:
        return found
    known = [i for i, interval in enumerate(intervals) if interval.known]
    known.sort(key=lambda i: intervals[i].mean, reverse=better is Better.HIGHER)
    leader = None
    for place, i in enumerate(known):
        if leader is None or _beats(intervals[leader], intervals[i], better):
            leader, rank = i, place + 1
        found[i] = rank
    return found


def _beats(first: Interval, second: Interval, better: Better) -> bool:
    return first.low > second.high if better is Better.HIGHER else first.high < second.low


def _resampled_means(values: Float[np.ndarray, " n"], n_resamples: int, seed: int) -> Float[np.ndarray, " resamples"]:
    rng = np.random.default_rng(generator(seed, "bootstrap").initial_seed())
    piece = max(1, _MOST_INDICES // len(values))
    sizes = [min(piece, n_resamples - start) for start in range(0, n_resamples, piece)]
    return np.concatenate([values[rng.integers(len(values), size=(size, len(values)))].mean(axis=1) for size in sizes])
