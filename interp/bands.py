"""Pictures of any number of bands: arrays of NumPy and TIFF files, as floats in [0, 1]. Nothing in a file is unpickled."""

from __future__ import annotations

import io
import logging
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from interp.errors import BadFile

ARRAYS = (".npy", ".npz")
TIFF = (".tif", ".tiff")
# Above this an array is refused before it is read: 200 million values are 800 MB.
MOST_VALUES = 200_000_000
MOST_BANDS = 1024
_WHOLE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0, np.dtype(bool): 1.0}


def of_array_file(path: Path, data: bytes) -> Float32[np.ndarray, "h w b"]:
    """The one array in the bytes of a ``.npy`` or ``.npz`` file, as (rows, cols, bands) in [0, 1].

    It has two axes, or three, of which the bands are the first or the last: the shorter of these two. uint8 and uint16 are divided
    by their largest value, floats must lie in [0, 1]. Raises BadFile where it is anything else.
    """
    try:
        array = _npz(path, data) if path.suffix.lower() == ".npz" else np.load(io.BytesIO(data), allow_pickle=False)
    except BadFile:
        raise
    except Exception as error:  # whatever NumPy and zipfile find in a file that is none of their own
        if "pickle" in str(error):
            raise BadFile(f"'{path}' holds Python objects, not numbers; they were not loaded and nothing was run") from None
        raise BadFile(f"'{path}' is no complete array file of NumPy: {_line(error)}") from None
    if not isinstance(array, np.ndarray):
        raise BadFile(f"'{path}' is no array file of NumPy")
    return _domain(path, _bands_last(path, array))


def _npz(path: Path, data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) != 1:
            names = ", ".join(f"'{m.filename.removesuffix('.npy')}'" for m in members[:4]) or "none"
            raise BadFile(f"'{path}' holds {len(members)} arrays ({names}): keep the one that is the picture")
        if members[0].file_size > MOST_VALUES * 8:
            raise BadFile(f"'{path}' unpacks to {members[0].file_size} bytes, more than {MOST_VALUES * 8}: make it smaller first")
        return np.load(io.BytesIO(archive.read(members[0])), allow_pickle=False)


def _bands_last(path: Path, array: np.ndarray) -> np.ndarray:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or 0 in array.shape:
        raise BadFile(f"the array in '{path}' is of shape {array.shape}: give (rows, cols), (rows, cols, bands) or (bands, rows, cols)")
    first, last = array.shape[0], array.shape[2]
    if first == last and first != 1:
        told = "which axis the bands are cannot be told: crop the picture, or pad it"
        raise BadFile(f"the array in '{path}' is of shape {array.shape}, and {told}")
    return array if last < first or last == 1 else np.moveaxis(array, 0, 2)


def of_tiff(path: Path, data: bytes) -> Float32[np.ndarray, "h w b"] | None:
    """The bands of a TIFF file of 2 or of 4 and more of them, as (rows, cols, bands) in [0, 1]; None of any other picture.

    The axis of the bands is the one that the file says: samples of a pixel, or pages. Numbers as of `of_array_file`.
    """
    import tifffile

    try:
        with _unlogged(), tifffile.TiffFile(io.BytesIO(data)) as file:
            # Counted first, which ends where a damaged file leads back to a page that was before.
            if len(file.pages) > MOST_BANDS:
                raise BadFile(f"'{path}' holds {len(file.pages)} pages, more than {MOST_BANDS}: give fewer")
            series = file.series[0]
            axes, shape = series.axes, series.shape
            place = next((k for k, axis in enumerate(axes) if axis not in "YX"), None)
            if len(axes) != 3 or place is None or sorted(axes.replace(axes[place], "", 1)) != ["X", "Y"] or shape[place] in (1, 3):
                return None
            if int(np.prod(shape, dtype=np.float64)) > MOST_VALUES:
                raise BadFile(f"'{path}' holds {'x'.join(map(str, shape))} values, more than {MOST_VALUES}: make it smaller first")
            array = series.asarray()
    except BadFile:
        raise
    except Exception as error:  # whatever tifffile finds in a file that is none of its own
        raise BadFile(f"the bands of '{path}' cannot be decoded: {_line(error)}") from None
    return _domain(path, np.moveaxis(array, place, 2))


@contextmanager
def _unlogged() -> Iterator[None]:
    """What tifffile finds strange it logs, on stderr where nobody listens; what it cannot read it raises too."""
    logger = logging.getLogger("tifffile")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _domain(path: Path, array: np.ndarray) -> Float32[np.ndarray, "h w b"]:
    """(rows, cols, bands) in [0, 1]; raises BadFile for numbers that say nothing of their range."""
    if array.size > MOST_VALUES or array.shape[2] > MOST_BANDS:
        raise BadFile(f"'{path}' holds {'x'.join(map(str, array.shape))} values (rows x cols x bands), more than can be shown")
    if not array.size:
        raise BadFile(f"'{path}' holds no values: it is of {'x'.join(map(str, array.shape))} (rows x cols x bands)")
    native = array.dtype.newbyteorder("=")
    if native in _WHOLE:
        return (array.astype(np.float32) / np.float32(_WHOLE[native])).astype(np.float32)
    if array.dtype.kind != "f":
        raise BadFile(f"'{path}' holds {array.dtype.name} numbers, whose range is not known: give uint8, uint16, or floats in [0, 1]")
    values = array.astype(np.float32)
    low, high = (float(values.min()), float(values.max()))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BadFile(f"'{path}' holds NaN or infinite values: give floats in [0, 1]")
    if low < 0 or high > 1:
        raise BadFile(f"'{path}' holds floats from {low:.4g} to {high:.4g}: give floats in [0, 1], divided by what the sensor reaches")
    return values


def _line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
