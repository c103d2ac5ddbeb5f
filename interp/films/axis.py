"""One axis of steps for curves that were looked at at other steps each, as `CurvePanel` draws values that are evenly spaced."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from interp.films.timeline import Curve

MOST_PLACES = 1201
"""Places along the axis, at most: finer than the pixels of a figure."""


def even(curve: Curve, first: int, last: int) -> Float[np.ndarray, " places"]:
    """The polygon through the curve's points at even places from step ``first`` to ``last``; NaN outside of it, and beside a NaN.

    Every point is hit exactly where no more than `MOST_PLACES` places are needed for it. Of several values of one step the last counts.
    """
    points = dict(zip(curve.steps.tolist(), curve.values.tolist(), strict=True))
    steps = np.array(sorted(points), dtype=np.int64)
    values = np.array([points[int(step)] for step in steps])
    pitch = math.gcd(last - first, *(int(step) - first for step in steps))
    count = min((last - first) // pitch + 1, MOST_PLACES)
    places = np.linspace(first, last, max(2, count))
    result: np.ndarray = np.interp(places, steps, values, left=np.nan, right=np.nan)
    return result
