"""A record's arrays as 8-bit pictures, for writers that show pictures."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, UInt8

from interp.images import uint8
from interp.kernels import Kernels, Scale
from interp.watching.looking import GRADCAM, IMAGES, KERNELS, Look

# Filters of a layer; pixels to a side of a tile, at least; and between tiles.
_MOST, _LEAST_SIDE, _GAP = 64, 24, 2


def pictures(look: Look) -> dict[str, UInt8[np.ndarray, "rows cols 3"]]:
    """By name: the recorded kernels (zero is grey, full colour the layer's largest weight), the units' images, and the positive part
    of Grad-CAM beside each other, each map by its own largest value."""
    found = {}
    for name, array in look.arrays.items():
        if name.startswith(f"{KERNELS}/"):
            found[name] = _mosaic(_filters(array))
        elif name.startswith(f"{GRADCAM}/"):
            positive = np.maximum(array, 0)
            most = positive.max(axis=(1, 2), keepdims=True)
            found[name] = _mosaic(np.divide(positive, most, out=np.zeros_like(positive), where=most > 0)[..., None])
        elif name == IMAGES:
            found["units"] = _mosaic(array.astype(np.float32) / 255)
    return found


def _filters(weights: Float[np.ndarray, "out in rows cols"]) -> Float[np.ndarray, "tiles rows cols c"]:
    """In colour where a filter sees three inputs; else its first input."""
    kernels = Kernels("", "", np.nan_to_num(weights[:_MOST]))
    if weights.shape[1] == 3:
        return kernels.rgb(Scale.SHARED)
    return 0.5 + 0.5 * kernels.weights[:, 0, :, :, None] / (kernels.limit or 1.0)


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
