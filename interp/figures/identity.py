"""One hash for all that a figure shows: two figures are the same to a reader of manifests where their hashes are."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass

import numpy as np

from interp.errors import InterpError
from interp.figures.spec import Grid
from interp.figures.values import Array
from interp.runs.entries import array_hash


def spec_hash(grid: Grid) -> str:
    """SHA-256 of all fields of ``grid`` and its panels, in hex: the same in every process and on every machine.

    Grids that are equal (``==``) have equal hashes; any other field, class, element, shape or dtype gives another one.
    """
    text = json.dumps(_plain(grid), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _plain(value: object) -> object:
    """JSON that is equal exactly where the values are: a tuple is a list, a panel an object, an array an object of its hash."""
    if isinstance(value, np.ndarray):
        return {"array": array_hash(_settled(value))}
    if is_dataclass(value) and not isinstance(value, type):
        return {"class": type(value).__name__, "fields": {field.name: _plain(getattr(value, field.name)) for field in fields(value)}}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, list):
        return {"list": [_plain(item) for item in value]}  # which no tuple is equal to
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int) or (isinstance(value, float) and value.is_integer()):
        return int(value)  # 1, 1.0 and True are equal
    if value is None or isinstance(value, float):
        return value
    raise InterpError(f"a figure holds a {type(value).__name__}, which has no hash; panels hold texts, numbers, arrays and tuples of these")


def _settled(array: Array) -> Array:
    """Of values that are equal but not in their bits: one zero, one NaN."""
    if array.dtype.kind != "f":
        return array
    # -0.0 + 0.0 is 0.0
    settled: Array = np.where(np.isnan(array), array.dtype.type(np.nan), array + array.dtype.type(0))
    return settled
