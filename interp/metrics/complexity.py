"""How concentrated a map is. This describes a map, and says nothing about whether it is right: no ranking follows.

Magnitudes count, so signs do not. NaN where the map is zero everywhere or not finite.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from interp.metrics.evidence import Better, Evidence

Maps = Float[np.ndarray, "n h w"]


def sparseness(maps: Maps) -> Float[np.ndarray, " n"]:
    """Gini index of the magnitudes (Hurley & Rickard 2009; Chalasani et al. 2020): 0 for a constant, 1 - 1/(h w) for one pixel."""
    found = np.full(len(maps), np.nan)
    for i, share in _shares(maps):
        order = np.arange(1, share.size + 1)
        found[i] = (2 * order - share.size - 1) @ np.sort(share) / share.size
    return found


def complexity(maps: Maps) -> Float[np.ndarray, " n"]:
    """Entropy in nats of |a| / sum |a| (Bhatt et al. 2020, eq. 5): 0 for one pixel, ln(h w) for a constant."""
    found = np.full(len(maps), np.nan)
    for i, share in _shares(maps):
        some = share[share > 0]
        found[i] = max(0.0, float(-(some * np.log(some)).sum()))
    return found


@dataclass(frozen=True)
class Sparseness:
    """Gini index of the map at the image's size; see `sparseness`. A map from few places is smooth there: compare like with like."""

    name: ClassVar[str] = "sparseness"
    title: ClassVar[str] = "Sparseness (Gini)"
    better: ClassVar[Better] = Better.NEITHER
    needs_masks: ClassVar[bool] = False
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = "Chalasani et al. 2020"

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        return sparseness(evidence.resized())


@dataclass(frozen=True)
class Complexity:
    """Entropy of the map at the image's size, in nats; see `complexity`."""

    name: ClassVar[str] = "complexity"
    title: ClassVar[str] = "Complexity (entropy, nats)"
    better: ClassVar[Better] = Better.NEITHER
    needs_masks: ClassVar[bool] = False
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = "Bhatt et al. 2020"

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        return complexity(evidence.resized())


def _shares(maps: Maps) -> Iterator[tuple[int, Float[np.ndarray, " places"]]]:
    """(index, |a| / sum |a|) of each map for which that is defined."""
    for i, values in enumerate(maps):
        size = np.abs(values.astype(np.float64)).ravel()
        largest = size.max(initial=0)
        if np.isfinite(largest) and largest > 0:
            # Divided by the largest first: the sum of huge values is infinite, that of tiny ones zero.
            size = size / largest
            yield i, size / size.sum()
