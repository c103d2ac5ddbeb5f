"""``MetricTable``: what every metric says of every method, beside the controls; as Markdown, CSV, Parquet and on a page.

Means, intervals and ranks come from outside; the values of the single images stay with them, as they are the truth.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from interp.errors import InterpError
from interp.metrics.evidence import Better
from interp.site import Link, Table

ARROWS = {Better.HIGHER: "\N{UPWARDS ARROW}", Better.LOWER: "\N{DOWNWARDS ARROW}", Better.NEITHER: ""}
WORDS = {Better.HIGHER: "higher is better", Better.LOWER: "lower is better", Better.NEITHER: "describes, ranks nothing"}
_FEW = 10  # images, below which a bootstrap interval is clearly too narrow
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Entry:
    """A row: a method's title, the layer it looked at ("" for the input or the whole network), and whether it is a control."""

    method: str
    layer: str = ""
    control: bool = False

    @property
    def name(self) -> str:
        """Method and layer in one, for figures."""
        return f"{self.method}, {self.layer}" if self.layer else self.method


@dataclass(frozen=True)
class Measure:
    """A column: a metric's title, and which way it points."""

    title: str
    better: Better

    @property
    def heading(self) -> str:
        """The title with an arrow towards the better side."""
        return f"{self.title} {ARROWS[self.better]}".rstrip()


@dataclass(frozen=True)
class Summary:
    """A cell: the mean over the ``n`` images for which the metric is defined, its interval, and the rank (1 is best).

    NaN where nothing is defined; ``rank`` None where nothing is ranked. Ties share a rank.
    """

    mean: float
    low: float
    high: float
    n: int
    rank: float | int | None = None


