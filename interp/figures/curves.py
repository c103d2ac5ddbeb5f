"""The inside of a curve panel: plot box, axes' numbers, names of the lines. Layout, no drawing.

matplotlib's own ticks know nothing of their neighbours; here every text is fitted like the rest.
The margins are shared by all curves of a grid, so that their axes align as pictures do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from interp.figures.boxes import SOFT, Box, Line, block_lines, number, upright_lines
from interp.figures.spec import CurvePanel
from interp.figures.text import Block, Role, clean, fit, line_height, measure

_AIR = 0.03  # between the plot and its texts
_SWATCH = 0.16  # the piece of line before a name, with its gap
_NUMBER = 6.0
_LEAST_PLOT = 0.4  # inches, under however many names
_AXIS = Role(6.5, 5.0, lines=1)
_NAME = Role(6.0, 5.0, lines=1)


@dataclass(frozen=True)
class Margins:
    """Inches of a curve's cell that its texts take, the same for all curves of a grid."""

    left: float = 0.0
    top: float = 0.0
    bottom: float = 0.0

    @property
    def least_height(self) -> float:
        """Of a cell whose plot still shows its lines."""
        return self.top + self.bottom + _LEAST_PLOT


@dataclass(frozen=True)
class Axes:
    """Where to plot, the range of both axes, and the places of grid lines along y."""

    box: Box
    x: tuple[float, float]
    ticks: tuple[float, ...]


def margins(panels: Sequence[CurvePanel], size: float) -> Margins:
    """Enough for the longest numbers and the most names among all curves of a grid."""
    numbers = max(measure(number(tick), _NUMBER) for panel in panels for tick in _ends(_ticks(panel)))
    title = line_height(_AXIS.size) if any(panel.y_label for panel in panels) else 0.0
    rows = max(len(_names(panel, size)) for panel in panels)
    below = line_height(_AXIS.size) if any(panel.x_label for panel in panels) else 0.0
    return Margins(
        left=title + numbers + 2 * _AIR,
        top=rows * line_height(_NAME.size) + _AIR,
        bottom=line_height(_NUMBER) + _AIR + below,
    )


def axes(panel: CurvePanel, cell: Box, held: Margins) -> Axes:
    """The plot inside its cell, on round numbers along y."""
    box = Box(cell.left + held.left, cell.top + held.top, cell.width - held.left, cell.height - held.top - held.bottom)
    first, last = panel.x_range or (0, panel.series[0][1].size - 1)
    return Axes(box, (float(first), float(last)), _ticks(panel))


def texts(panel: CurvePanel, cell: Box, held: Margins) -> Iterator[Line]:
    """The numbers at both ends of both axes, and the axes' labels."""
    place = axes(panel, cell, held)
    box, step = place.box, line_height(_NUMBER)
    low, high = _ends(place.ticks)
    numbers = [(high, box.top), (low, box.top + box.height - step)]
    for value, top in numbers:
        yield from block_lines(_one(number(value)), box.left - _AIR, top, "right", SOFT)
    below = box.top + box.height + _AIR
    ends = fit([number(value) for value in place.x], box.width / 2 - _AIR, _NAME)
    yield from block_lines(ends[0], box.left, below, "left", SOFT)
    yield from block_lines(ends[1], box.left + box.width, below, "right", SOFT)
    if panel.x_label:
        label = fit([panel.x_label], box.width, _AXIS)[0]
        yield from block_lines(label, box.left + box.width / 2, below + step, "center", SOFT)
    if panel.y_label:
        label = fit([panel.y_label], box.height, _AXIS)[0]
        yield from upright_lines(label, cell.left, box.top + box.height / 2, SOFT)


def legend(panel: CurvePanel, cell: Box) -> Iterator[tuple[int, Box, Line]]:
    """For each named line: its index, where its swatch goes, and its name."""
    for row, entries in enumerate(_names(panel, cell.width)):
        column = cell.width / len(entries)
        for place, (index, block) in enumerate(entries):
            top = cell.top + row * line_height(_NAME.size)
            left = cell.left + place * column
            for line in block_lines(block, left + _SWATCH, top):
                yield index, Box(left, top, _SWATCH - _AIR, line_height(block.size)), line


def _names(panel: CurvePanel, width: float) -> list[list[tuple[int, Block]]]:
    """The names in rows of two where that cuts none short, else one in a row."""
    named = [(index, name) for index, (name, _) in enumerate(panel.series) if name]
    half = width / 2 - _SWATCH - _AIR
    each = 2 if len(named) > 1 and all(measure(clean(name), _NAME.least) <= half for _, name in named) else 1
    blocks = fit([name for _, name in named], width / each - _SWATCH - _AIR, _NAME)
    entries = [(index, block) for (index, _), block in zip(named, blocks, strict=True)]
    return [entries[start : start + each] for start in range(0, len(entries), each)]


def _ticks(panel: CurvePanel) -> tuple[float, ...]:
    """Round numbers around all values of the panel."""
    values: NDArray[np.float64] = np.concatenate([ys for _, ys in panel.series])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    ticks = MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return tuple(float(tick) for tick in ticks)


def _ends(ticks: tuple[float, ...]) -> tuple[float, float]:
    return ticks[0], ticks[-1]


def _one(text: str) -> Block:
    return Block((text,), _NUMBER)
