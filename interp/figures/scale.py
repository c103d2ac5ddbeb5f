"""What a colour means: the range of values that a colour map spans.

A scale belongs to the figure, not to the array, so that panels can share one and be compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interp.errors import InterpError


class Kind(StrEnum):
    """Diverging: zero in the middle. Positive: from the low end upwards, never below zero."""

    DIVERGING = "diverging"
    POSITIVE = "positive"


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high`; beyond them colours saturate. `label` is the quantity and unit."""

    low: float | int  # both spelled out: the type checker of the tests takes annotations literally
    high: float | int
    kind: Kind
    label: str = ""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "kind", Kind(self.kind))
        except ValueError:
            raise InterpError(f"`kind` is {self.kind!r}, but a scale is 'diverging' or 'positive'") from None
        span = f"scale from {self.low:g} to {self.high:g}"
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InterpError(f"{span}: both ends must be finite, and low below high")
        if self.kind is Kind.DIVERGING and self.low != -self.high:
            widest = max(-self.low, self.high)
            raise InterpError(f"{span}: a diverging scale has zero in the middle; use {-widest:g} to {widest:g}")
        if self.kind is Kind.POSITIVE and self.low < 0:
            raise InterpError(f"{span}: a positive scale starts at zero or above; use Scale.symmetric")

    @classmethod
    def symmetric(cls, arrays: Iterable[ArrayLike], percentile: float | int | None = None, label: str = "") -> Scale:
        """The diverging scale that spans all arrays, or the given percentile of their magnitudes."""
        high, label = _reach([np.abs(array) for array in _finite(arrays)], percentile, label)
        return cls(-high, high, Kind.DIVERGING, label)

    @classmethod
    def positive(cls, arrays: Iterable[ArrayLike], percentile: float | int | None = None, label: str = "") -> Scale:
        """The scale from zero that spans all arrays, or the given percentile of their values."""
        finite = _finite(arrays)
        lowest = min((float(array.min()) for array in finite if array.size), default=0.0)
        if lowest < 0:
            raise InterpError(
                f"values go down to {lowest:.3g}, which a positive scale would hide; take the positive part first, or use Scale.symmetric"
            )
        high, label = _reach(finite, percentile, label)
        return cls(0.0, high, Kind.POSITIVE, label)


def _finite(arrays: Iterable[ArrayLike]) -> list[NDArray[np.float64]]:
    found = [np.asarray(array, dtype=np.float64) for array in arrays]
    return [array[np.isfinite(array)] for array in found]


def _reach(arrays: list[NDArray[np.float64]], percentile: float | int | None, label: str) -> tuple[float, str]:
    """How far the scale reaches, and its label with the clip named, as a clip changes what is seen.

    Arrays of nothing but zeros (or NaN) have no reach of their own and get 1. Where so many values
    are zero that the percentile is zero, the maximum is taken and no clip is named.
    """
    if percentile is not None and not 0 < percentile <= 100:
        raise InterpError(f"`percentile` is {percentile:g}, but runs from above 0 to 100")
    values = np.concatenate([array.ravel() for array in arrays]) if arrays else np.zeros(0)
    if not values.any():
        return 1.0, label
    top = float(values.max())
    if percentile is None or percentile == 100:
        return top, label
    clip = float(np.percentile(values, percentile))
    if clip == 0:
        return top, label
    note = f"clipped at the {_ordinal(percentile)} percentile"
    return clip, f"{label}, {note}" if label else note


def _ordinal(number: float | int) -> str:
    teen = number % 100 in (11, 12, 13)
    return f"{number:g}" + ("th" if teen else {1.0: "st", 2.0: "nd", 3.0: "rd"}.get(number % 10, "th"))