@dataclass(frozen=True, eq=False)
class MetricTable:
    """``summaries`` of ``entries`` (rows) by ``measures`` (columns), and the ``values`` of the single images behind them.

    Everything written shows the methods in the order given, then the controls. ``level``: of the intervals.
    """

    entries: tuple[Entry, ...]
    measures: tuple[Measure, ...]
    images: tuple[str, ...]
    values: Float[np.ndarray, "entries measures images"]
    summaries: tuple[tuple[Summary, ...], ...]
    level: float = 0.95

    def __post_init__(self) -> None:
        shape = (len(self.entries), len(self.measures), len(self.images))
        if not all(shape[:2]):
            raise InterpError("a metric table needs at least one method and one metric")
        if self.values.shape != shape:
            raise InterpError(f"`values` has shape {self.values.shape}, but there are {shape} methods, metrics and images")
        if [len(row) for row in self.summaries] != [shape[1]] * shape[0]:
            raise InterpError(f"`summaries` must have {shape[0]} rows of {shape[1]}, one for each method and metric")
        order = sorted(range(shape[0]), key=lambda row: self.entries[row].control)  # stable: methods first, else as given
        object.__setattr__(self, "entries", tuple(self.entries[row] for row in order))
        object.__setattr__(self, "summaries", tuple(tuple(self.summaries[row]) for row in order))
        object.__setattr__(self, "values", np.array(self.values, dtype=np.float64)[order])

    def where(self, keep: Callable[[Entry], bool]) -> MetricTable:
        """The rows that ``keep`` accepts, ranked among each other as they were. Raises InterpError where none is left."""
        rows = [row for row, entry in enumerate(self.entries) if keep(entry)]
        return replace(
            self,
            entries=tuple(self.entries[row] for row in rows),
            values=self.values[rows],
            summaries=tuple(self.summaries[row] for row in rows),
        )

    def column(self, measure: int) -> tuple[Summary, ...]:
        """One metric's cells, row by row."""
        return tuple(row[measure] for row in self.summaries)

    def best(self, row: int, measure: int) -> bool:
        """Whether no other row has a better rank in that column."""
        ranks = [cell.rank for cell in self.column(measure) if cell.rank is not None]
        return self.summaries[row][measure].rank is not None and self.summaries[row][measure].rank == min(ranks)

    @property
    def headings(self) -> tuple[str, ...]:
        """Of the columns of `rows`; "Layer" only where a row has one."""
        return ("Method", *(("Layer",) if self._layered else ()), *(measure.heading for measure in self.measures))

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The table in words: name, layer, and "mean [low, high]" for each metric."""
        formats = [_format(self.column(measure)) for measure in range(len(self.measures))]
        return tuple(
            (
                entry.method + (" (control)" if entry.control else ""),
                *((entry.layer,) if self._layered else ()),
                *(self._words(cell, write) for cell, write in zip(cells, formats, strict=True)),
            )
            for entry, cells in zip(self.entries, self.summaries, strict=True)
        )

    @property
    def count(self) -> str:
        """For how many images the metrics are defined, in words."""
        numbers = [cell.n for row in self.summaries for cell in row if cell.n] or [0]
        least, most = min(numbers), max(numbers)
        if least == most:
            return f"{most} image" + ("" if most == 1 else "s")
        return f"{least} to {most} images, as far as a metric is defined"

    @property
    def legend(self) -> str:
        """What arrows, brackets and bold type mean, and how many images are behind the numbers."""
        used = [better for better in (Better.HIGHER, Better.LOWER) if any(measure.better is better for measure in self.measures)]
        arrows = "".join(f"; {ARROWS[better]} {WORDS[better]}" for better in used)
        best = f"; bold: best rank among these {len(self.entries)} rows, ties included" if self._ranked else ""
        few = f" Intervals of fewer than {_FEW} images are too narrow." if self._ranked and len(self.images) < _FEW else ""
        return f"Mean over {self.count} [{self.level:.0%} interval]{arrows}{best}; controls last.{few}"

    def markdown(self) -> str:
        """An aligned table in GitHub's dialect, and below it what its signs mean."""
        first = self._texts
        cells = [
            [
                f"**{_escaped(text)}**" if column >= first and self.best(row, column - first) else _escaped(text)
                for column, text in enumerate(texts)
            ]
            for row, texts in enumerate(self.rows)
        ]
        heads = [_escaped(text) for text in self.headings]
        widths = [max(3, *(len(row[column]) for row in (heads, *cells))) for column in range(len(heads))]

        def line(row: Sequence[str]) -> str:
            padded = (text.ljust(w) if at < first else text.rjust(w) for at, (text, w) in enumerate(zip(row, widths, strict=True)))
            return "| " + " | ".join(padded) + " |"

        rule = "|" + "|".join(("-" * (w + 2) if at < first else "-" * (w + 1) + ":") for at, w in enumerate(widths)) + "|"
        return "\n".join([line(heads), rule, *map(line, cells), "", _escaped(self.legend), ""])

    def csv(self) -> str:
        """One line per method and metric: mean, interval, number of images, rank; empty where not defined."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("method", "layer", "control", "metric", "better", "mean", "low", "high", "n", "rank"))
        for entry, measure, cell, _ in self._each():
            numbers = ("" if math.isnan(value) else repr(float(value)) for value in (cell.mean, cell.low, cell.high))
            rank = "" if cell.rank is None else f"{cell.rank:g}"
            identity = (entry.method, entry.layer, str(entry.control).lower(), measure.title, measure.better.value)
            writer.writerow((*identity, *numbers, cell.n, rank))
        return stream.getvalue()

    def parquet(self) -> bytes:
        """Long format: one row per method, metric and image, then the summaries as rows without an image.

        Columns: method, layer, control, image, metric, better, statistic, value. ``statistic`` is "value" for an image, else
        "mean", "low", "high", "n" or "rank". NaN is written as null. The same table gives the same bytes (with one pyarrow).
        """
        import pyarrow.parquet as pq
        from pyarrow import lib as pa

        types = {"method": pa.string(), "layer": pa.string(), "control": pa.bool_(), "image": pa.string(), "metric": pa.string()}
        types |= {"better": pa.string(), "statistic": pa.string(), "value": pa.float64()}
        rows = [*self._image_rows(), *self._summary_rows()]
        columns = list(zip(*rows, strict=True))
        arrays = [pa.array(list(column), kind) for column, kind in zip(columns, types.values(), strict=True)]
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(types.items())), sink, compression="zstd")
        return bytes(sink.getvalue())

    def page_table(self, caption: str = "", links: Sequence[Link] = ()) -> Table:
        """The same for a page: best ranks strong, controls quiet."""
        first = self._texts
        strong = frozenset((r, m + first) for r in range(len(self.entries)) for m in range(len(self.measures)) if self.best(r, m))
        quiet = frozenset(row for row, entry in enumerate(self.entries) if entry.control)
        arrows = tuple(arrow for arrow in ARROWS.values() if arrow)
        headings = tuple(f"{text[:-2]}\N{NO-BREAK SPACE}{text[-1]}" if text.endswith(arrows) else text for text in self.headings)
        return Table(headings, self.rows, caption or self.legend, tuple(links), first, strong, quiet)

    @property
    def _ranked(self) -> bool:
        return any(cell.rank is not None for row in self.summaries for cell in row)

    @property
    def _layered(self) -> bool:
        return any(entry.layer for entry in self.entries)

    @property
    def _texts(self) -> int:
        """How many columns are names."""
        return 2 if self._layered else 1

    def _words(self, cell: Summary, write: Callable[[float], str]) -> str:
        if math.isnan(cell.mean):
            return "not defined"
        interval = "" if math.isnan(cell.low) or math.isnan(cell.high) else f" [{write(cell.low)}, {write(cell.high)}]"
        return write(cell.mean) + interval + (f" (n={cell.n})" if cell.n != len(self.images) else "")

    def _each(self) -> Iterator[tuple[Entry, Measure, Summary, Float[np.ndarray, " images"]]]:
        for entry, cells, rows in zip(self.entries, self.summaries, self.values, strict=True):
            yield from ((entry, measure, cell, row) for measure, cell, row in zip(self.measures, cells, rows, strict=True))

    def _image_rows(self) -> Iterator[tuple[object, ...]]:
        for entry, measure, _, values in self._each():
            for image, value in zip(self.images, values.tolist(), strict=True):
                yield *_identity(entry, image, measure), "value", _null(value)

    def _summary_rows(self) -> Iterator[tuple[object, ...]]:
        for entry, measure, cell, _ in self._each():
            rank = math.nan if cell.rank is None else float(cell.rank)
            numbers = {"mean": cell.mean, "low": cell.low, "high": cell.high, "n": float(cell.n), "rank": rank}
            for statistic, value in numbers.items():
                yield *_identity(entry, None, measure), statistic, _null(value)


def _identity(entry: Entry, image: str | None, measure: Measure) -> tuple[object, ...]:
    return entry.method, entry.layer, entry.control, image, measure.title, measure.better.value


def _null(value: float) -> float | None:
    return None if math.isnan(value) else value


def _format(cells: Sequence[Summary]) -> Callable[[float], str]:
    """How a column writes its numbers: all with as many decimals as its largest mean has use for."""
    largest = max((abs(cell.mean) for cell in cells if math.isfinite(cell.mean)), default=0.0)
    power = math.floor(math.log10(largest)) if largest > 0 else 0
    decimals = max(0, 2 - power) if power > 0 else min(5, 1 - power) if power < 0 else 2

    def write(value: float) -> str:
        if math.isnan(value):
            return ""
        if -4 <= power <= 5:
            text = f"{value:.{decimals}f}"
        else:
            mantissa, exponent = f"{value:.2e}".split("e")
            text = f"{mantissa}e{int(exponent)}"
        return text.replace("-", _MINUS) if float(text) != 0 else text.lstrip("-")

    return write


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is, also inside a table: `|input|` is a name of a control."""
    return "".join(f"\\{character}" if character in "\\|*_`<>#" else character for character in " ".join(text.split()))
