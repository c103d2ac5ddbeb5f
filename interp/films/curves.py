"""Loss and accuracy above, and below on the same steps how the filters of every convolution get on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from interp.core.depth import evenly
from interp.figures import CurvePanel, EmptyPanel, Grid, KeyPanel, Panel
from interp.films.axis import even
from interp.films.timeline import Curve, Timeline

LAYERS = 7
"""Lines of a panel, at most: evenly over the depth."""
NUMBERS = 6
"""Panels of numbers that the user gave, at most."""
TITLES = {
    "norm": "L2 norm, mean over filters",
    "change": "change since the moment before / norm",
    "stable_rank": "stable rank, mean over filters",
    "effective_rank": "effective rank, mean over filters",
    "dead": "dead filters, %",
    "structured": "filters told from noise, %",
}
_SHARES = ("dead", "structured")
_WIDE = 3


def layers(timeline: Timeline) -> list[str]:
    """The convolutions that have a line."""
    return evenly([layer for layer, found in timeline.summaries.items() if found], LAYERS)


def numbers(timeline: Timeline) -> list[Curve]:
    """What the user gave that has a line: two values or more; a count of epochs behind the others."""
    return sorted((curve for curve in timeline.numbers if _drawable(curve)), key=lambda curve: curve.name == "epoch")


def figure(timeline: Timeline, title: str) -> Grid:
    """A panel for each number and each statistic, three in a row, all from the first step to the last; the key beside the numbers."""
    first, last = ends(timeline)
    shown = layers(timeline)
    given: list[Panel] = [
        CurvePanel(((" ", even(curve, first, last)),), timeline.axis, curve.name, x_range=(first, last))
        for curve in numbers(timeline)[:NUMBERS]
    ]
    statistics = [_statistic(timeline, name, shown, first, last) for name in TITLES]
    key, below = KeyPanel(tuple(shown)), [panel for panel in statistics if panel is not None]
    lines = (*_rows([*given, key]), *_rows(below)) if given else _rows([*below, key])
    return Grid(lines, title=title, panel_size=3.0)


def ends(timeline: Timeline) -> tuple[int, int]:
    """The steps that the axis runs from and to: of all records and numbers."""
    every = [np.asarray(timeline.steps), *(curve.steps for curve in _all(timeline))]
    return min(int(steps.min()) for steps in every), max(int(steps.max()) for steps in every)


def _all(timeline: Timeline) -> list[Curve]:
    found = [*timeline.numbers, *(curve for own in timeline.summaries.values() for curve in own.values())]
    return [curve for curve in found if len(curve.steps)]


def _statistic(timeline: Timeline, name: str, shown: Sequence[str], first: int, last: int) -> Panel | None:
    """A line for each layer, in an order that all panels share; a layer without the statistic has none."""
    lines = []
    for layer in shown:
        curve = timeline.summaries[layer].get(name)
        if curve is not None and _drawable(curve):
            factor = 100.0 if name in _SHARES else 1.0
            lines.append(factor * even(curve, first, last))
        else:
            lines.append(np.full(2, np.nan))
    if all(np.isnan(line).all() for line in lines):
        return None
    return CurvePanel(tuple(("", line) for line in lines), timeline.axis, TITLES[name], x_range=(first, last))


def _drawable(curve: Curve) -> bool:
    return int(np.isfinite(curve.values).sum()) > 1


def _rows(panels: Sequence[Panel]) -> tuple[tuple[Panel, ...], ...]:
    filled = [*panels, *[EmptyPanel()] * (-len(panels) % _WIDE)]
    return tuple(tuple(filled[k : k + _WIDE]) for k in range(0, len(filled), _WIDE))


def numbers_of(summaries: Mapping[str, Mapping[str, Curve]]) -> dict[str, np.ndarray]:
    """The statistics as arrays, ``curves/LAYER/NAME`` (2, n): steps and values."""
    return {
        f"curves/{layer}/{name}": np.stack([curve.steps.astype(np.float64), curve.values])
        for layer, found in summaries.items()
        for name, curve in found.items()
    }
