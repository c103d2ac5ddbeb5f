"""Figures as data: what a figure shows, without a pixel of how it is drawn.

A `Grid` of panels is a value: built by `comparisons`, compared with `==` in tests, drawn by
`interp.figures.draw`. Arrays are copied and made read-only, so that a figure cannot change
after it was described. Positions are written (row, column), images (height, width, 3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from interp.errors import InterpError
from interp.figures.charts import Chart, CurvePanel, IntervalPanel, KeyPanel, MatrixPanel
from interp.figures.scale import Kind, Scale
from interp.figures.values import Array, ByValue, freeze

__all__ = [
    "Chart",
    "CurvePanel",
    "EmptyPanel",
    "Grid",
    "ImagePanel",
    "IntervalPanel",
    "KeyPanel",
    "MapPanel",
    "MatrixPanel",
    "Panel",
    "TilePanel",
    "least_size",
    "scale_of",
]

LEAST_PANEL = 0.4  # inches; below this no label can be read
LEAST_CURVE = 1.0  # inches; a curve also needs room for its axes' numbers
LEAST_NAMED = 1.6  # inches; rows of a chart also need room for their names


def _image(values: ArrayLike, what: str, lead: tuple[str, ...] = ()) -> Array:
    """`values` as uint8 or float [0, 1] with shape (*lead, h, w, 3), or an error that says why not."""
    array = np.asarray(values)
    wanted = "(" + ", ".join((*lead, "h", "w", "3")) + ")"
    if array.ndim != len(lead) + 3 or array.shape[-1] != 3 or 0 in array.shape:
        hint = "; move the channels last" if array.ndim == len(lead) + 3 and array.shape[-3] == 3 else ""
        raise InterpError(f"{what} has shape {array.shape}, but images are {wanted}{hint}")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f":
        raise InterpError(f"{what} has type {array.dtype}, but images are uint8 or float in [0, 1]")
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):  # written so that NaN fails too
        raise InterpError(
            f"{what} runs from {low:.3g} to {high:.3g}, but float images are in [0, 1]; "
            "undo the normalisation, or show signed values as a MapPanel"
        )
    return array


def _signed(values: ArrayLike, scale: Scale, what: str, shape: tuple[str, ...]) -> NDArray[np.float64]:
    """`values` as float64 of the wanted rank; NaN is allowed, infinities are not."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != len(shape) or 0 in array.shape:
        raise InterpError(f"{what} has shape {array.shape}, but must be ({', '.join(shape)})")
    if np.isinf(array).any():
        raise InterpError(f"{what} holds infinite values, which no scale can show; mark them as NaN")
    below = float(np.nanmin(array)) if not np.isnan(array).all() else 0.0
    if scale.kind is Kind.POSITIVE and below < -1e-6 * scale.high:
        raise InterpError(
            f"{what} goes down to {below:.3g}, but its scale is positive; take the positive part first, or use Scale.symmetric"
        )
    return array


def _note(values: Array, zero: str) -> str:
    missing = int(np.isnan(values).sum())
    if missing:
        return "all NaN" if missing == values.size else f"{missing} of {values.size} NaN"
    return "" if values.any() else zero


@dataclass(frozen=True, eq=False)
class ImagePanel(ByValue):
    """A picture: (h, w, 3), uint8 or float in [0, 1], shown as it is."""

    pixels: Array
    label: str = ""
    sublabel: str = ""

    def __post_init__(self) -> None:
        freeze(self, "pixels", _image(self.pixels, "`pixels`"))


@dataclass(frozen=True, eq=False)
class MapPanel(ByValue):
    """A signed map (h, w) on a fixed scale, alone or over a grey picture (H, W, 3).

    Alone, each value is one square. Over a picture, the map is upsampled bilinearly to it.
    NaN is hatched and counted in the panel; a map of zeros only says so. A `warning`, why the map may be no
    evidence, stands below it in a colour of its own, which the panel's frame then has too.
    """

    values: Array
    scale: Scale
    underlay: Array | None = None
    label: str = ""
    sublabel: str = ""
    warning: str = ""

    def __post_init__(self) -> None:
        freeze(self, "values", _signed(self.values, self.scale, "`values`", ("h", "w")))
        if self.underlay is not None:
            freeze(self, "underlay", _image(self.underlay, "`underlay`"))

    @property
    def note(self) -> str:
        """What a reader could not see from the colours alone; written into the panel."""
        return _note(self.values, "zero map")


