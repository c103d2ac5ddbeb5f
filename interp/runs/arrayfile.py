"""Arrays on disk, as safetensors."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file

from interp.errors import InterpError
from interp.runs.entries import array_hash


def storable(name: str, array: object) -> NDArray[Any]:
    """A copy of `array` as it is stored: in C order, little-endian. InterpError if it is not a storable array."""
    if not isinstance(array, np.ndarray):
        kind = type(array).__name__
        raise InterpError(f"`arrays`: {name!r} is a {kind}, not a numpy array; of a tensor, pass `.cpu().numpy()`")
    array_hash(array[:0] if array.ndim else array)  # refuses a dtype before anything is copied
    return np.array(array, dtype=array.dtype.newbyteorder("<"), order="C")


def save_arrays(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write storable `arrays` into the new file `path`, without another copy in memory; an OSError where the disk refuses."""
    with path.open("xb") as file:
        mode = os.fstat(file.fileno()).st_mode
    try:
        save_file(dict(sorted(arrays.items())), path)
    except SafetensorError as error:
        # The second is how safetensors 0.5 says it.
        number = re.search(r"\(os error (\d+)\)|\bOs \{ code: (\d+)", str(error))
        if number is None:
            raise OSError(str(error)) from error
        code = int(number[1] or number[2])
        raise OSError(code, os.strerror(code)) from error
    path.chmod(mode)  # safetensors makes files that only their owner can read
