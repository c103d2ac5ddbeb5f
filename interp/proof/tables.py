"""Tables side by side, by their numbers: an interval's bounds relative to its largest, as in `interp.proof.numbers`."""

from __future__ import annotations

import csv
import io
import re

from interp.proof.gap import SAME, Gap
from interp.proof.numbers import leaves, number_gap
from interp.runs.tolerance import Tolerance

_WHOLE = re.compile(r"[-+]?\d+")


def table_gap(first: str, second: str, tolerance: Tolerance) -> Gap:
    """Of two texts of CSV, ``first`` the recorded one: cells that are no decimal numbers must be equal."""
    try:
        one, other = _rows(first), _rows(second)
    except csv.Error as error:
        return Gap(False, None, f"it is no table: {error}")
    if [len(row) for row in one] != [len(row) for row in other]:
        return Gap(False, None, f"{len(other)} rows of other cells, {len(one)} rows were recorded")
    heads = one[0] if one else []
    gaps = [(row, gap) for row, pair in enumerate(zip(one, other, strict=True)) for gap in _row_gaps(heads, *pair, tolerance)]
    bad = [(row, gap) for row, gap in gaps if not gap.holds]
    if not gaps:
        return Gap(True, None, "other bytes of the same cells")
    row, worst = max(bad or gaps, key=lambda found: found[1].share or 0.0)
    shares = [gap.share for _, gap in gaps if gap.share is not None]
    return Gap(not bad, max(shares, default=None), f"{len(gaps)} cells differ, row {row} at most: {worst.detail}")


def _row_gaps(heads: list[str], one: list[str], other: list[str], tolerance: Tolerance) -> list[Gap]:
    names = heads if len(heads) == len(one) == len(set(heads)) else [str(column) for column in range(len(one))]
    first, second = (dict(leaves({name: _value(cell) for name, cell in zip(names, row, strict=True)}, "")) for row in (one, other))
    return [gap for name in first if (gap := number_gap(first[name], second[name], tolerance)) is not SAME]


def _rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def _value(cell: str) -> object:
    try:
        return cell if _WHOLE.fullmatch(cell) else float(cell)
    except ValueError:
        return cell
