"""Where everything goes, in inches from the figure's top-left corner: arithmetic, no drawing.

The figure grows to hold its panels; texts are fitted to the space they own, so nothing can
overlap. Colour bars get reserved strips, so panels of one row or column align exactly.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from interp.figures import chartrooms
from interp.figures.boxes import SOFT, WARNING, Box, Line, block_lines, number, upright_lines
from interp.figures.charts import Chart
from interp.figures.margins import Margins
from interp.figures.scale import Kind, Scale
from interp.figures.spec import Grid, ImagePanel, MapPanel, Panel, TilePanel, scale_of
from interp.figures.text import Block, Role, fit, flow, line_height, measure
from interp.figures.tiles import sheet_shape

MARGIN = 0.06  # around the figure
GAP = 0.08  # between panels, and between a panel and its texts where they need air
TIGHT = 0.025  # between a panel and the text that belongs to it
BAR = 0.08  # a colour bar's thickness
LEAST_ROW = 0.3  # a row holds its header and the two numbers of its bar
WHOLE_BAR = 3.0  # at most, for the height of the bar that a whole figure shares
LEAST_WIDTH = 2.4  # what a title or caption needs to be read at all
HEADER_WIDTH = 1.3  # at most, for row headers

TITLE, CAPTION = 9.0, 7.0
COLUMN = Role(8.0, 6.0, lines=3, bold=True)
ROW = Role(8.0, 6.0, lines=4, bold=True)
LABEL = Role(7.0, 5.5, lines=2)
SUBLABEL = Role(6.5, 5.5, lines=2)
WARNED = Role(6.5, 5.0, lines=3)
NUMBER = Role(6.0, 5.0, lines=2)
UNIT = Role(6.0, 5.0, lines=4)  # names the clip, which must not be cut away


@dataclass(frozen=True)
class Bar:
    scale: Scale
    box: Box
    upright: bool


@dataclass(frozen=True)
class Layout:
    width: float
    height: float
    cells: tuple[tuple[Box, ...], ...]
    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]
    margins: Margins  # of its charts


@dataclass(frozen=True)
class _Sharing:
    """Which colour bars a grid needs: one for all, one below each column, one per row, or one under each panel of a row."""

    whole: Scale | None
    columns: tuple[Scale | None, ...]
    rows: tuple[Scale | None, ...]
    single: tuple[bool, ...]

    @property
    def runs(self) -> Iterator[tuple[Scale, int, int]]:
        """Neighbouring columns with one scale: (scale, first, last)."""
        start = 0
        for scale, group in itertools.groupby(self.columns):
            count = len(list(group))
            if scale:
                yield scale, start, start + count - 1
            start += count


def _sharing(grid: Grid) -> _Sharing:
    used = [{scale for panel in row if (scale := scale_of(panel))} for row in grid.rows]
    no_columns, no_rows, no_single = (None,) * grid.columns, (None,) * len(used), (False,) * len(used)
    everything = set[Scale]().union(*used)
    if len(everything) == 1 and sum(map(bool, used)) > 1:
        return _Sharing(everything.pop(), no_columns, no_rows, no_single)
    below = [{scale for row in grid.rows if (scale := scale_of(row[column]))} for column in range(grid.columns)]
    mixed = any(len(scales) > 1 for scales in used)
    if mixed and sum(map(bool, used)) > 1 and all(len(scales) < 2 for scales in below):
        return _Sharing(None, tuple(next(iter(scales), None) for scales in below), no_rows, no_single)
    rows = tuple(next(iter(scales)) if len(scales) == 1 else None for scales in used)
    return _Sharing(None, no_columns, rows, tuple(len(scales) > 1 for scales in used))


def _aspect(panel: Panel) -> float | None:
    """Height over width of what a panel shows; None if it takes any shape."""
    match panel:
        case ImagePanel():
            height, width = panel.pixels.shape[:2]
        case MapPanel():
            height, width = (panel.values if panel.underlay is None else panel.underlay).shape[:2]
        case TilePanel():
            height, width = sheet_shape(panel)
        case _:
            return None
    return float(height / width)


def _row_height(row: tuple[Panel, ...], width: float, held: Margins) -> float:
    """As high as the highest panel at full width, pictures at most twice as high as wide."""
    charts = [chartrooms.height(panel, width, held) for panel in row if isinstance(panel, Chart)]
    aspects = [aspect for panel in row if (aspect := _aspect(panel)) is not None]
    pictures = width * min(2.0, max(aspects, default=0.0 if charts else 1.0))
    return max(LEAST_ROW, pictures, *charts)


@dataclass(frozen=True)
class _Under:
    """What stands under a row's panels: a bar of its own, its label, its sublabel, its warning."""

    numbers: tuple[tuple[Block, ...], ...]  # low and high; or one text, where narrow; or no bar
    units: tuple[Block, ...]
    inline: bool  # the units stand between the two numbers
    labels: tuple[Block, ...]
    sublabels: tuple[Block, ...]
    warnings: tuple[Block, ...]

    @property
    def numbers_height(self) -> float:
        return max(_highest(blocks) for blocks in self.numbers)

    @property
    def bar_height(self) -> float:
        if not any(self.numbers):
            return 0.0
        texts = self.numbers_height, _highest(self.units)
        return TIGHT + BAR + (max(texts) if self.inline else sum(texts))

    @property
    def height(self) -> float:
        below = (sub.height + warned.height for sub, warned in zip(self.sublabels, self.warnings, strict=True))
        texts = _highest(self.labels) + max(below)
        return self.bar_height + texts + (TIGHT if texts or self.bar_height else 0.0)


