"""Names along a chart's x axis, one in the middle of each place: level where they fit, else upright.

Names of layers are long and places narrow. Where even upright lines stand too close, every second (third, ...) is named.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from interp.figures.boxes import SOFT, Box, Line, block_lines
from interp.figures.text import Block, Role, clean, fit, line_height, measure

LONGEST = 1.15  # inches of an upright name
_SIZE, _LEAST = 6.0, 5.0
_LEVEL_LINES = 3
_GUTTER = 0.05  # between level neighbours


def depth(names: Sequence[str], width: float) -> float:
    """Inches that the names take, below or above their axis."""
    blocks, upright = _fitted(names, width)
    return max((block.width if upright else block.height for block in blocks), default=0.0)


def across(names: Sequence[str], place: Box, over: bool) -> Iterator[Line]:
    """The names along `place.width`; `place.top` is the axis, the names stand `over` or under it."""
    blocks, upright = _fitted(names, place.width)
    step = place.width / len(names)
    shown = _every(len(names), place.width)
    for index, block in zip(range(0, len(names), shown), blocks, strict=True):
        middle = place.left + (index + 0.5) * step
        if not upright:
            yield from block_lines(block, middle, place.top - (block.height if over else 0.0), "center", SOFT)
            continue
        start = middle - block.height / 2
        for row, text in enumerate(block.lines):
            half = measure(text, block.size) / 2  # each line starts, or ends, at the axis
            y = place.top - half if over else place.top + half
            yield Line(text, start + row * line_height(block.size), y, block.size, color=SOFT, upright=True)


def whole(names: Sequence[str], blocks: Sequence[Block]) -> bool:
    """Whether fitting cut no name."""
    return all("…" in clean(name) or not any("…" in line for line in block.lines) for name, block in zip(names, blocks, strict=True))


def _every(count: int, width: float) -> int:
    return max(1, math.ceil(count * line_height(_LEAST) / width - 1e-9))


def _fitted(names: Sequence[str], width: float) -> tuple[list[Block], bool]:
    """The names that are shown, and whether they stand upright."""
    step = width / len(names)
    level = fit(list(names), max(step - _GUTTER, 0.01), Role(_SIZE, _LEAST, _LEVEL_LINES))
    if step > 0.3 and whole(names, level):
        return level, False
    every = _every(len(names), width)
    rows = max(1, min(2, int(step * every / line_height(_LEAST))))
    size = min(_SIZE, max(_LEAST, step * every / line_height(1.0)))
    return fit(list(names[::every]), LONGEST, Role(size, _LEAST, rows), step * every), True
