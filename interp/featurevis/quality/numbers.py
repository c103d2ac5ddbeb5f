"""Ratios and scores that may not exist: each number comes with the reason where there is none. Never NaN or infinite."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from interp.errors import InterpError

Outcome = tuple[float | None, str]
"""A finite number and "", or None and why."""

# Differences below this share of the scores are rounding.
ROUNDING = 1e-6


def ratio(value: float, base: float, meaning: str) -> Outcome:
    """``value / base``, where ``base`` (in words: ``meaning``) is above 0 and the ratio finite."""
    if not math.isfinite(base):
        return None, f"{meaning} is no finite number"
    if base <= 0:
        return None, f"{meaning} is {base:.3g}, not above 0"
    if not math.isfinite(value):
        return None, "the score is no finite number"
    quotient = value / base
    return (quotient, "") if math.isfinite(quotient) else (None, f"{meaning} is {base:.3g}, next to nothing")


def z_score(value: float, draws: Sequence[float]) -> Outcome:
    """(value - mean) / spread of ``draws`` (at least two), the spread being their standard deviation with n - 1.

    None where they do not vary by more than the rounding of the scores. Raises InterpError for less than two draws.
    """
    if len(draws) < 2:
        raise InterpError(f"a spread of {len(draws)} random draws is not defined: give at least 2")
    if not all(map(math.isfinite, [value, *draws])):
        return None, "a score is no finite number"
    mean, spread = float(np.mean(draws)), float(np.std(draws, ddof=1))
    if spread <= ROUNDING * max(abs(mean), abs(value), 1e-30):
        return None, f"the random images all score {mean:.3g}: there is no spread to measure in"
    z = (value - mean) / spread
    return (z, "") if math.isfinite(z) else (None, "the scores are too large to be compared")


def kept(scores: Sequence[float], clean: float) -> Outcome:
    """The mean of ``scores`` as a share of ``clean``, where that is above 0."""
    return ratio(float(np.mean(scores)), clean, "the score of the image itself")
