"""How far a repeated run may be from the recorded one, by what kind of thing is compared.

On one machine (see `interp.runs.machine`) arithmetic repeats, so every array is compared bit for bit. Elsewhere sums are
added in another order; what that does depends on how an array came about, which only its maker knows. So each product
declares it, by patterns over names, and the manifest records it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

import numpy as np


class Tolerance(Enum):
    """What must hold of a repeated array, metric or figure where the machine differs."""

    EXACT = "exact"
    """Equal everywhere: weights, statistics of weights, chosen indices, texts."""
    COMPUTED = "computed"
    """Activations and attributions: within 1e-4 of the largest magnitude; of 8-bit pictures one level."""
    DERIVED = "derived"
    """Numbers that hang on ranks or thresholds of computed ones (areas under curves, intervals, p-values): within 2 %."""
    OPTIMIZED = "optimized"
    """Images of gradient ascent: their pixels part ways after some steps, so their scores are compared, each within 10 %, and the mean
    difference of many within 3 %."""
    TOLD = "told"
    """Measured on the very pixels of such an image, or decided by them, as its flags are: told, not judged."""


DEFAULT = Tolerance.COMPUTED
# Of optimized images the mean difference of scores, with its sign, as a share; of n images 10 % / sqrt(n) where that is more.
MEAN_SCORE = 0.03
_LIMITS = {Tolerance.EXACT: 0.0, Tolerance.COMPUTED: 1e-4, Tolerance.DERIVED: 0.02, Tolerance.OPTIMIZED: 0.1, Tolerance.TOLD: math.inf}


def limit_of(tolerance: Tolerance, dtype: np.dtype[Any] | None = None) -> float:
    """The largest difference allowed, as a share of the largest magnitude; of a coarse ``dtype`` one step of its rounding."""
    rounding = float(np.finfo(dtype).eps) if dtype is not None and dtype.kind in "fc" else 0.0
    return max(_LIMITS[tolerance], rounding) if tolerance is not Tolerance.EXACT else 0.0


def stricter(one: Tolerance, other: Tolerance) -> Tolerance:
    """The one that allows less: they stand in that order."""
    return min(one, other, key=list(Tolerance).index)


def tolerance_of(name: str, declared: Mapping[str, Tolerance], default: Tolerance = DEFAULT) -> Tolerance:
    """The tolerance declared for ``name``: that of the longest pattern (as of `fnmatch`, ``*`` spans ``/``) that matches it.

    Arrays go by their names, metrics as ``metrics/KEY/...``, figures as ``figures/STEM``. ``default`` where none matches.
    """
    matching = [pattern for pattern in declared if fnmatchcase(name, pattern)]
    return declared[max(matching, key=lambda pattern: (len(pattern), pattern))] if matching else default
