"""What full colour stands for: the same at all moments, in steps of the square root of two.

The limit of a view is the smallest power of sqrt(2) that no magnitude in any record so far is above. A new record rarely moves it, so
that pictures that were drawn stay as they are, and when it does, all moments move together: two moments are always comparable.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.errors import InterpError
from interp.figures import Kind, Scale

_TOKEN = re.compile(r"(?P<kind>[sp])(?P<half>-?\d{1,3})")
_MOST = 250
"""In halves of powers of two: what float32 holds."""


@dataclass(frozen=True)
class Reach:
    """How far values go, NaN and infinite ones left aside: ``magnitude``, and whether any is below zero."""

    magnitude: float
    negative: bool

    @classmethod
    def of(cls, values: NDArray[np.generic]) -> Reach:
        finite = values[np.isfinite(values)]
        if not finite.size:
            return cls(0.0, False)
        low, high = float(finite.min()), float(finite.max())
        return cls(max(-low, high), low < 0)

    def __or__(self, other: Reach) -> Reach:
        return Reach(max(self.magnitude, other.magnitude), self.negative or other.negative)


@dataclass(frozen=True)
class Step:
    """A scale of the ladder: from zero, or from -limit where ``signed``, to limit = 2 ** (``half`` / 2)."""

    signed: bool
    half: int

    @classmethod
    def over(cls, reach: Reach, *, signed: bool = False) -> Step:
        """The lowest that holds all of ``reach``; up to 1 where there is nothing but zero."""
        half = math.ceil(2 * math.log2(reach.magnitude) - 1e-9) if reach.magnitude > 0 else 0
        return cls(signed or reach.negative, max(-_MOST, min(_MOST, half)))

    @classmethod
    def parse(cls, token: str) -> Step:
        """The inverse of ``token``; raises InterpError where it is none."""
        match = _TOKEN.fullmatch(token)
        if match is None or abs(int(match["half"])) > _MOST:
            raise InterpError(f"'{token}' is no scale: write s or p and the limit in halves of powers of two, such as s-3")
        return cls(match["kind"] == "s", int(match["half"]))

    @property
    def token(self) -> str:
        return f"{'s' if self.signed else 'p'}{self.half}"

    @property
    def limit(self) -> float:
        return float(2.0 ** (self.half / 2))

    @property
    def scale(self) -> Scale:
        return Scale(-self.limit, self.limit, Kind.DIVERGING) if self.signed else Scale(0.0, self.limit, Kind.POSITIVE)
