"""Arrays side by side: how far a repeated one is from the recorded one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from interp.proof.courses import course_gap, is_course
from interp.proof.finite import nans, not_finite
from interp.proof.gap import SAME, Gap, measured, number
from interp.runs.tolerance import Tolerance, limit_of

Array = NDArray[Any]

# Levels that an 8-bit value may be away where it was rounded from a number that is `Tolerance.COMPUTED`.
_LEVEL = 1
_WINDOW = 7


def array_gap(name: str, first: Array, second: Array, tolerance: Tolerance) -> Gap:
    """Of the array ``name``: ``first`` is the recorded one, ``second`` the repeated one."""
    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return Gap(False, None, f"{_kind(second)}, {_kind(first)} was recorded")
    if _equal(first, second):
        return SAME
    if tolerance is Tolerance.TOLD:
        return Gap(True, None, f"{_changed(first, second)}; not judged")
    if tolerance is Tolerance.EXACT or (first.dtype.kind in "biu" and first.dtype != np.uint8):
        return Gap(False, None, f"{_changed(first, second)}; it is to be equal everywhere")
    if tolerance is Tolerance.OPTIMIZED:
        return _optimized(name, first, second)
    return _near(first, second, tolerance)


def _near(first: Array, second: Array, tolerance: Tolerance) -> Gap:
    """Largest difference, in the recorded array's largest magnitude; 8-bit arrays may be a level away at least."""
    problem = not_finite(first, second)
    if problem:
        return Gap(False, None, problem)
    wide, other, finite = _wide(first), _wide(second), np.isfinite(first)
    away = np.where(finite, np.abs(np.where(finite, wide, 0) - np.where(finite, other, 0)), 0.0)
    largest = float(np.abs(wide[finite]).max(initial=0.0))
    allowed = limit_of(tolerance, first.dtype) * largest
    if first.dtype == np.uint8:
        allowed = max(float(_LEVEL), float(int(allowed))) if tolerance is Tolerance.DERIVED else float(_LEVEL)
        return measured(float(away.max()), allowed, f"{_changed(first, second)}; {number(allowed)} allowed")
    share = f", {number(away.max() / largest)} of the largest magnitude" if largest else ""
    return measured(float(away.max()), allowed, f"{_changed(first, second)}{share}; {number(limit_of(tolerance, first.dtype))} allowed")


def _optimized(name: str, first: Array, second: Array) -> Gap:
    """Of gradient ascent: images are told, not judged; courses of scores are; of other numbers each one."""
    if first.dtype == np.uint8:
        similar = similarity(first, second)
        words = _changed(first, second) if similar is None else f"structural similarity {similar:.2f}"
        return Gap(True, None, f"{words}; judged by its score", similar)
    if is_course(name, first.dtype.name, first.shape):
        return course_gap(first, second)
    return _near(first, second, Tolerance.OPTIMIZED)


def similarity(first: Array, second: Array) -> float | None:
    """Structural similarity (Wang et al. 2004) of 8-bit pictures, the mean over what is stacked before rows and columns.

    None of pictures that are smaller than its window, or that are none.
    """
    from skimage.metrics import structural_similarity

    compared: Any = structural_similarity
    colours = first.ndim >= 3 and first.shape[-1] in (3, 4)
    rows_cols = first.shape[-3:-1] if colours else first.shape[-2:]
    if len(rows_cols) < 2 or min(rows_cols) < _WINDOW:
        return None
    shape = (-1, *first.shape[-3:]) if colours else (-1, *first.shape[-2:])
    pairs = zip(first.reshape(shape), second.reshape(shape), strict=True)
    found = [compared(a, b, channel_axis=-1 if colours else None, data_range=255) for a, b in pairs]
    return float(np.mean(found))


def _changed(first: Array, second: Array) -> str:
    """How many elements differ, by how much at most and where."""
    differ = (first != second) & ~(nans(first) & nans(second))
    if not differ.any():
        return f"the same {first.size} value{'s' if first.size != 1 else ''} in other bits, such as -0 for 0"
    with np.errstate(invalid="ignore"):  # of infinities
        away = np.where(differ, np.abs(_wide(first) - _wide(second)), -1.0)
    place = tuple(int(k) for k in np.unravel_index(int(np.argmax(np.nan_to_num(away, nan=-1.0, posinf=-1.0))), first.shape))
    at = f" at {list(place)}" if place else ""
    by = "" if first.dtype.kind == "b" else f", by at most {number(float(away[place]))}"
    return f"{int(differ.sum())} of {first.size} values differ{by}{at}"


def _equal(first: Array, second: Array) -> bool:
    return np.ascontiguousarray(first).tobytes() == np.ascontiguousarray(second).tobytes()


def _wide(array: Array) -> Array:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _kind(array: Array) -> str:
    return f"{array.dtype.name} {list(array.shape)}"
