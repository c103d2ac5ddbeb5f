"""A record's arrays as 8-bit pictures, for writers that show pictures."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

from interp.figures.palette import colors
from interp.figures.scale import Kind, Scale
from interp.images import uint8
from interp.watching.looking import GRADCAM, IMAGES, KERNELS, Look

# Filters of a layer; pixels to a side of a tile, at least; and between tiles.
_MOST, _LEAST_SIDE, _GAP = 64, 24, 2


class Pictures:
    """Makes pictures of record after record, in colours that can be compared over the steps: the scale of a layer only grows.

    A scale reaches from zero, in both directions, to the largest magnitude that the layer has had; what was drawn before it grew
    stays as it was.
    """

    def __init__(self) -> None:
        self._reach: dict[str, float] = {}

    def of(self, look: Look) -> dict[str, UInt8[np.ndarray, "rows cols 3"]]:
        """By name, beside each other: the recorded kernels (zero is grey), Grad-CAM (signed: blue is below zero, orange above), and the
        units' images."""
        found = {}
        for name, array in look.arrays.items():
            if name.startswith(f"{KERNELS}/"):
                found[name] = _mosaic(_filters(array, self._grown(name, array)))
            elif name.startswith(f"{GRADCAM}/"):
                reach = self._grown(name, array)
                found[name] = _mosaic(colors(array, Scale(-reach, reach, Kind.DIVERGING)).astype(np.float32))
            elif name == IMAGES:
                found["units"] = _mosaic(array.astype(np.float32) / 255)
        return found

    def _grown(self, name: str, array: NDArray[np.generic]) -> float:
        finite = np.abs(array[np.isfinite(array)])
        most = float(finite.max()) if finite.size else 0.0
        self._reach[name] = max(self._reach.get(name, 0.0), most)
        return self._reach[name] or 1.0


def _filters(weights: Float[np.ndarray, "out in rows cols"], reach: float) -> Float[np.ndarray, "tiles rows cols c"]:
    """In colour where a filter sees three inputs; else its first input."""
    seen = np.nan_to_num(weights[:_MOST] if weights.shape[1] == 3 else weights[:_MOST, :1])
    shown: np.ndarray = 0.5 + 0.5 * np.clip(seen / reach, -1, 1)
    return np.moveaxis(shown, 1, 3).astype(np.float32)


def _mosaic(tiles: Float[np.ndarray, "n rows cols c"]) -> UInt8[np.ndarray, "h w 3"]:
    """Beside each other on a square, white between them; small ones enlarged by whole pixels."""
    factor = max(1, -(-_LEAST_SIDE // max(tiles.shape[1:3])))
    large = np.repeat(tiles.repeat(factor, axis=1).repeat(factor, axis=2), 3 // tiles.shape[3], axis=3)
    count, rows, cols = large.shape[:3]
    across = math.ceil(math.sqrt(count))
    down = -(-count // across)
    sheet = np.ones((down * (rows + _GAP) - _GAP, across * (cols + _GAP) - _GAP, 3), np.float32)
    for place, tile in enumerate(large):
        top, left = (place // across) * (rows + _GAP), (place % across) * (cols + _GAP)
        sheet[top : top + rows, left : left + cols] = tile
    return uint8(sheet)


def numbers(look: Look) -> dict[str, float]:
    """The summaries of all convolutions under names with slashes: ``statistics/conv1/norm``."""
    return {f"statistics/{layer}/{name}": value for layer, values in look.summary.items() for name, value in values.items()}
