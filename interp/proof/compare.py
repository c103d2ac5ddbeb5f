"""Two makings of one run side by side: what is identical, what is within its tolerance, what is not.

Where nothing of the machine differs all must be equal, bit for bit. Elsewhere arrays and numbers are judged by the tolerances that
the runs declare (see `interp.runs.tolerance`; the stricter of both), figures by their specs and pixels, tables and texts by their
numbers, and what cannot be judged is said to be so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from safetensors import SafetensorError, safe_open

from interp.errors import BadFile
from interp.proof.arrays import Array, array_gap
from interp.proof.courses import deviation, is_course, mean_gap
from interp.proof.files import file_items
from interp.proof.gap import SAME, Gap
from interp.proof.given import given_items
from interp.proof.numbers import Leaf, named, number_gap
from interp.proof.pair import Pair, absent
from interp.proof.pictures import figure_items
from interp.proof.texts import text_items
from interp.proof.verdict import Compared, Item
from interp.runs.entries import ArrayEntry
from interp.runs.manifest import ARRAYS, METRICS
from interp.runs.tolerance import Tolerance

SCORES = "scores of all images"
"""The item of what optimized images reach together."""


def compare(recorded: Path, repeated: Path, options: tuple[str, ...] = (), completed: Mapping[str, object] | None = None) -> Compared:
    """Every array, number, figure and file of the run in ``repeated`` against that in ``recorded``.

    ``options`` says in words which options were meant to differ: they are a reason for other bits, as another machine is.
    ``completed`` are the recorded options with the defaults of those that the program has got since, where they are known: one that was
    added since and stands at its default is no difference.
    Raises BadFile where one of them is no sound run, or holds arrays or metrics that cannot be read.
    """
    pair = Pair.of(recorded, repeated, options, completed)
    found = (given_items(pair), text_items(pair), array_items(pair), metric_items(pair), figure_items(pair), file_items(pair))
    return Compared(tuple(chain.from_iterable(found)), pair.why)


def array_items(pair: Pair) -> Iterator[Item]:
    """Of each array, and `SCORES` of all optimized images; only those are read whose hashes differ, one at a time."""
    first, second = pair.first.arrays, pair.second.arrays
    deviations: list[float | None] = []
    similar: list[float] = []
    for name in sorted({*first, *second}):
        one, other = first.get(name), second.get(name)
        if one is None or other is None:
            yield absent(name, None if one is None else _kind(one))
            continue
        tolerance = pair.tolerance(name)
        ascended = tolerance is Tolerance.OPTIMIZED and is_course(name, one.dtype, one.shape)
        if one == other:
            deviations += [0.0] if ascended else []
            yield pair.item(name, SAME)
            continue
        both = _array(pair.recorded, name), _array(pair.repeated, name)
        gap = array_gap(name, *both, tolerance)
        similar += [] if gap.similar is None else [gap.similar]
        yield pair.judged(name, gap)
        if ascended and both[0].shape == both[1].shape:
            deviations.append(deviation(*both))
    known = [share for share in deviations if share is not None]
    if any(known):
        yield pair.item(SCORES, mean_gap(known, similar))


def metric_items(pair: Pair) -> Iterator[Item]:
    """Of each value in the metrics, as ``metrics/KEY/...``."""
    first, second = _metrics(pair.recorded), _metrics(pair.repeated)
    for name in sorted({*first, *second}):
        if name not in first or name not in second:
            item = absent(name, repr(first[name][0]) if name in first else None)
            told = pair.tolerance(name) is Tolerance.TOLD
            yield pair.judged(name, Gap(True, None, f"{item.detail}; not judged")) if told else item
        else:
            yield pair.judged(name, number_gap(first[name], second[name], pair.tolerance(name)))


def _array(folder: Path, name: str) -> Array:
    path = folder / ARRAYS
    try:
        with safe_open(path, framework="numpy") as file:
            found: Array = file.get_tensor(name)
            return found
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise BadFile(f"the array `{name}` of `{path}` cannot be read: {error}") from None


def _metrics(folder: Path) -> dict[str, Leaf]:
    """The values by their names; none where the run has no metrics."""
    path = folder / METRICS
    try:
        return named(json.loads(path.read_bytes()), "metrics") if path.is_file() else {}
    except (OSError, ValueError, RecursionError) as error:
        raise BadFile(f"`{path}` cannot be read: {error}") from None


def _kind(entry: ArrayEntry) -> str:
    return f"{entry.dtype} {list(entry.shape)}"
