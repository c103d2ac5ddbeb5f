"""The page: a matplotlib figure that takes artists in inches, `x` to the right and `y` downwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Polygon, Rectangle
from matplotlib.path import Path as Outline
from matplotlib.transforms import Affine2D

from interp.figures.boxes import Box, Line
from interp.figures.palette import Array
from interp.figures.raster import Raster

FRAME: dict[str, Any] = {"linewidth": 0.4, "edgecolor": "#999999", "facecolor": "none"}


class Page:
    """Draws what layout has placed; decides nothing."""

    def __init__(self, figure: Figure, height: float) -> None:
        self.figure = figure
        self.inches = Affine2D().scale(1, -1).translate(0, height) + figure.dpi_scale_trans

    def add(self, artist: Artist) -> None:
        self.figure.add_artist(artist)

    def write(self, lines: Iterable[Line]) -> None:
        for line in lines:
            text = self.figure.text(
                line.x,
                line.y,
                line.text,
                fontsize=line.size,
                fontweight="bold" if line.bold else "normal",
                color=line.color,
                horizontalalignment=line.align,
                verticalalignment="center" if line.upright else "baseline",
                rotation=90 if line.upright else 0,
                parse_math=False,  # a class may be named `$10 bill`
                transform=self.inches,
            )
            if line.boxed:
                text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85})

    def rectangle(self, box: Box, **style: Any) -> None:
        self.add(Rectangle((box.left, box.top), box.width, box.height, transform=self.inches, **style))

    def line(self, xs: Array | list[float], ys: Array | list[float], **style: Any) -> None:
        self.add(Line2D(xs, ys, transform=self.inches, **style))

    def area(self, xs: Array, low: Array, high: Array, **style: Any) -> None:
        """What lies between two lines; NaN in either leaves a gap."""
        for start, stop in _stretches(np.isfinite(low) & np.isfinite(high)):
            part = slice(start, stop)
            outline = np.concatenate([np.stack([xs[part], low[part]], 1), np.stack([xs[part], high[part]], 1)[::-1]])
            self.add(Polygon(outline, transform=self.inches, linewidth=0, **style))

    def raster(self, pixels: Array, box: Box, exact: bool) -> None:
        """Pixels over all of a box, with a hairline frame."""
        self.add(Raster(pixels, box, self.inches, exact))
        self.rectangle(box, **FRAME)

    def hatch(self, missing: Array, box: Box) -> None:
        """Stripes over the cells of a box that are True in `missing` (rows, columns)."""
        if not missing.any():
            return
        holes = Outline.make_compound_path(*(_rectangle(*run) for run in _runs(missing)))
        place = Affine2D().scale(box.width / missing.shape[1], box.height / missing.shape[0]).translate(box.left, box.top)
        stripes = {"hatch": "//////", "linewidth": 0, "edgecolor": "#777777", "facecolor": "none"}
        self.add(PathPatch(holes, transform=place + self.inches, **stripes))


def _stretches(known: Array) -> Iterator[tuple[int, int]]:
    """(start, stop) of each run of True."""
    for _, start, length in _runs(known[None]):
        yield start, start + length


def _runs(mask: Array) -> Iterator[tuple[int, int, int]]:
    """(row, column, length) of each horizontal run of True: fewer rectangles than cells."""
    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    starts, ends = np.argwhere(edges == 1), np.argwhere(edges == -1)
    for (row, start), (_, end) in zip(starts.tolist(), ends.tolist(), strict=True):
        yield row, start, end - start


def _rectangle(row: int, column: int, length: int) -> Outline:
    right = column + length
    return Outline([(column, row), (right, row), (right, row + 1), (column, row + 1), (column, row)], closed=True)
