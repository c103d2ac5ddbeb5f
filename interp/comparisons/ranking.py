"""Which method scores how well, and how sure that is: dots with intervals, best first, the controls among them."""

from __future__ import annotations

import math

import numpy as np

from interp.comparisons.metric_table import WORDS, MetricTable, Summary
from interp.comparisons.multiples import arranged
from interp.figures import Grid, IntervalPanel
from interp.metrics.evidence import Better

_COLUMNS = 4


def ranking(table: MetricTable, title: str = "Methods by metric") -> Grid:
    """One panel per metric: means over the images with their intervals, best on top (of a metric that only describes: largest).

    Controls stand in grey, hollow, where their values put them: a method below one is worth less than it.
    """
    panels = [_panel(table, measure) for measure in range(len(table.measures))]
    caption = (
        f"Means over {table.count}, with intervals of {table.level:.0%}. Each panel is sorted: best on top, or the largest where a "
        "metric only describes. Grey, hollow: controls."
    )
    return Grid(arranged(panels, _COLUMNS), title=title, caption=caption, panel_size=2.9)


def _panel(table: MetricTable, measure: int) -> IntervalPanel:
    cells, better = table.column(measure), table.measures[measure].better
    order = sorted(range(len(cells)), key=lambda row: _worse(cells[row], better))
    return IntervalPanel(
        tuple(table.entries[row].name for row in order),
        np.array([cells[row].mean for row in order]),
        np.array([cells[row].low for row in order]),
        np.array([cells[row].high for row in order]),
        tuple(table.entries[row].control for row in order),
        f"{table.measures[measure].title}\n{WORDS[better]}",
    )


def _worse(cell: Summary, better: Better) -> tuple[bool, float]:
    """Sorts the best first and what is not defined last."""
    if math.isnan(cell.mean):
        return True, 0.0
    return False, cell.mean if better is Better.LOWER else -cell.mean
