"""Two networks on the same pictures: their maps side by side, how well each is localized, and how far they agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from interp.comparisons.attribution_grids import methods_by_images
from interp.comparisons.metric_table import WORDS, Entry, Measure, MetricTable, Summary
from interp.comparisons.multiples import arranged
from interp.comparisons.subjects import Subject
from interp.core.method import Heatmap
from interp.figures import Grid, IntervalPanel
from interp.metrics.agreement import Similarity, similarity
from interp.metrics.evidence import Better
from interp.metrics.statistics import bootstrap_interval, paired_difference

Found = Mapping[str, Sequence[Heatmap]]
"""Maps of the same pictures by the title of the method."""

_COLUMNS = 2


def side_by_side(people: Mapping[str, Sequence[Subject]], maps: Mapping[str, Found], title: str) -> Grid:
    """Rows: the picture, then methods; columns: each picture once for each network. ``people`` and ``maps`` by network.

    A method has one kind of colours in all columns. Raises InterpError where a network lacks a method or a picture.
    """
    pairs = [(name, index) for index in range(len(next(iter(people.values())))) for name in people]
    titles = next(iter(maps.values()))
    cells = {method: [maps[name][method][index] for name, index in pairs] for method in titles}
    grid = methods_by_images([people[name][index] for name, index in pairs], cells, title=title)
    rows = tuple(zip(*grid.rows, strict=True))
    headers = tuple(f"{people[name][index].name}\n{name}" for name, index in pairs)
    return replace(grid, rows=rows, row_headers=("picture", *titles), column_headers=headers)


def merged(tables: Mapping[str, MetricTable]) -> MetricTable:
    """One table of all networks, the rows of a method under each other; controls once, as the first network has them."""
    first = next(iter(tables.values()))
    chosen = [
        (table, row, f"{entry.method} ({name})")
        for position, entry in enumerate(first.entries)
        if not entry.control
        for name, table in tables.items()
        for row in [_row(table, entry.method)]
    ]
    chosen += [(first, row, entry.method) for row, entry in enumerate(first.entries) if entry.control]
    return replace(
        first,
        entries=tuple(Entry(name, "", table.entries[row].control) for table, row, name in chosen),
        values=np.stack([table.values[row] for table, row, _ in chosen]),
        summaries=tuple(tuple(replace(cell, rank=None) for cell in table.summaries[row]) for table, row, _ in chosen),
    )


def differences(first: MetricTable, second: MetricTable, seed: int = 0) -> MetricTable:
    """``second - first`` of each method that is no control, picture by picture, with intervals of the paired differences."""
    kept = [(row, _row(second, entry.method)) for row, entry in enumerate(first.entries) if not entry.control]
    values = np.stack([second.values[theirs] - first.values[own] for own, theirs in kept])
    cells = []
    for own, theirs in kept:
        pairs = zip(second.values[theirs], first.values[own], strict=True)
        intervals = [paired_difference(a, b, seed=seed) for a, b in pairs]
        cells.append(tuple(Summary(i.mean, i.low, i.high, i.defined) for i in intervals))
    measures = tuple(Measure(m.title, Better.NEITHER) for m in first.measures)
    return MetricTable(tuple(Entry(first.entries[own].method) for own, _ in kept), measures, first.images, values, tuple(cells))


def agreement(first: Found, second: Found, seed: int = 0, shift: int = 0) -> MetricTable:
    """Spearman's correlation of two networks' maps of the same picture, method by method.

    With ``shift`` the second network's map is that of a picture so many places later: what two maps of a method have in
    common whatever they show.
    """
    titles = list(first)
    shifted = {title: [*second[title][shift:], *second[title][:shift]] for title in titles}
    values = np.array([[_alike(a, b) for a, b in zip(first[title], shifted[title], strict=True)] for title in titles])
    intervals = [bootstrap_interval(row, seed=seed) for row in values]
    cells = tuple((Summary(i.mean, i.low, i.high, i.defined),) for i in intervals)
    images = tuple(str(index) for index in range(values.shape[1]))
    return MetricTable(tuple(map(Entry, titles)), (Measure("Spearman correlation", Better.NEITHER),), images, values[:, None], cells)


def joined(tables: Mapping[str, MetricTable], controls: Sequence[str] = ()) -> MetricTable:
    """The rows of a method under each other, named by the table they are from; those of ``controls`` are marked as such."""
    first = next(iter(tables.values()))
    rows = [(row, name) for row in range(len(first.entries)) for name in tables]
    return replace(
        first,
        entries=tuple(Entry(f"{first.entries[row].method}: {name}", "", name in controls) for row, name in rows),
        values=np.stack([tables[name].values[row] for row, name in rows]),
        summaries=tuple(tables[name].summaries[row] for row, name in rows),
    )


def intervals(table: MetricTable, title: str, reference: float | int | None = None) -> Grid:
    """One panel per metric with the rows in the table's own order, so that neighbours can be compared."""
    rows = list(range(len(table.entries)))
    panels = [_panel(table, measure, rows, reference) for measure in range(len(table.measures))]
    controls = " Grey, hollow: controls." if any(entry.control for entry in table.entries) else ""
    return Grid(arranged(panels, _COLUMNS), title=title, caption=_means(table) + controls, panel_size=3.6)


def grouped(table: MetricTable, methods: Iterable[str], title: str) -> Grid:
    """The first metric of a `joined` table, all rows of a method under each other, controls too; a line at zero."""
    names = [entry.name for entry in table.entries]
    rows = [row for method in methods for row, name in enumerate(names) if name.startswith(f"{method}: ")]
    caption = f"{_means(table)} Grey, hollow: the control, which has nothing to agree on."
    return Grid(((_panel(table, 0, rows, 0),),), title=title, caption=caption, panel_size=6.0)


def _means(table: MetricTable) -> str:
    return f"Means over {table.count}, with intervals of {table.level:.0%}."


def _panel(table: MetricTable, measure: int, rows: Sequence[int], reference: float | int | None) -> IntervalPanel:
    cells, what = table.column(measure), table.measures[measure]
    words = "" if what.better is Better.NEITHER else f"\n{WORDS[what.better]}"
    return IntervalPanel(
        tuple(table.entries[row].name for row in rows),
        np.array([cells[row].mean for row in rows]),
        np.array([cells[row].low for row in rows]),
        np.array([cells[row].high for row in rows]),
        tuple(table.entries[row].control for row in rows),
        what.title + words,
        reference=reference,
    )


def _row(table: MetricTable, method: str) -> int:
    return next(row for row, entry in enumerate(table.entries) if entry.method == method)


def _alike(first: Heatmap, second: Heatmap) -> float:
    size = (max(first.values.shape[0], second.values.shape[0]), max(first.values.shape[1], second.values.shape[1]))
    return similarity(_at(first, size), _at(second, size), Similarity.SPEARMAN)


def _at(heatmap: Heatmap, size: tuple[int, int]) -> Float[np.ndarray, "rows cols"]:
    """Resized where it must be: maps of one size are compared as they are."""
    return heatmap.values if heatmap.values.shape == size else heatmap.resized(size).values
