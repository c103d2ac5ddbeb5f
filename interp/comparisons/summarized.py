"""From values per image to a table: means, bootstrap intervals over images, ranks that intervals that overlap share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interp.comparisons.contenders import Contender
from interp.comparisons.metric_table import Entry, Measure, MetricTable, Summary
from interp.comparisons.scored import Scored
from interp.metrics.statistics import bootstrap_interval, ranks


def table(scored: Scored, contenders: Sequence[Contender], images: Sequence[str], seed: int) -> MetricTable:
    """Rows: ``contenders``, ranked among each other; columns: the metrics. Raises InterpError where no metric could be taken."""
    judges = list(scored.values)
    values = np.array([[scored.values[judge][contender] for judge in judges] for contender in contenders], dtype=np.float64)
    values = values.reshape(len(contenders), len(judges), len(images))
    columns: list[list[Summary]] = []
    for column, judge in enumerate(judges):
        intervals = [bootstrap_interval(row, seed=seed) for row in values[:, column]]
        places = ranks(intervals, judge.metric.better)
        columns.append([Summary(i.mean, i.low, i.high, i.defined, place) for i, place in zip(intervals, places, strict=True)])
    return MetricTable(
        tuple(Entry(c.title, c.layer, c.control) for c in contenders),
        tuple(Measure(judge.title, judge.metric.better) for judge in judges),
        tuple(images),
        values,
        tuple(zip(*columns, strict=True)),
    )
