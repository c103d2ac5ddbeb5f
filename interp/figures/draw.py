"""Grids to matplotlib figures, which are the same whatever the user's rcParams; `render` makes files of them.

Nothing here decides where things go: `layout` did. No pyplot, no global state, and no Axes: all
artists stand on the figure, in inches from its top-left corner.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D

from interp.figures import palette
from interp.figures.boxes import SOFT, WARNING, Box, Line, block_lines
from interp.figures.drawcharts import chart
from interp.figures.layout import LABEL, TIGHT, Bar, Layout, arrange
from interp.figures.page import Page
from interp.figures.spec import EmptyPanel, Grid, ImagePanel, MapPanel, Panel, TilePanel
from interp.figures.text import FAMILY, Role, fit
from interp.figures.tiles import columns_of, gutter, mosaic

_SQUARES = 150  # pixels per inch up to which each pixel is shown as a square
_NOTE = Role(6.0, 5.0, lines=2)


@contextmanager
def own_style() -> Iterator[None]:
    """matplotlib's defaults and ours while drawing; the caller's settings come back after."""
    own = {"font.family": FAMILY, "pdf.fonttype": 42, "svg.hashsalt": "interp", "text.hinting": "none"}
    with matplotlib.style.context(["default", own]):
        yield


def draw(grid: Grid) -> Figure:
    """The grid as a matplotlib figure, to be saved with its `savefig`, or edited further."""
    plan = arrange(grid)
    with own_style():
        figure = Figure(figsize=(plan.width, plan.height), dpi=150, facecolor="white")
        FigureCanvasAgg(figure)
        page = _Painter(figure, plan)
        for row, boxes in zip(grid.rows, plan.cells, strict=True):
            for panel, box in zip(row, boxes, strict=True):
                page.panel(panel, box)
        for bar in plan.bars:
            page.bar(bar)
        page.write(plan.lines)
    return figure


class _Painter(Page):
    """A page that knows every kind of panel."""

    def __init__(self, figure: Figure, plan: Layout) -> None:
        super().__init__(figure, plan.height)
        self.held = plan.margins

    def panel(self, panel: Panel, box: Box) -> None:
        match panel:
            case ImagePanel():
                self._framed(panel.pixels, box)
            case MapPanel():
                self._map(panel, box)
                self.write(_note(panel.note, box))
            case TilePanel():
                self._tiles(panel, box)
                self.write(_note(panel.note, box))
            case EmptyPanel(reason):
                self._reason(reason, box)
            case _:
                chart(self, panel, box, self.held)

    def bar(self, bar: Bar) -> None:
        values = np.linspace(bar.scale.low, bar.scale.high, 256)
        pixels = palette.colors(values[::-1, None] if bar.upright else values[None, :], bar.scale)
        self.raster(pixels, bar.box, exact=False)

    def _reason(self, reason: str, box: Box) -> None:
        if not reason:
            return
        self.rectangle(box, facecolor="#f2f2f2", edgecolor="none")
        rows = Role(LABEL.size, LABEL.least, lines=12)
        block = fit([reason], box.width - 4 * TIGHT, rows, box.height - 2 * TIGHT)[0]
        top = box.top + (box.height - block.height) / 2
        self.write(block_lines(block, box.left + box.width / 2, top, "center", SOFT))

    def _framed(self, pixels: palette.Array, cell: Box) -> Box:
        """Pixels as large as their aspect lets them be, in the middle of their cell; returns where they went."""
        height, width = pixels.shape[:2]
        pitch = max(width / cell.width, height / cell.height)  # pixels per inch
        spare_x, spare_y = cell.width - width / pitch, cell.height - height / pitch
        box = Box(cell.left + spare_x / 2, cell.top + spare_y / 2, width / pitch, height / pitch)
        # Enlarged pixels stay squares, the truth about a small map; reduced pictures are averaged.
        self.raster(pixels, box, exact=pitch <= _SQUARES)
        return box

    def _map(self, panel: MapPanel, cell: Box) -> None:
        missing = np.isnan(panel.values)
        if panel.underlay is None:
            pixels = palette.colors(panel.values, panel.scale)
        else:
            pixels = palette.overlay(panel.underlay, panel.values, panel.scale)
            missing = palette.nearest(missing, *pixels.shape[:2])
        box = self._framed(pixels, cell)
        self.hatch(missing, box)
        if panel.warning:
            self.rectangle(box, linewidth=1.2, edgecolor=WARNING, facecolor="none")

    def _tiles(self, panel: TilePanel, cell: Box) -> None:
        sheet = mosaic(panel)
        box = self._framed(sheet, cell)
        height, width = sheet.shape[:2]
        step_y, step_x = panel.tiles.shape[1:3]
        last = (panel.tiles.shape[0] - 1) % columns_of(panel) + 1  # tiles in the last row
        gaps: list[Any] = [((0, y), (width, y)) for y in range(step_y, height, step_y)]
        gaps += [((x, 0), (x, height if x <= last * step_x else height - step_y)) for x in range(step_x, width, step_x)]
        # Hairlines, not pixels of the sheet: at any resolution they are there, and equally thin.
        place = Affine2D().scale(box.width / width).translate(box.left, box.top) + self.inches
        self.add(LineCollection(gaps, colors=[(gutter(panel),) * 3], linewidths=0.48, transform=place))


def _note(note: str, box: Box) -> Iterator[Line]:
    """What the colours do not say, in the panel's lower left corner."""
    block = fit([note], box.width - 4 * TIGHT, _NOTE, box.height - 2 * TIGHT)[0]
    yield from block_lines(block, box.left + 2 * TIGHT, box.top + box.height - block.height - TIGHT, boxed=True)
