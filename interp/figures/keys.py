"""The inside of a key: swatches and names under each other, beside the charts that they are for. Layout, no drawing."""

from __future__ import annotations

from collections.abc import Iterator

from interp.figures.boxes import INK, SOFT, Box, Line, block_lines
from interp.figures.charts import KeyPanel
from interp.figures.margins import AIR
from interp.figures.text import Block, Role, fit

_NAME = Role(7.0, 5.0, lines=2)
_SWATCH = 0.3


def height(panel: KeyPanel, size: float) -> float:
    """Of the whole cell."""
    return sum(block.height + AIR for block in _names(panel, size))


def entries(panel: KeyPanel, cell: Box) -> Iterator[tuple[int, Box, tuple[Line, ...]]]:
    """For each line: its index, where its swatch goes, and its name."""
    top = cell.top
    for index, block in enumerate(_names(panel, cell.width)):
        color = SOFT if panel.controls and panel.controls[index] else INK
        lines = tuple(block_lines(block, cell.left + AIR + _SWATCH, top, color=color))
        yield index, Box(cell.left + AIR, top, _SWATCH - 2 * AIR, block.height), lines
        top += block.height + AIR


def _names(panel: KeyPanel, size: float) -> list[Block]:
    return fit(list(panel.names), size - _SWATCH - AIR, _NAME)
