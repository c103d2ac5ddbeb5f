"""The inside of a matrix panel: cells, their numbers, names of rows and columns. Layout, no drawing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from interp.figures import palette
from interp.figures.boxes import INK, SOFT, Box, Line
from interp.figures.boxes import block_lines as lines_of
from interp.figures.charts import MatrixPanel
from interp.figures.margins import AIR, Margins
from interp.figures.text import Block, Role, fit, line_height, measure
from interp.figures.ticknames import across, depth

_NAME = Role(6.5, 5.0, lines=2)
_SIZES = (6.5, 6.0, 5.5, 5.0, 4.5)  # points, of the numbers in the cells
_WHITE = "#ffffff"
_MIDDLE = 0.179  # relative luminance at which black and white stand out equally (WCAG 2)
_HIGHEST, _LOWEST = 0.3, 0.15  # inches of a row


def left(panel: MatrixPanel, size: float) -> float:
    """Inches for the names of the rows."""
    return max(block.width for block in _names(panel, size)) + 2 * AIR


def room(panel: MatrixPanel, size: float, held: float) -> Margins:
    """Inches for the names of the columns, above."""
    return Margins(held, depth(panel.column_labels, size - held) + AIR, 0.0)


def height(panel: MatrixPanel, size: float, held: Margins) -> float:
    """Of the whole cell: squares where they are small, else flat cells."""
    names = max(block.height for block in _names(panel, size))
    row = min(_HIGHEST, (size - held.left) / len(panel.column_labels))
    return held.top + held.bottom + len(panel.row_labels) * max(row, _LOWEST, names + AIR)


def texts(panel: MatrixPanel, cell: Box, held: Margins) -> Iterator[Line]:
    """Names and numbers; a number is black or white, whichever stands out from its cell."""
    box = held.plot(cell)
    step_y, step_x = box.height / panel.values.shape[0], box.width / panel.values.shape[1]
    for row, block in enumerate(_names(panel, cell.width)):
        color = SOFT if panel.controls and panel.controls[row] else INK
        yield from lines_of(block, box.left - AIR, box.top + (row + 0.5) * step_y - block.height / 2, "right", color)
    yield from across(panel.column_labels, Box(box.left, box.top - AIR, box.width, 0.0), over=True)
    written = numbers(panel)
    size = _size([text for row_ in written for text in row_], step_x, step_y)
    if size is None:
        return
    inks = _inks(panel)
    for row, entries in enumerate(written):
        for column, text in enumerate(entries):
            block = Block((text,), size)
            top = box.top + (row + 0.5) * step_y - block.height / 2
            if text:  # over hatching, on white
                boxed = bool(np.isnan(panel.values[row, column]))
                yield from lines_of(block, box.left + (column + 0.5) * step_x, top, "center", inks[row][column], boxed)


def numbers(panel: MatrixPanel) -> tuple[tuple[str, ...], ...]:
    """What is written into each cell: nothing where the value is NaN, unless `texts` says so."""
    if panel.texts:
        return panel.texts
    if panel.digits is None:
        return (("",) * len(panel.column_labels),) * len(panel.row_labels)
    return tuple(tuple("" if np.isnan(value) else _fixed(value, panel.digits) for value in row) for row in panel.values.tolist())


def _fixed(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    negative = text.startswith("-") and float(text) != 0
    return ("\N{MINUS SIGN}" if negative else "") + text.lstrip("-")


def _inks(panel: MatrixPanel) -> list[list[str]]:
    shown = palette.colors(panel.values, panel.scale)
    linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    dark = linear @ np.array([0.2126, 0.7152, 0.0722]) < _MIDDLE
    return [[_WHITE if one else INK for one in row] for row in dark.tolist()]


def _size(texts: list[str], width: float, height: float) -> float | None:
    """The largest size at which every number stands inside its cell; None if there is none."""
    longest = max((measure(text, 1.0) for text in texts), default=0.0)
    return next((size for size in _SIZES if longest * size <= width - AIR and line_height(size) <= height), None)


def _names(panel: MatrixPanel, size: float) -> list[Block]:
    return fit(list(panel.row_labels), min(1.6, 0.4 * size), _NAME)
