"""Panels with axes, as data: lines, intervals, matrices of numbers, and the key to lines.

Controls (a random map, the input's magnitude) stand beside what is compared in every chart. They are marked here and
drawn in a style of their own, grey and dashed or hollow, so that no reader takes one for a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from interp.errors import InterpError
from interp.figures.scale import Kind, Scale
from interp.figures.values import Array, ByValue, freeze, locked

MOST_SERIES = 14  # the colour-blind-safe line colours, whole and dashed
MOST_CONTROLS = 5  # patterns of grey dashes that can be told apart


@dataclass(frozen=True, eq=False)
class CurvePanel(ByValue):
    """Lines over a shared, evenly spaced x axis: `series` is ((name, ys), ...).

    `x_range` names the ends of the axis; without it the x axis counts the values from 0. `ticks` names every place along it
    instead, such as layers. NaN leaves a gap. `bands` has (low, high) or None for each line, `controls` says which lines are.
    """

    series: tuple[tuple[str, Array], ...]
    x_label: str = ""
    y_label: str = ""
    label: str = ""
    sublabel: str = ""
    x_range: tuple[float | int, float | int] | None = None
    bands: tuple[tuple[Array, Array] | None, ...] = ()
    ticks: tuple[str, ...] = ()
    controls: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        check_lines([name for name, _ in self.series], self.controls, "`series`")
        series = tuple((name, _numbers(ys, f"series {name!r}", 2)) for name, ys in self.series)
        object.__setattr__(self, "series", series)
        sizes = {ys.size for _, ys in series}
        if self.x_range is None and len(sizes) > 1:
            raise InterpError("`series` have different lengths; give `x_range`, the ends of their common x axis")
        if self.ticks and sizes != {len(self.ticks)}:
            raise InterpError(f"`ticks` has {len(self.ticks)} names for lines of {max(sizes)} values; name each place once")
        if self.ticks and self.x_range is not None:
            raise InterpError("`ticks` and `x_range` both name the x axis; give one")
        object.__setattr__(self, "bands", tuple(self._band(index) for index in range(len(self.bands))))

    def _band(self, index: int) -> tuple[Array, Array] | None:
        if len(self.bands) != len(self.series):
            raise InterpError(f"`bands` has {len(self.bands)} entries for {len(self.series)} lines; give None where a line has no band")
        band = self.bands[index]
        if band is None:
            return None
        name, ys = self.series[index]
        low, high = (_numbers(end, f"the band of {name!r}", 2) for end in band)
        if low.size != ys.size or high.size != ys.size:
            raise InterpError(f"the band of {name!r} has {low.size} and {high.size} values for a line of {ys.size}")
        _ordered(low, high, f"the band of {name!r}")
        return low, high


@dataclass(frozen=True)
class KeyPanel:
    """The names of lines that several curve panels beside it share, in their colours: give those panels empty names."""

    names: tuple[str, ...]
    controls: tuple[bool, ...] = ()
    label: str = ""
    sublabel: str = ""

    def __post_init__(self) -> None:
        check_lines(self.names, self.controls, "`names`")


@dataclass(frozen=True, eq=False)
class IntervalPanel(ByValue):
    """Values with intervals, one named row each, from top to bottom as given.

    A NaN interval leaves the dot alone, a NaN value is written out as not defined. `controls` are hollow and grey;
    `reference` is a vertical line, such as what chance would give.
    """

    names: tuple[str, ...]
    values: Array
    low: Array
    high: Array
    controls: tuple[bool, ...] = ()
    x_label: str = ""
    label: str = ""
    sublabel: str = ""
    reference: float | int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        if not self.names:
            raise InterpError("`names` is empty, but an interval panel has at least one row; use EmptyPanel(reason)")
        for field in ("values", "low", "high"):
            found = _numbers(getattr(self, field), f"`{field}`", 1)
            if found.size != len(self.names):
                raise InterpError(f"`{field}` has {found.size} numbers for {len(self.names)} names")
            freeze(self, field, found)
        _ordered(self.low, self.high, "`low` and `high`")
        check_controls(self.controls, len(self.names))
        if self.reference is not None and not np.isfinite(self.reference):
            raise InterpError(f"`reference` is {self.reference}, but a line needs a finite place")


@dataclass(frozen=True, eq=False)
class MatrixPanel(ByValue):
    """A matrix of numbers (rows, columns) on a colour scale, each with its number in it; NaN is hatched.

    `digits` are those after the point, None writes no numbers; `texts` are written instead of the values, where the colour
    means something else (say, a rank). Where cells are too small for them all, no numbers are written. Rows that are
    `controls` have grey names below a rule.
    """

    values: Array
    scale: Scale
    row_labels: tuple[str, ...]
    column_labels: tuple[str, ...]
    digits: int | None = 2
    texts: tuple[tuple[str, ...], ...] = ()
    label: str = ""
    sublabel: str = ""
    controls: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64)
        object.__setattr__(self, "row_labels", tuple(self.row_labels))
        object.__setattr__(self, "column_labels", tuple(self.column_labels))
        object.__setattr__(self, "texts", tuple(map(tuple, self.texts)))
        wanted = (len(self.row_labels), len(self.column_labels))
        if values.shape != wanted or 0 in wanted:
            raise InterpError(f"`values` has shape {values.shape}, but there are {wanted[0]} row and {wanted[1]} column labels")
        if np.isinf(values).any():
            raise InterpError("`values` holds infinite values, which no scale can show; mark them as NaN")
        if self.scale.kind is Kind.POSITIVE and (values < -1e-6 * self.scale.high).any():
            raise InterpError(f"`values` goes down to {np.nanmin(values):.3g}, but its scale is positive; use Scale.symmetric")
        if self.texts and {len(self.texts), *map(len, self.texts)} != {wanted[0], *[wanted[1]] * wanted[0]}:
            raise InterpError(f"`texts` must have {wanted[0]} rows of {wanted[1]}, as `values` has")
        if self.digits is not None and not 0 <= self.digits <= 8:
            raise InterpError(f"`digits` is {self.digits}, but runs from 0 to 8; None writes no numbers")
        check_controls(self.controls, wanted[0])
        freeze(self, "values", values)


Chart = CurvePanel | IntervalPanel | MatrixPanel | KeyPanel


def check_lines(names: Sequence[str], controls: Sequence[bool], what: str) -> None:
    """Refuses more lines than can be told apart."""
    check_controls(controls, len(names))
    marked = sum(controls)
    if not names or len(names) - marked > MOST_SERIES:
        raise InterpError(f"{what} has {len(names) - marked} lines, but a panel tells 1 to {MOST_SERIES} apart")
    if marked > MOST_CONTROLS:
        raise InterpError(f"{what} has {marked} controls, but a panel tells {MOST_CONTROLS} apart")


def check_controls(controls: Sequence[bool], count: int) -> None:
    """Refuses marks that are not one each."""
    if controls and len(controls) != count:
        raise InterpError(f"`controls` has {len(controls)} marks for {count}; give one each, or none")


def _numbers(values: ArrayLike, what: str, least: int) -> Array:
    array = np.array(values, dtype=np.float64)
    if array.ndim != 1 or array.size < least or np.isinf(array).any():
        words = {1: "numbers, not infinite, in one row", 2: "at least two finite numbers"}[least]
        raise InterpError(f"{what} must be {words}, not shape {array.shape}")
    return locked(array)


def _ordered(low: Array, high: Array, what: str) -> None:
    crossed = np.flatnonzero(low > high)  # NaN is never greater
    if crossed.size:
        raise InterpError(f"{what}: low {low[crossed[0]]:g} is above high {high[crossed[0]]:g}; are they exchanged?")
