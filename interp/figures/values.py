"""What makes panels values: equal when all they hold is equal, arrays included, and closed to change."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class ByValue:
    """Equality over all fields of a dataclass. Unhashable, as arrays are."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        return all(_same(getattr(self, name), getattr(other, name)) for name in names)


def _same(one: object, other: object) -> bool:
    """Equality that arrays take part in: same shape, same type, same values, NaN equal to NaN."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return False
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def locked(values: Array) -> Array:
    """A read-only copy."""
    copy = values.copy()
    copy.flags.writeable = False
    return copy


def freeze(owner: object, name: str, values: Array) -> None:
    """Sets a field of a frozen dataclass to a read-only copy."""
    object.__setattr__(owner, name, locked(values))
