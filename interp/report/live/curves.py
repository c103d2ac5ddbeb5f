"""Numbers over the steps as a page can draw them: few points, each with the lowest and highest of what it stands for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from interp.core.depth import evenly
from interp.films.curves import LAYERS, TITLES
from interp.films.recorded import SUMMARIES
from interp.report.live.tail import Column
from interp.watching import Header, Record

POINTS = 400
"""Points of a line, at most."""
_WIDE = 30.0
"""Where the largest value is so many times the smallest, and all are above zero, the axis is logarithmic."""
_SHARES = ("dead", "structured")


@dataclass(frozen=True, eq=False)
class Line:
    """``mean``, ``low`` and ``high`` of the finite values of several steps, up to ``steps``; NaN where none of them is finite."""

    name: str
    steps: Int[np.ndarray, " n"]
    mean: Float[np.ndarray, " n"]
    low: Float[np.ndarray, " n"]
    high: Float[np.ndarray, " n"]
    lost: int

    @classmethod
    def of(cls, name: str, steps: Int[np.ndarray, " n"], values: Float[np.ndarray, " n"]) -> Line:
        """At most `POINTS` points. Each stands for a power of two of values, so that what was drawn stays while more come."""
        each = 1 << max(0, math.ceil(math.log2(len(values) / POINTS))) if len(values) else 1
        lost = int((~np.isfinite(values)).sum())
        if each == 1:
            clean = np.where(np.isfinite(values), values, np.nan)
            return cls(name, steps, clean, clean, clean, lost)
        count = -(-len(values) // each)
        padded = np.full(count * each, np.nan)
        padded[: len(values)] = np.where(np.isfinite(values), values, np.nan)
        grouped = padded.reshape(count, each)
        known = np.isfinite(grouped)
        number = known.sum(axis=1)
        mean = np.divide(np.where(known, grouped, 0.0).sum(axis=1), number, out=np.full(count, np.nan), where=number > 0)
        low = np.where(number > 0, np.where(known, grouped, np.inf).min(axis=1), np.nan)
        high = np.where(number > 0, np.where(known, grouped, -np.inf).max(axis=1), np.nan)
        last = np.minimum(np.arange(1, count + 1) * each, len(values)) - 1
        return cls(name, steps[last], mean, low, high, lost)

    def entry(self, *, banded: bool) -> dict[str, object]:
        """For JSON: null for NaN; ``low`` and ``high`` where ``banded``, and anything is between them."""
        found: dict[str, object] = {"name": self.name, "steps": self.steps.tolist(), "mean": _plain(self.mean), "lost": self.lost}
        if banded and bool((self.low < self.high).any()):
            found |= {"low": _plain(self.low), "high": _plain(self.high)}
        return found


def chart(title: str, unit: str, lines: Sequence[Line]) -> dict[str, object]:
    """One panel for JSON: ``unit`` is what its vertical axis counts; ``log`` whether that is logarithmic."""
    values = np.concatenate([np.concatenate([line.low, line.high]) for line in lines]) if lines else np.empty(0)
    finite = values[np.isfinite(values)]
    log = bool(finite.size and finite.min() > 0 and finite.max() > _WIDE * finite.min())
    return {"title": title, "unit": unit, "log": log, "lines": [line.entry(banded=len(lines) == 1) for line in lines]}


def of_numbers(columns: Mapping[str, Column]) -> list[dict[str, object]]:
    """A panel for each number that the user gave."""
    return [chart(name, "", [Line.of(name, np.array(one.steps, np.int64), np.array(one.values))]) for name, one in columns.items()]


def of_filters(header: Header, records: Sequence[Record]) -> list[dict[str, object]]:
    """A panel for each statistic of `interp.watching.filters.summed_up`, with a line for each of a few convolutions over the depth."""
    found = []
    for name in SUMMARIES:
        lines = []
        for layer in evenly([one.layer for one in header.plan.convolutions], LAYERS):
            points = [(one.step, one.summary[layer][name]) for one in records if name in one.summary.get(layer, {})]
            factor = 100.0 if name in _SHARES else 1.0
            steps, values = np.array([step for step, _ in points], np.int64), factor * np.array([value for _, value in points])
            lines.append(Line.of(layer, steps, values))
        if any(np.isfinite(line.mean).any() for line in lines):
            title, _, unit = TITLES[name].partition(", ")
            found.append(chart(title, unit, lines))
    return found


def _plain(values: Float[np.ndarray, " n"]) -> list[float | None]:
    # Six digits are finer than a pixel, and half the bytes.
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values.tolist()]