@dataclass(frozen=True, eq=False)
class TilePanel(ByValue):
    """A contact sheet of small tiles inside one panel: kernels, or the channels of a layer.

    `tiles` is (n, h, w, 3) pictures without a scale, or (n, h, w) values with one. `columns`
    defaults to what makes the sheet nearest to square.
    """

    tiles: Array
    scale: Scale | None = None
    columns: int | None = None
    label: str = ""
    sublabel: str = ""

    def __post_init__(self) -> None:
        if self.scale is None:
            if np.ndim(self.tiles) == 3:
                raise InterpError(f"`tiles` has shape {np.shape(self.tiles)}: values (n, h, w) need a `scale`")
            freeze(self, "tiles", _image(self.tiles, "`tiles`", ("n",)))
        else:
            if np.ndim(self.tiles) == 4:
                raise InterpError(f"`tiles` has shape {np.shape(self.tiles)}: pictures (n, h, w, 3) take no `scale`")
            freeze(self, "tiles", _signed(self.tiles, self.scale, "`tiles`", ("n", "h", "w")))
        if self.columns is not None and self.columns < 1:
            raise InterpError(f"`columns` is {self.columns}, but a sheet has at least 1")

    @property
    def note(self) -> str:
        """As for a map: how much is NaN, or that all is zero."""
        return _note(self.tiles, "all zero") if self.scale else ""


@dataclass(frozen=True)
class EmptyPanel:
    """A place kept free, with the reason why nothing is there."""

    reason: str = ""


Panel = ImagePanel | MapPanel | TilePanel | CurvePanel | IntervalPanel | MatrixPanel | KeyPanel | EmptyPanel


@dataclass(frozen=True)
class Grid:
    """Panels in aligned rows and columns; `panel_size` is the width of one, in inches."""

    rows: tuple[tuple[Panel, ...], ...]
    row_headers: tuple[str, ...] = ()
    column_headers: tuple[str, ...] = ()
    title: str = ""
    caption: str = ""
    panel_size: float | int = 1.5

    __hash__ = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(tuple(row) for row in self.rows))
        if not self.rows or not self.rows[0]:
            raise InterpError("`rows` is empty, but a grid has at least one panel; use EmptyPanel(reason)")
        for index, row in enumerate(self.rows):
            if len(row) != self.columns:
                raise InterpError(f"row {index} has {len(row)} panels and row 0 has {self.columns}; fill the gaps with EmptyPanel()")
        self._check_headers("row_headers", len(self.rows))
        self._check_headers("column_headers", self.columns)
        least = max(map(least_size, self.panels()))
        if not least <= self.panel_size <= 20:
            reasons = {LEAST_CURVE: " where curves need room for their numbers", LEAST_NAMED: " where a chart needs room for its names"}
            raise InterpError(f"`panel_size` is {self.panel_size} inches, but runs from {least} to 20{reasons.get(least, '')}")

    def _check_headers(self, name: str, count: int) -> None:
        headers = tuple(getattr(self, name))
        object.__setattr__(self, name, headers)
        if headers and len(headers) != count:
            raise InterpError(f"`{name}` has {len(headers)} names for {count}; give one each, or none")

    @property
    def columns(self) -> int:
        return len(self.rows[0])

    def panels(self) -> Iterable[Panel]:
        """All panels, row by row."""
        return (panel for row in self.rows for panel in row)


def least_size(panel: Panel) -> float:
    """The least width of a panel, in inches."""
    match panel:
        case CurvePanel() | KeyPanel():
            return LEAST_CURVE
        case IntervalPanel() | MatrixPanel():
            return LEAST_NAMED
        case _:
            return LEAST_PANEL


def scale_of(panel: Panel) -> Scale | None:
    """The scale a reader needs for this panel, or None for pictures and lines."""
    return panel.scale if isinstance(panel, MapPanel | TilePanel | MatrixPanel) else None
