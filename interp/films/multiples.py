"""Small multiples: a layer's filters by moments, and those that moved most at the start and at the end, on one colour scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from interp.comparisons.scaling import number
from interp.core.depth import evenly
from interp.figures import EmptyPanel, Grid, Panel
from interp.films.moved import Moved
from interp.films.tiles import Tiles

FILTERS, COLUMNS = 16, 12
"""Rows and columns of the figure, at most."""
MOVED = 8
_PANEL = 0.5  # inches


def columns(moments: int, most: int = COLUMNS) -> list[int]:
    """Which moments have a column: evenly, the first and the last among them."""
    return evenly(range(moments), most)


def rows(filters: int, most: int = FILTERS) -> list[int]:
    """Which filters have a row: evenly over the layer."""
    return evenly(range(filters), most)


def over_time(
    tiles: Tiles, names: Sequence[str], jumped: Bool[np.ndarray, "steps out"], filters: Sequence[int], moments: Sequence[int], title: str
) -> Grid:
    """``filters`` (rows) at ``moments`` (columns). Where a filter jumped since the column before, its panel says so."""
    panels = []
    for channel in filters:
        before = [None, *moments]
        panels.append(tuple(_panel(tiles, moment, channel, _jumps(jumped, before[k], moment, channel)) for k, moment in enumerate(moments)))
    headers = tuple(f"{tiles.layer}:{channel}" for channel in filters)
    return Grid(tuple(panels), headers, tuple(names[moment] for moment in moments), title, panel_size=_PANEL)


def _jumps(jumped: Bool[np.ndarray, "steps out"], before: int | None, moment: int, channel: int) -> int:
    return 0 if before is None else int(jumped[before:moment, channel].sum())


def _panel(tiles: Tiles, moment: int, channel: int, jumps: int) -> Panel:
    return tiles.panel(moment, channel, "jump" if jumps else "")


def farthest(tiles: Tiles, moved: Moved, first: str, last: str, title: str) -> Grid:
    """The filters that moved most: at first, at last, the difference, one below the other on one scale."""
    chosen = [int(k) for k in moved.order if np.isfinite(moved.distance[k])][:MOVED]
    if not chosen:
        return Grid(((EmptyPanel("all filters were zero at first"),),), title=title, panel_size=3.0)
    start = [tiles.panel(0, k) for k in chosen]
    end = [tiles.panel(-1, k) for k in chosen]
    change = [replace(tiles.difference(k), label=_said(moved, k)) for k in chosen]
    names = tuple(f"{tiles.layer}:{k}" for k in chosen)
    return Grid((tuple(start), tuple(end), tuple(change)), (first, last, "last less first"), names, title, panel_size=0.9)


def _said(moved: Moved, channel: int) -> str:
    return f"moved {number(float(moved.distance[channel]))}\ncosine {number(round(float(moved.cosine[channel]), 2))}"
