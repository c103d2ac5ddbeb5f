"""The inside of a curve panel: plot box, axes' numbers, names of the lines. Layout, no drawing.

matplotlib's own ticks know nothing of their neighbours; here every text is fitted like the rest.
The margins are shared by all charts of a grid, so that their axes align as pictures do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from interp.figures.boxes import SOFT, Box, Line, block_lines, marks, upright_lines
from interp.figures.charts import CurvePanel
from interp.figures.margins import AIR, LEAST_PLOT, Margins
from interp.figures.text import Block, Role, clean, fit, line_height, measure
from interp.figures.ticknames import across, depth

SWATCH = 0.16  # the piece of line before a name, with its gap
_ASPECT = 0.85
_NUMBER = 6.0
_AXIS = Role(6.5, 5.0, lines=2)
_LONGEST = 2.5  # inches of a label for which a plot grows
_TEXTS = 0.45  # inches that a plot leaves to texts above and below it, as a rule
NAME = Role(6.0, 5.0, lines=1)


@dataclass(frozen=True)
class Axes:
    """Where to plot, the range of both axes, and the places of grid lines along y."""

    box: Box
    x: tuple[float, float]
    ticks: tuple[float, ...]


def left(panel: CurvePanel, size: float) -> float:
    """Inches for the longest number and the label of the y axis."""
    shown = _ticks(panel) if panel.ticks else _ends(_ticks(panel))
    numbers = max(measure(text, _NUMBER) for text in marks(shown))
    return _y_role(panel, size).lines * line_height(_AXIS.size) * bool(panel.y_label) + numbers + 2 * AIR


def room(panel: CurvePanel, size: float, held: float) -> Margins:
    """Inches for the names of its lines, above, and for the x axis, below; `held` is what is taken at the left."""
    below = len(fit([panel.x_label], size - held, _AXIS)[0].lines) * line_height(_AXIS.size)
    numbers = depth(panel.ticks, size - held) + AIR if panel.ticks else line_height(_NUMBER)
    above = line_height(_NUMBER) / 2 if panel.ticks else AIR  # half of the number at the top
    return Margins(held, len(_names(panel, size)) * line_height(NAME.size) + above, numbers + AIR + below)


def height(panel: CurvePanel, size: float, held: Margins) -> float:
    """Of the whole cell; where places have long names, the plot does not pay for them, nor where its own is long."""
    plot = 0.6 * (size - held.left) if panel.ticks else LEAST_PLOT
    return max(_ASPECT * size, held.top + held.bottom + max(plot, _label_length(panel, size)))


def axes(panel: CurvePanel, cell: Box, held: Margins) -> Axes:
    """The plot inside its cell, on round numbers along y."""
    first, last = panel.x_range or (0, panel.series[0][1].size - 1)
    return Axes(held.plot(cell), (float(first), float(last)), _ticks(panel))


def places(panel: CurvePanel, count: int, box: Box) -> NDArray[np.float64]:
    """Where along x, in inches, the values of a line stand: from edge to edge, or in the middle of named places."""
    if panel.ticks:
        return np.asarray(box.left + (np.arange(count) + 0.5) * box.width / count)
    return np.linspace(box.left, box.left + box.width, count)


def texts(panel: CurvePanel, cell: Box, held: Margins) -> Iterator[Line]:
    """The numbers of both axes, or the names of the places along x, and the axes' labels."""
    place = axes(panel, cell, held)
    box = place.box
    below = box.top + box.height + AIR
    yield from _y_numbers(panel, place)
    if panel.ticks:
        yield from across(panel.ticks, Box(box.left, below, box.width, 0.0), over=False)
        below += depth(panel.ticks, box.width) + AIR
    else:
        ends = fit(list(marks(place.x)), box.width / 2 - AIR, NAME)
        yield from block_lines(ends[0], box.left, below, "left", SOFT)
        yield from block_lines(ends[1], box.left + box.width, below, "right", SOFT)
        below += line_height(_NUMBER)
    if panel.x_label:
        label = fit([panel.x_label], box.width, _AXIS)[0]
        yield from block_lines(label, box.left + box.width / 2, below, "center", SOFT)
    if panel.y_label:
        label = fit([panel.y_label], box.height, _y_role(panel, cell.width))[0]
        yield from upright_lines(label, cell.left, box.top + box.height / 2, SOFT)


