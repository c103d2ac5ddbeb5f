"""Which panels of a figure share a scale, and scales for values that may or may not be signed."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import numpy as np
from jaxtyping import Float

from interp.figures import Scale

Values = Float[np.ndarray, "..."]


class ScaleBy(StrEnum):
    """``CHANNEL``: each panel its own; ``LAYER``: all panels of a layer one; ``SHARED``: the whole figure one."""

    CHANNEL = "channel"
    LAYER = "layer"
    SHARED = "shared"


def scale_for(arrays: Iterable[Values], label: str, percentile: float | None = None) -> Scale:
    """From zero up where no value is negative; symmetric around zero otherwise."""
    arrays = list(arrays)
    if any(float(np.min(a)) < 0 for a in arrays if a.size):
        return Scale.symmetric(arrays, percentile, label)
    return Scale.positive(arrays, percentile, label)


def span(values: Values) -> str:
    """The values' range, in words short enough for a label."""
    return f"{number(float(np.min(values)))} to {number(float(np.max(values)))}"


def number(value: float) -> str:
    """Three significant digits, with a true minus sign."""
    return f"{value:.3g}".replace("-", "\u2212")
