"""Lines, dots and cells of charts; where they and their texts go is known before."""

from __future__ import annotations

from typing import Any

import numpy as np

from interp.figures import chartrooms, curves, intervals, keys, palette
from interp.figures.boxes import INK, SOFT, Box
from interp.figures.charts import Chart, CurvePanel, IntervalPanel, KeyPanel, MatrixPanel
from interp.figures.margins import Margins
from interp.figures.page import Page
from interp.figures.palette import LINES, Floats
from interp.figures.styles import QUIET, Stroke, strokes

_GRID: dict[str, Any] = {"linewidth": 0.4, "color": "#dddddd"}
_FEW = 5
_AXIS: dict[str, Any] = {"linewidth": 0.6, "color": INK}


def chart(page: Page, panel: Chart, cell: Box, held: Margins) -> None:
    """Any chart, with its texts."""
    match panel:
        case CurvePanel():
            _curves(page, panel, cell, held)
        case IntervalPanel():
            _intervals(page, panel, cell, held)
        case MatrixPanel():
            _matrix(page, panel, held.plot(cell))
        case KeyPanel():
            _key(page, panel, cell)
    page.write(chartrooms.texts(panel, cell, held))


def _curves(page: Page, panel: CurvePanel, cell: Box, held: Margins) -> None:
    place = curves.axes(panel, cell, held)
    box = place.box
    right, bottom = box.left + box.width, box.top + box.height
    low, high = place.ticks[0], place.ticks[-1]

    def height(values: Floats) -> Floats:
        return bottom - (values - low) / (high - low) * box.height

    for tick in height(np.array(place.ticks)):
        page.line([box.left, right], [tick, tick], **_GRID)
    looks = strokes(len(panel.series), panel.controls)
    faint = 0.16 if len(looks) - sum(panel.controls) <= _FEW else 0.07  # bands that overlap must leave the lines in sight
    for (_, ys), band, look in zip(panel.series, panel.bands or (None,) * len(panel.series), looks, strict=True):
        if band is not None:
            page.area(curves.places(panel, ys.size, box), height(band[0]), height(band[1]), color=look.color, alpha=faint)
    # Controls run under the methods, and from edge to edge.
    for is_control in (True, False):
        for index, ((_, ys), look) in enumerate(zip(panel.series, looks, strict=True)):
            if bool(panel.controls and panel.controls[index]) is is_control:
                xs = np.linspace(box.left, right, ys.size) if is_control and np.ptp(ys) == 0 else curves.places(panel, ys.size, box)
                page.line(xs, height(ys), linewidth=1.1, **_dashed(look), **(_marked(look) if panel.ticks else {}))
    page.line([box.left, box.left, right], [box.top, bottom, bottom], **_AXIS)
    for index, swatch, line in curves.legend(panel, cell):
        _swatch(page, swatch, looks[index])
        page.write([line])


def _key(page: Page, panel: KeyPanel, cell: Box) -> None:
    looks = strokes(len(panel.names), panel.controls)
    for index, swatch, lines in keys.entries(panel, cell):
        _swatch(page, swatch, looks[index], marked=True)
        page.write(lines)


def _swatch(page: Page, swatch: Box, look: Stroke, marked: bool = False) -> None:
    middle = swatch.top + swatch.height / 2
    page.line([swatch.left, swatch.left + swatch.width], [middle, middle], linewidth=1.4, **_dashed(look))
    if marked and look.mark:
        page.line([swatch.left + swatch.width / 2], [middle], linestyle="none", color=look.color, **_marked(look))


def _dashed(look: Stroke) -> dict[str, Any]:
    style: dict[str, Any] = {"color": look.color}
    return style | ({"linestyle": (0, look.dashes), "dash_capstyle": "butt"} if look.dashes else {})


def _marked(look: Stroke) -> dict[str, Any]:
    """A mark at each point, which also shows a value between two gaps."""
    return {"marker": look.mark, "markersize": 2.6} if look.mark else {}


def _intervals(page: Page, panel: IntervalPanel, cell: Box, held: Margins) -> None:
    place = intervals.rows(panel, cell, held)
    box = place.box
    bottom = box.top + box.height
    for row in range(place.count):
        page.line([box.left, box.left + box.width], [place.y(row), place.y(row)], linewidth=0.3, color="#eeeeee")
    for tick in place.x(np.array(place.ticks)):
        page.line([tick, tick], [box.top, bottom], **_GRID)
    if panel.reference is not None:
        at = float(place.x(np.array(float(panel.reference))))
        page.line([at, at], [box.top, bottom], linewidth=0.8, color=SOFT, linestyle=(0, (3.0, 2.0)))
    for row, (x, low, high) in enumerate(zip(*map(place.x, (panel.values, panel.low, panel.high)), strict=True)):
        control = bool(panel.controls and panel.controls[row])
        color, y = (QUIET, place.y(row)) if control else (LINES[0], place.y(row))
        if np.isfinite([low, high]).all():
            page.line([low, high], [y, y], linewidth=1.1, color=color, solid_capstyle="butt")
        if np.isfinite(x):
            face = "white" if control else color
            page.line([x], [y], linestyle="none", marker="o", markersize=3.8, color=color, markerfacecolor=face, markeredgewidth=0.9)
    page.line([box.left, box.left, box.left + box.width], [box.top, bottom, bottom], **_AXIS)


def _matrix(page: Page, panel: MatrixPanel, box: Box) -> None:
    page.raster(palette.colors(panel.values, panel.scale), box, exact=True)
    rows, columns = panel.values.shape
    for row in range(1, rows):
        y = box.top + row * box.height / rows
        page.line([box.left, box.left + box.width], [y, y], linewidth=0.5, color="white")
    for column in range(1, columns):
        x = box.left + column * box.width / columns
        page.line([x, x], [box.top, box.top + box.height], linewidth=0.5, color="white")
    page.hatch(np.isnan(panel.values), box)
    first = next((row for row in range(1, rows) if panel.controls and panel.controls[row] and not panel.controls[row - 1]), None)
    if first is None:
        return
    y, x = box.top + first * box.height / rows, box.left + first * box.width / columns
    page.line([box.left, box.left + box.width], [y, y], **_AXIS)
    if panel.row_labels == panel.column_labels:
        page.line([x, x], [box.top, box.top + box.height], **_AXIS)