def _highest(blocks: Sequence[Block]) -> float:
    return max((block.height for block in blocks), default=0.0)


def _unders(grid: Grid, sharing: _Sharing) -> list[_Under]:
    """Texts are fitted over the whole grid, so that all of one role have one size."""
    width, columns, panels = grid.panel_size, grid.columns, list(grid.panels())
    scales = [scale_of(panel) if sharing.single[index // columns] else None for index, panel in enumerate(panels)]
    units = fit([scale.label if scale else "" for scale in scales], width, UNIT)
    labels = fit([getattr(panel, "label", "") for panel in panels], width, LABEL)
    sublabels = fit([getattr(panel, "sublabel", "") for panel in panels], width, SUBLABEL)
    warnings = fit([getattr(panel, "warning", "") for panel in panels], width, WARNED)
    numbers = _bar_numbers(scales, width)
    inline = all(
        sum(block.width for block in (unit, *pair)) + 2 * GAP <= width and len(unit.lines) < 2 and len(pair) != 1
        for unit, pair in zip(units, numbers, strict=True)
    )
    parts = [slice(start, start + columns) for start in range(0, len(panels), columns)]
    return [
        _Under(tuple(numbers[part]), tuple(units[part]), inline, tuple(labels[part]), tuple(sublabels[part]), tuple(warnings[part]))
        for part in parts
    ]


def _bar_numbers(scales: list[Scale | None], width: float) -> list[tuple[Block, ...]]:
    """A number under each end of a bar; where two do not fit side by side, one text for both."""
    ends = [(number(scale.low), number(scale.high)) if scale else () for scale in scales]
    if all(measure("  ".join(pair), NUMBER.size) <= width for pair in ends):
        return [tuple(Block((text,), NUMBER.size) for text in pair) for pair in ends]
    both = [
        f"±{number(scale.high)}" if scale and scale.kind is Kind.DIVERGING else " to ".join(pair)
        for scale, pair in zip(scales, ends, strict=True)
    ]
    blocks = fit(both, width, NUMBER)
    return [(block,) if pair else () for block, pair in zip(blocks, ends, strict=True)]


def arrange(grid: Grid) -> Layout:
    """Places everything that the grid shows; the figure becomes as large as that needs."""
    return _Arranger(grid).layout()


class _Arranger:
    """Places one grid from top to bottom, collecting lines and bars on the way."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.sharing = _sharing(grid)
        self.held = chartrooms.margins([panel for panel in grid.panels() if isinstance(panel, Chart)], grid.panel_size)
        self.heights = [_row_height(row, grid.panel_size, self.held) for row in grid.rows]
        self.headers = fit(list(grid.row_headers), HEADER_WIDTH, ROW, min(self.heights))
        self.first = MARGIN + (max(block.width for block in self.headers) + GAP if self.headers else 0.0)
        self.last = self.first + grid.columns * grid.panel_size + (grid.columns - 1) * GAP
        self.lines: list[Line] = []
        self.bars: list[Bar] = []

    def layout(self) -> Layout:
        grid = self.grid
        strip = self._strip_width()
        width = self.last + strip + MARGIN
        if grid.title or grid.caption:
            width = max(width, LEAST_WIDTH)
        top = MARGIN
        if grid.title:
            top = self._paragraph(flow(grid.title, width - 2 * MARGIN, TITLE, bold=True), top) + GAP
        cells, bottom = self._rows(self._column_headers(top))
        if self.sharing.whole:
            middle = (cells[0][0].top + cells[-1][0].top + self.heights[-1]) / 2
            self._side_bar(self.sharing.whole, middle - self._whole_height / 2, self._whole_height)
        if any(self.sharing.columns):
            bottom = self._column_bars(bottom + TIGHT)
        if grid.caption:
            bottom = self._paragraph(flow(grid.caption, width - 2 * MARGIN, CAPTION), bottom + GAP)
        return Layout(width, bottom + MARGIN, tuple(cells), tuple(self.bars), tuple(self.lines), self.held)

    def _paragraph(self, block: Block, top: float) -> float:
        self.lines += block_lines(block, MARGIN, top)
        return top + block.height

    def _left(self, column: int) -> float:
        return self.first + column * (self.grid.panel_size + GAP)

    def _column_headers(self, top: float) -> float:
        """Headers end at one height, just above their columns; over the plots, where there are only charts."""
        held = self.held.left if all(isinstance(panel, Chart) for panel in self.grid.panels()) else 0.0
        size = self.grid.panel_size - held
        blocks = fit(list(self.grid.column_headers), size, COLUMN)
        bottom = top + _highest(blocks)
        for column, block in enumerate(blocks):
            self.lines += block_lines(block, self._left(column) + held + size / 2, bottom - block.height, "center")
        return bottom + (TIGHT if blocks else 0.0)

    def _rows(self, top: float) -> tuple[list[tuple[Box, ...]], float]:
        cells = []
        size = self.grid.panel_size
        unders = _unders(self.grid, self.sharing)
        for index, (height, under) in enumerate(zip(self.heights, unders, strict=True)):
            boxes = tuple(Box(self._left(column), top, size, height) for column in range(self.grid.columns))
            cells.append(boxes)
            if self.headers:
                block = self.headers[index]
                middle = top + (height - block.height) / 2
                self.lines += block_lines(block, self.first - GAP, middle, "right")
            if scale := self.sharing.rows[index]:
                self._side_bar(scale, top, height)
            for column, box in enumerate(boxes):
                self._under(self.grid.rows[index][column], under, column, box)
            top += height + under.height + GAP
        return cells, top - GAP

    def _under(self, panel: Panel, under: _Under, column: int, box: Box) -> None:
        top = box.top + box.height + TIGHT
        centre = box.left + box.width / 2
        self.lines += block_lines(under.labels[column], centre, top, "center")
        top += _highest(under.labels)
        self.lines += block_lines(under.sublabels[column], centre, top, "center", SOFT)
        self.lines += block_lines(under.warnings[column], centre, top + under.sublabels[column].height, "center", WARNING)
        scale, numbers = scale_of(panel), under.numbers[column]
        if scale and numbers:
            top = box.top + box.height + under.height - under.bar_height + TIGHT
            self.bars.append(Bar(scale, Box(box.left, top, box.width, BAR), upright=False))
            self._bar_texts(numbers, under, column, Box(box.left, top + BAR, box.width, 0.0))

    def _column_bars(self, top: float) -> float:
        """One bar below all neighbouring columns that share a scale; returns where the highest of them ends."""
        runs = [(scale, self._left(first), self._left(last) + self.grid.panel_size) for scale, first, last in self.sharing.runs]
        narrowest = min(right - left for _, left, right in runs)
        ends = [_bar_numbers([scale], right - left)[0] for scale, left, right in runs]
        units = fit([scale.label for scale, _, _ in runs], narrowest, UNIT)
        below = top + BAR + TIGHT + max(map(_highest, ends))
        for (scale, left, right), numbers, unit in zip(runs, ends, units, strict=True):
            self.bars.append(Bar(scale, Box(left, top, right - left, BAR), upright=False))
            places = [(left, "left"), (right, "right")] if len(numbers) == 2 else [((left + right) / 2, "center")]
            for block, (x, align) in zip(numbers, places, strict=True):
                self.lines += block_lines(block, x, top + BAR + TIGHT, align, SOFT)
            self.lines += block_lines(unit, (left + right) / 2, below, "center", SOFT)
        return below + _highest(units)

    def _bar_texts(self, numbers: tuple[Block, ...], under: _Under, column: int, place: Box) -> None:
        left, right, top = place.left, place.left + place.width, place.top
        if len(numbers) == 2:
            self.lines += block_lines(numbers[0], left, top, "left", SOFT)
            self.lines += block_lines(numbers[1], right, top, "right", SOFT)
        else:
            self.lines += block_lines(numbers[0], (left + right) / 2, top, "center", SOFT)
        top += 0.0 if under.inline else under.numbers_height
        self.lines += block_lines(under.units[column], (left + right) / 2, top, "center", SOFT)

    @property
    def _whole_height(self) -> float:
        return min(WHOLE_BAR, sum(self.heights))

    def _side_scales(self) -> list[tuple[Scale, float]]:
        """Each bar at the right side with the height that it has."""
        if self.sharing.whole:
            return [(self.sharing.whole, self._whole_height)]
        return [(scale, height) for scale, height in zip(self.sharing.rows, self.heights, strict=True) if scale]

    def _strip_width(self) -> float:
        """Room for every bar at the right side, so that all rows end at one place."""
        return max((self._side_width(scale, height) for scale, height in self._side_scales()), default=0.0)

    def _side_width(self, scale: Scale, height: float) -> float:
        label = fit([scale.label], height, UNIT)[0].height
        return GAP + BAR + 2 * TIGHT + _tick_width(scale) + (TIGHT + label if label else 0.0)

    def _side_bar(self, scale: Scale, top: float, height: float) -> None:
        left = self.last + GAP
        self.bars.append(Bar(scale, Box(left, top, BAR, height), upright=True))
        step, place = line_height(NUMBER.size), left + BAR + 2 * TIGHT
        ticks = [(scale.high, top), (scale.low, top + height - step)]
        if scale.kind is Kind.DIVERGING and height > 4 * step:
            ticks.append((0.0, top + (height - step) / 2))
        for value, start in ticks:
            self.lines += block_lines(Block((number(value),), NUMBER.size), place, start, color=SOFT)
        label = fit([scale.label], height, UNIT)[0]
        self.lines += upright_lines(label, place + _tick_width(scale) + TIGHT, top + height / 2, SOFT)


def _tick_width(scale: Scale) -> float:
    return max(measure(number(value), NUMBER.size) for value in (scale.low, scale.high))
