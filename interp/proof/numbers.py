"""The numbers of ``metrics.json`` side by side, each under its name ``metrics/KEY/...``.

Floats are judged by their tolerance, relative to themselves; the bounds of an interval relative to the largest of mean and bounds,
since a bound near zero says nothing of how well it is known. All else is a statement and must be equal under every tolerance
but `Tolerance.TOLD`: counts, ranks, names, flags, what is None. A flag that flips because a number crossed its threshold is another
conclusion, and is called one; those of optimized images hang on their pixels, and are told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from interp.proof.gap import SAME, Gap, measured
from interp.runs.tolerance import Tolerance, limit_of

# What belongs together in an interval.
_INTERVAL = ("mean", "low", "high")
# Numbers are written by a float32 network: what is below this of 1 is its rounding.
FLOOR = 1e-6

Leaf = tuple[object, float]
"""A value and the magnitude that a difference is measured by."""


def named(value: object, name: str) -> dict[str, Leaf]:
    """All `leaves` by their names; of two of one name, where a key holds a ``/``, the second gets a number."""
    found: dict[str, Leaf] = {}
    for told, leaf in leaves(value, name):
        own, number = told, 1
        while own in found:
            number += 1
            own = f"{told}#{number}"
        found[own] = leaf
    return found


def leaves(value: object, name: str) -> Iterator[tuple[str, Leaf]]:
    """Every value below ``value`` with its name, ``/`` between keys and places of lists."""
    if isinstance(value, Mapping):
        together = max((abs(value[key]) for key in _INTERVAL if isinstance(value.get(key), float)), default=0.0)
        for key, inner in value.items():
            if key in _INTERVAL and isinstance(inner, float):
                yield f"{name}/{key}", (inner, max(together, abs(inner)))
            else:
                yield from leaves(inner, f"{name}/{key}")
        if not value:
            yield name, ({}, 0.0)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from leaves(inner, f"{name}/{place}")
        yield f"{name}/length", (len(value), 0.0)
    else:
        yield name, (value, abs(value) if isinstance(value, float) else 0.0)


def number_gap(first: Leaf, second: Leaf, tolerance: Tolerance) -> Gap:
    """Of two values of `leaves`: ``first`` is the recorded one."""
    (one, scale), (other, _) = first, second
    if _same(one, other):
        return SAME
    words = f"{_said(other)}, {_said(one)} was recorded"
    if tolerance is Tolerance.TOLD:
        return Gap(True, None, f"{words}; not judged")
    if not (isinstance(one, float) and isinstance(other, float)) or tolerance is Tolerance.EXACT:
        return Gap(False, None, words)
    if not (math.isfinite(one) and math.isfinite(other)):
        return Gap(False, None, words)
    return measured(abs(other - one), limit_of(tolerance) * max(scale, FLOOR), words)


def _same(one: object, other: object) -> bool:
    """The same value of the same type; 0.0 and -0.0 are two, as in the file."""
    return type(one) is type(other) and repr(one) == repr(other)


def _said(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
