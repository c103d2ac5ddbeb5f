"""What an edit does over a data set: accuracy before and after in all and by class, beside random units that are edited alike."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from interp import editing
from interp.comparisons import edited as figures
from interp.comparisons.edited import Share
from interp.comparisons.scaling import number
from interp.core.model import Model
from interp.core.unit import Unit
from interp.datasets import DataSet
from interp.editing import Ablate, Edit
from interp.editing.effects import Swept, batches
from interp.images import Photo
from interp.metrics.statistics import paired_difference
from interp.report.product import Figure, Numbers, Tick
from interp.site import Link, Table

ACCURACY = "Accuracy"
MOST_ROWS = 60
"""Of a table on the page: the files have all."""


@dataclass(frozen=True)
class Chance:
    """How often units are drawn at random (``draws``), from which ``seed``, and ``means``: whether each is ablated to its own.

    ``batch``: pictures that go through the network at once.
    """

    draws: int
    seed: int
    means: bool
    batch: int


@dataclass(frozen=True, eq=False)
class Measured:
    """Of a data set: shares right before and after, by group too, with random units, and what can be told of the change."""

    what: str
    swept: Swept
    every: Share
    groups: tuple[Share, ...]
    controls: tuple[tuple[tuple[Edit, ...], float], ...]
    metrics: Mapping[str, Any]


def measured_over(
    model: Model, data: DataSet, classes: Int[np.ndarray, " n"] | None, edits: tuple[Edit, ...], asked: Chance, tick: Tick
) -> Measured:
    """The pass over ``data`` before, with ``edits`` and with random units; without ``classes`` right is what the network said before."""
    draws = _controls(model, data, edits, asked)
    swept = editing.swept(model, data, [(), edits, *draws], asked.batch, lambda done, total: tick("pictures", done, total))
    before, after, *drawn = swept.top
    truth = before if classes is None else classes[list(swept.read)]
    right = [top == truth for top in (before, after, *drawn)]
    every = _share("all", np.stack(right), np.ones(len(truth), dtype=bool))
    names = [model.class_name(k) for k in range(model.classes)]
    groups = [] if classes is None else [_share(names[k], np.stack(right), truth == k) for k in np.unique(truth)]
    values = [editing.accuracy(one) for one in right[2:]]
    change = paired_difference(right[1].astype(np.float64), right[0].astype(np.float64), seed=asked.seed)
    p = editing.chance(change.mean, np.array(values) - every.before[0])
    metrics = {
        "pictures": len(swept.read),
        "skipped": [list(one) for one in swept.skipped],
        "before": _numbers(every.before),
        "after": _numbers(every.after),
        "change": _numbers((change.mean, change.low, change.high)),
        "top_class_changed": int((before != after).sum()),
        "controls": values,
        "controls_top_class_changed": [int((before != top).sum()) for top in drawn],
        "p_among_controls": _finite(p),
        "classes": {g.name: {"pictures": g.total, "before": g.before[0], "after": g.after[0]} for g in groups},
    }
    what = "accuracy" if classes is not None else "share with the same top class as before"
    return Measured(what, swept, every, tuple(groups), tuple(zip(draws, values, strict=True)), metrics)


def _controls(model: Model, data: DataSet, edits: tuple[Edit, ...], asked: Chance) -> list[tuple[Edit, ...]]:
    """Random units edited alike, each ablated to its own mean where that was asked for."""
    draws = editing.others(model, edits, asked.draws, asked.seed)
    if not asked.means:
        return draws
    units = list(dict.fromkeys(one.unit for draw in draws for one in draw if isinstance(one, Ablate)))
    means = means_over(model, (), data, units, asked.batch) if units else {}
    return [tuple(Ablate(one.unit, means[one.unit]) if isinstance(one, Ablate) else one for one in draw) for draw in draws]


def means_over(model: Model, photos: Sequence[Photo], data: DataSet | None, units: Sequence[Unit], batch: int) -> dict[Unit, float]:
    """Over the data set, or the photographs where there is none."""
    given: Any = (images for _, images in batches(model, data, batch)) if data is not None else model.preprocess(list(photos)).split(batch)
    return editing.unit_means(model, given, units)


def _share(name: str, right: Bool[np.ndarray, "variants n"], own: Bool[np.ndarray, " n"]) -> Share:
    """Of the pictures that are ``own``, how many are right before, after, and with random units."""
    count = int(own.sum())
    shares = [editing.accuracy(one[own]) for one in right]
    first, then = ((share, *editing.wilson(int(one[own].sum()), count)) for share, one in zip(shares[:2], right, strict=False))
    drawn = shares[2:]
    return Share(name, count, first, then, (sum(drawn) / len(drawn), min(drawn), max(drawn)) if drawn else None)


def accuracy_figure(measured: Measured, title: str, data: DataSet) -> Figure:
    """The shares in all and by class beside random units, and in words by how much the edit changes them."""
    groups = figures.largest(measured.groups)
    controls = [(_short(draw), value) for draw, value in measured.controls]
    grid = figures.accuracies(measured.every, groups, controls, measured.what, len(measured.groups), title)
    low, high = measured.metrics["change"][1:]
    change = f"{number(100 * measured.metrics['change'][0])} percentage points"
    change += f" ({number(100 * low)} to {number(100 * high)}, paired bootstrap over pictures)" if low is not None else ""
    caption = (
        f"{measured.what.capitalize()} over {measured.every.total} pictures of {data.title} before (dashed) and after, with Wilson's 95 % "
        f"intervals; the edit changes it by {change}. "
    )
    if controls:
        caption += (
            f"Hollow: as many units of the same layers, drawn at random and edited alike, {len(controls)} times; their mean with the "
            f"smallest and the largest. A change as large comes by chance with p = {number(measured.metrics['p_among_controls'])}."
        )
    else:
        caption += "No random units were edited alike: none were asked for, or every unit of the layers is edited."
    if groups:
        caption += " Right: classes before (with their number of pictures) and after; the largest of many changes are large by chance too."
    return Figure("accuracy", grid, f"{measured.what.capitalize()} before and after, beside random units", caption, ACCURACY)


def _short(draw: Sequence[Edit]) -> str:
    return str(draw[0].unit) + (f" and {len(draw) - 1} more" if len(draw) > 1 else "")


def summed(measured: Measured, data: DataSet) -> str:
    """A sentence or two for the head of the page."""
    before, after = measured.every.before[0], measured.every.after[0]
    changed = measured.metrics["top_class_changed"]
    pictures = f"{measured.every.total} pictures of {data.title}"
    if measured.what != "accuracy":
        return f"The top class of {changed} of {pictures} changes."
    p = measured.metrics["p_among_controls"]
    beside = f", p = {number(p)} among random units" if p is not None else ""
    return f"Accuracy on {pictures} goes from {before:.1%} to {after:.1%}{beside}; the top class of {changed} changes."


def share_table(measured: Measured) -> Numbers:
    """All pictures and each class in a row; the files have every random draw too."""
    headers: tuple[str, ...] = ("group", "pictures", "before", "low", "high", "after", "low after", "high after")
    if measured.controls:
        headers += ("random units", "smallest", "largest")
    rows = [(g.name, g.total, *g.before, *g.after, *(g.random or ())) for g in (measured.every, *measured.groups)]
    words = [tuple(str(cell) if not isinstance(cell, float) else number(cell) for cell in row) for row in rows[:MOST_ROWS]]
    left = f" The first {MOST_ROWS} of {len(rows)}: the file has all." if len(rows) > MOST_ROWS else ""
    caption = f"{measured.what.capitalize()} with Wilson's 95 % intervals.{left}"
    files = {"accuracy.csv": csv_bytes(headers, rows)}
    links = [Link("CSV", "accuracy.csv")]
    if measured.controls:
        drawn = [(" ".join(str(edit.unit) for edit in draw), value) for draw, value in measured.controls]
        files["controls.csv"] = csv_bytes(("units", measured.what), drawn)
        links.append(Link("random units (CSV)", "controls.csv"))
    return Numbers(ACCURACY, Table(headers, tuple(words), caption, tuple(links)), files)


def csv_bytes(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    """A table as a file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headers)
    writer.writerows(rows)
    return text.getvalue().encode()


def _numbers(values: tuple[float, float, float]) -> list[float | None]:
    return [_finite(value) for value in values]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
