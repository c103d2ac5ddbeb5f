"""The inside of an interval panel: one row per name, numbers below. Layout, no drawing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from interp.figures.boxes import INK, SOFT, Box, Line, block_lines, marks
from interp.figures.charts import IntervalPanel
from interp.figures.curves import round_numbers
from interp.figures.margins import AIR, Margins
from interp.figures.text import Block, Role, fit, line_height, measure

_NUMBER = 6.0
_NAME = Role(6.5, 5.0, lines=2)
_LABEL = Role(6.5, 5.5, lines=3)
_NOTE = Role(5.5, 5.0, lines=1)
_PITCH = 0.165  # inches from one row to the next, at least


@dataclass(frozen=True)
class Rows:
    """Where rows and numbers are: `ticks` are round numbers, `inset` what the outer ones stand inside the plot."""

    box: Box
    ticks: tuple[float, ...]
    inset: float
    count: int

    def x(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Inches from the figure's left edge."""
        low, high = self.ticks[0], self.ticks[-1]
        return np.asarray(self.box.left + self.inset + (values - low) / (high - low) * (self.box.width - 2 * self.inset))

    def y(self, row: int) -> float:
        """The middle of a row."""
        return self.box.top + (row + 0.5) * self.box.height / self.count


def left(panel: IntervalPanel, size: float) -> float:
    """Inches for the names."""
    return max(block.width for block in _names(panel, size)) + 2 * AIR


def room(panel: IntervalPanel, size: float, held: float) -> Margins:
    """Inches below the rows, for numbers and label."""
    label = fit([panel.x_label], size - held, _LABEL)[0].height
    return Margins(held, AIR, AIR + line_height(_NUMBER) + label)


def height(panel: IntervalPanel, size: float, held: Margins) -> float:
    """Of the whole cell: as much as the names need, under each other."""
    highest = max(block.height for block in _names(panel, size))
    return held.top + held.bottom + len(panel.names) * max(_PITCH, highest + AIR)


def rows(panel: IntervalPanel, cell: Box, held: Margins) -> Rows:
    """The plot inside its cell."""
    reference = [] if panel.reference is None else [np.array([float(panel.reference)])]
    ticks = round_numbers([panel.values, panel.low, panel.high, *reference], 5)
    inset = max(measure(text, _NUMBER) for text in marks(ticks)) / 2
    return Rows(held.plot(cell), ticks, inset, len(panel.names))


def texts(panel: IntervalPanel, cell: Box, held: Margins) -> Iterator[Line]:
    """Names, numbers, the label of the axis, and what is not defined."""
    place = rows(panel, cell, held)
    box = place.box
    for index, block in enumerate(_names(panel, cell.width)):
        color = SOFT if panel.controls and panel.controls[index] else INK
        yield from block_lines(block, box.left - AIR, place.y(index) - block.height / 2, "right", color)
        if np.isnan(panel.values[index]):
            note = fit(["not defined"], box.width - 2 * AIR, _NOTE)[0]
            yield from block_lines(note, box.left + AIR, place.y(index) - note.height / 2, "left", SOFT)
    below = box.top + box.height + AIR
    for x, text in _numbered(place):
        yield from block_lines(Block((text,), _NUMBER), x, below, "center", SOFT)
    label = fit([panel.x_label], box.width, _LABEL)[0]
    yield from block_lines(label, box.left + box.width / 2, below + line_height(_NUMBER), "center", SOFT)


def _numbered(place: Rows) -> list[tuple[float, str]]:
    """As many of the ticks as have room for their numbers: all, every second, ..., or the outer two."""
    xs = place.x(np.array(place.ticks)).tolist()
    last, step = len(xs) - 1, xs[1] - xs[0]
    every = next((k for k in range(1, last) if last % k == 0 and k * step > 2 * place.inset + 2 * AIR), last)
    return list(zip(xs[::every], marks(place.ticks[::every]), strict=True))


def _names(panel: IntervalPanel, size: float) -> list[Block]:
    return fit(list(panel.names), min(1.6, 0.5 * size), _NAME)
