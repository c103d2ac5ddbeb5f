"""Metrics against the depth of the layer, and similarity against how much of a network was randomized."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.comparisons.metric_table import WORDS, MetricTable
from interp.comparisons.multiples import arranged
from interp.errors import InterpError
from interp.figures import CurvePanel, Grid, KeyPanel

Numbers = Float[np.ndarray, " places"]

_COLUMNS = 3
_WIDTH = 2.7  # inches of a panel


@dataclass(frozen=True, eq=False)
class Line:
    """Means along an axis, and the interval around each; NaN leaves a gap."""

    mean: Numbers
    low: Numbers
    high: Numbers


def depth_curves(table: MetricTable, layers: Sequence[str], title: str = "Metrics by layer") -> Grid:
    """One panel per metric: the mean at each of ``layers`` (shallow to deep), a line and a band for each method.

    Controls, which have no layer, are level dashed lines. Methods that were looked at on fewer than two of the layers have
    no line. Raises InterpError where no method has one.
    """
    place = {(entry.method, entry.layer): row for row, entry in enumerate(table.entries)}
    methods = dict.fromkeys(entry.method for entry in table.entries if entry.layer in layers and not entry.control)
    methods = dict.fromkeys(name for name in methods if sum((name, layer) in place for layer in layers) > 1)
    if not methods:
        raise InterpError(f"no method was looked at on two of {', '.join(layers) or 'no layers'}; a depth curve needs that")
    levels = {entry.method: row for row, entry in enumerate(table.entries) if entry.control}
    rows = {name: [place.get((name, layer)) for layer in layers] for name in methods}
    rows |= {name: [row] * len(layers) for name, row in levels.items()}
    lines = {
        f"{measure.title}\n{WORDS[measure.better]}": {name: _line(table, column, which) for name, which in rows.items()}
        for column, measure in enumerate(table.measures)
    }
    caption = (
        f"Means over {table.count}; bands: intervals of {table.level:.0%}. Layers from shallow to deep. "
        "Grey, dashed: controls, which have no layer."
    )
    return _multiples(lines, layers, set(levels), "", title, caption)


def randomization_curves(
    found: Mapping[str, Mapping[str, Line]],
    stages: Sequence[str],
    controls: Collection[str] = (),
    x_label: str = "randomized, one layer more each",
    title: str = "Maps under randomized weights",
    caption: str = "",
) -> Grid:
    """One panel per measure of similarity to the trained network's map; one line per method over ``stages``.

    ``found``: lines by measure and method, one number per stage; a stage is named by the layer randomized last, the first
    may be the trained network itself. A method that explains the model falls.
    """
    return _multiples(found, stages, controls, x_label, title, caption)


def _line(table: MetricTable, measure: int, rows: Sequence[int | None]) -> Line:
    cells = [None if row is None else table.summaries[row][measure] for row in rows]
    parts = ([np.nan if cell is None else getattr(cell, part) for cell in cells] for part in ("mean", "low", "high"))
    return Line(*(np.array(part, dtype=np.float64) for part in parts))


def _multiples(
    found: Mapping[str, Mapping[str, Line]],
    ticks: Sequence[str],
    controls: Collection[str],
    x_label: str,
    title: str,
    caption: str,
) -> Grid:
    """A panel for each measure, and last the key to the lines that all have in common."""
    names = tuple(dict.fromkeys(name for lines in found.values() for name in lines))
    marked = tuple(name in controls for name in names)
    nothing = np.full(len(ticks), np.nan)
    panels = []
    for measure, lines in found.items():
        drawn = [lines.get(name, Line(nothing, nothing, nothing)) for name in names]
        series = tuple(("", line.mean) for line in drawn)
        bands = tuple(None if control else (line.low, line.high) for line, control in zip(drawn, marked, strict=True))
        panels.append(CurvePanel(series, x_label, measure, bands=bands, ticks=tuple(ticks), controls=marked))
    return Grid(arranged([*panels, KeyPanel(names, marked)], _COLUMNS), title=title, caption=caption, panel_size=_WIDTH)
