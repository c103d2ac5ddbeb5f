"""What the charts of a grid need beside their plots, whichever kinds stand in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from interp.figures import curves, intervals, keys, matrices
from interp.figures.boxes import Box, Line
from interp.figures.charts import Chart, CurvePanel, IntervalPanel, KeyPanel, MatrixPanel
from interp.figures.margins import Margins, widest


def margins(panels: Sequence[Chart], size: float) -> Margins:
    """Enough for the longest names and numbers among all charts of a grid; first at the left, then what that leaves."""
    held = max((_left(panel, size) for panel in panels), default=0.0)
    return widest(_room(panel, size, held) for panel in panels)


def height(panel: Chart, size: float, held: Margins) -> float:
    """Inches of a cell in which nothing is crowded."""
    match panel:
        case CurvePanel():
            return curves.height(panel, size, held)
        case IntervalPanel():
            return intervals.height(panel, size, held)
        case MatrixPanel():
            return matrices.height(panel, size, held)
        case KeyPanel():
            return keys.height(panel, size)


def texts(panel: Chart, cell: Box, held: Margins) -> Iterator[Line]:
    """Names, numbers and labels; a key's are with its swatches."""
    match panel:
        case CurvePanel():
            yield from curves.texts(panel, cell, held)
        case IntervalPanel():
            yield from intervals.texts(panel, cell, held)
        case MatrixPanel():
            yield from matrices.texts(panel, cell, held)


def _left(panel: Chart, size: float) -> float:
    match panel:
        case CurvePanel():
            return curves.left(panel, size)
        case IntervalPanel():
            return intervals.left(panel, size)
        case MatrixPanel():
            return matrices.left(panel, size)
        case KeyPanel():
            return 0.0


def _room(panel: Chart, size: float, held: float) -> Margins:
    match panel:
        case CurvePanel():
            return curves.room(panel, size, held)
        case IntervalPanel():
            return intervals.room(panel, size, held)
        case MatrixPanel():
            return matrices.room(panel, size, held)
        case KeyPanel():
            return Margins()
