"""A picture from an array of pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from interp.decoding import MOST_PIXELS
from interp.errors import BadFile
from interp.images import Photo


def photo_of(name: str, values: np.ndarray[Any, np.dtype[Any]], sha256: str) -> Photo:
    """Of (rows, cols) or (rows, cols, channels), 8-bit or floats in [0, 1]; one channel is grey, three are RGB, others bands.

    Raises BadFile where it is none of these.
    """
    planes = values[..., None] if values.ndim == 2 else values
    if planes.ndim != 3 or not planes.size:
        raise BadFile(f"'{name}' has the shape {values.shape}: give (rows, cols) or (rows, cols, channels)")
    if planes.shape[0] * planes.shape[1] > MOST_PIXELS:
        raise BadFile(f"'{name}' has {planes.shape[1]} x {planes.shape[0]} px, more than {MOST_PIXELS // 1_000_000} million")
    if planes.dtype == np.uint8 and planes.shape[2] in (1, 3):
        return Photo(name, np.ascontiguousarray(np.broadcast_to(planes, (*planes.shape[:2], 3))), sha256, values.nbytes, given=name)
    if planes.dtype == np.uint8:
        planes = planes.astype(np.float32) / 255
    if planes.dtype.kind != "f" or not np.isfinite(planes).all() or planes.min() < 0 or planes.max() > 1:
        raise BadFile(f"'{name}' holds {values.dtype} from {values.min()} to {values.max()}: give 8-bit values, or floats in [0, 1]")
    bands = np.ascontiguousarray(planes, dtype=np.float32)
    shown = (1, 2, 3) if bands.shape[2] >= 3 else (1,)
    blank = np.zeros((*bands.shape[:2], 3), dtype=np.uint8)
    photo = Photo(name, blank, sha256, values.nbytes, given=name, bands=bands, shown=shown, picture=False)
    return replace(photo, pixels=photo.visible)
