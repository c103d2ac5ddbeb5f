"""What is no number must be none in both arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def not_finite(first: NDArray[Any], second: NDArray[Any]) -> str:
    """What is wrong where a value is not a number or infinite in one array only; "" where nothing is."""
    if first.dtype.kind not in "fc":
        return ""
    wrong = (nans(first) != nans(second)) | ((np.isinf(first) | np.isinf(second)) & (first != second))
    if not wrong.any():
        return ""
    place = tuple(int(k) for k in np.argwhere(wrong)[0])
    return f"{second[place]} at {list(place)}, {first[place]} was recorded"


def nans(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Where ``array`` is not a number."""
    return np.isnan(array) if array.dtype.kind in "fc" else np.zeros(array.shape, dtype=bool)
