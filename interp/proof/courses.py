"""Courses of gradient ascents side by side.

Measured between processors, and between float32 and bfloat16: pixels part (structural similarity from 1 down to 0.03), scores at the end
differ by 0.1 % in the median of 30 images and by 6 % at most, and the courses move together (correlation 0.72 and more; of another
seed 0.48 at most).
Another seed reaches the same scores, so it is told by its course alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interp.proof.finite import not_finite
from interp.proof.gap import Gap, measured, number
from interp.runs.tolerance import MEAN_SCORE, Tolerance, limit_of

# The last part of an array's name, where it holds the score of each step.
COURSES = ("scores", "logits")
# The last 1 / TAIL of a course is its end.
TAIL = 10
# Changes from step to step of fewer steps say nothing; those of the same seed correlate at least so well.
LEAST_STEPS, LEAST_TOGETHER = 16, 0.6


def is_course(name: str, dtype: str, shape: Sequence[int]) -> bool:
    """Whether an array of this name, dtype and shape holds the score of each step."""
    return name.rpartition("/")[2] in COURSES and dtype.startswith("float") and len(shape) == 1 and shape[0] > 0


def course_gap(first: NDArray[Any], second: NDArray[Any]) -> Gap:
    """Of scores before each step: that of the end, and whether both take the same steps.

    A step's score is of a view that is drawn at random, so that of the end is the mean over the last tenth. The views depend on
    the seed alone: with the same ones the scores of two courses rise and fall together, even where their pixels have parted.
    """
    if problem := not_finite(first, second):
        return Gap(False, None, problem)
    one, other = _end(first), _end(second)
    words = f"score {number(other)} at the end, {number(one)} was recorded"
    gap = measured(abs(other - one), limit_of(Tolerance.OPTIMIZED) * abs(one), words)
    together = _together(first, second)
    if together is None:
        return gap
    told = f"{words}; steps correlate {together:.2f}"
    return Gap(gap.holds and together >= LEAST_TOGETHER, gap.share, told if together >= LEAST_TOGETHER else f"{told}: other steps")


def _together(first: NDArray[Any], second: NDArray[Any]) -> float | None:
    """Correlation of the changes from step to step; None of few steps, or where nothing changes."""
    if len(first) < LEAST_STEPS:
        return None
    one, other = np.diff(first.astype(np.float64)), np.diff(second.astype(np.float64))
    if not (one.std() > 0 and other.std() > 0):
        return None
    return float(np.corrcoef(one, other)[0, 1])


def deviation(first: NDArray[Any], second: NDArray[Any]) -> float | None:
    """How much more the second course reaches, as a share; None where that is not defined."""
    one, other = _end(first), _end(second)
    share = (other - one) / abs(one) if one else math.nan
    return share if math.isfinite(share) else None


def mean_gap(deviations: Sequence[float], similar: Sequence[float] = ()) -> Gap:
    """Of many images together: chance cancels, another network or recipe does not.

    How ``similar`` their pixels are is told, as is the score that is furthest away: neither decides.
    """
    mean, count = sum(deviations) / len(deviations), len(deviations)
    allowed = max(MEAN_SCORE, limit_of(Tolerance.OPTIMIZED) / math.sqrt(count))
    furthest = max(deviations, key=abs)
    seen = f", structural similarity {min(similar):.2f} at least" if similar else ""
    told = f"{furthest:+.2%} at most; pixels not judged{seen}"
    return measured(abs(mean), allowed, f"{mean:+.2%} in the mean of {count}, {allowed:.2%} allowed, {told}")


def _end(course: NDArray[Any]) -> float:
    return float(course[-max(1, len(course) // TAIL) :].mean(dtype=np.float64))