def legend(panel: CurvePanel, cell: Box) -> Iterator[tuple[int, Box, Line]]:
    """For each named line: its index, where its swatch goes, and its name."""
    for row, entries in enumerate(_names(panel, cell.width)):
        column = cell.width / len(entries)
        for place, (index, block) in enumerate(entries):
            top = cell.top + row * line_height(NAME.size)
            start = cell.left + place * column
            for line in block_lines(block, start + SWATCH, top):
                yield index, Box(start, top, SWATCH - AIR, line_height(block.size)), line


def _y_numbers(panel: CurvePanel, place: Axes) -> Iterator[Line]:
    """At both ends, inside them; beside named places at every grid line where there is room, on it."""
    box, step = place.box, line_height(_NUMBER)
    low, high = _ends(place.ticks)
    shown: tuple[float, ...] = (high, low)
    tops = [box.top, box.top + box.height - step]
    if panel.ticks:
        every = 1 if box.height / (len(place.ticks) - 1) > 1.2 * step else len(place.ticks) - 1
        shown = place.ticks[::every]
        tops = [box.top + (high - tick) / (high - low) * box.height - step / 2 for tick in shown]
    for text, top in zip(marks(shown), tops, strict=True):
        yield from block_lines(Block((text,), _NUMBER), box.left - AIR, top, "right", SOFT)


def _y_role(panel: CurvePanel, size: float) -> Role:
    """One line, or two where the label has two or is longer than a plot of usual height."""
    lines = clean(panel.y_label, most=_AXIS.lines).split("\n")
    long = measure(lines[0], _AXIS.least) > _ASPECT * size - _TEXTS
    return replace(_AXIS, lines=2 if long or len(lines) > 1 else 1)


def _label_length(panel: CurvePanel, size: float) -> float:
    """Inches of plot beside which the label of its y axis stands whole, within reason."""
    lines = clean(panel.y_label, most=_AXIS.lines).split("\n")
    longest = max(measure(line, _AXIS.least) for line in lines)
    if len(lines) == 1 and _y_role(panel, size).lines == 2:
        longest *= 0.65  # wrapped where its words end
    return min(longest, _LONGEST)


def _names(panel: CurvePanel, width: float) -> list[list[tuple[int, Block]]]:
    """The names in rows of two where that cuts none short, else one in a row."""
    named = [(index, name) for index, (name, _) in enumerate(panel.series) if name]
    half = width / 2 - SWATCH - AIR
    each = 2 if len(named) > 1 and all(measure(clean(name), NAME.least) <= half for _, name in named) else 1
    blocks = fit([name for _, name in named], width / each - SWATCH - AIR, NAME)
    entries = [(index, block) for (index, _), block in zip(named, blocks, strict=True)]
    return [entries[start : start + each] for start in range(0, len(entries), each)]


def _ticks(panel: CurvePanel) -> tuple[float, ...]:
    """Round numbers around all values of the panel."""
    bands = [end for band in panel.bands if band is not None for end in band]
    return round_numbers([*(ys for _, ys in panel.series), *bands], 6 if panel.ticks else 4)


def round_numbers(arrays: Sequence[NDArray[np.float64]], most: int = 4) -> tuple[float, ...]:
    """A few round numbers, with up to `most` steps between them, that hold all finite values."""
    values: NDArray[np.float64] = np.concatenate(arrays)
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    if low == high:
        low, high = (low - 0.5, high + 0.5) if low else (0.0, 1.0)  # nothing but zeros: of a share there is nothing below
    ticks = MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return tuple(float(tick) for tick in ticks)


def _ends(ticks: tuple[float, ...]) -> tuple[float, float]:
    return ticks[0], ticks[-1]
