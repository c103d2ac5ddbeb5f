"""Which part of an image a place of a layer sees."""

from __future__ import annotations

import math

from interp.core.model import Model
from interp.core.receptive import Step
from interp.errors import InterpError, UnknownName


def crop_box(model: Model, layer: str, row: int, col: int) -> tuple[int, int, int, int]:
    """The receptive field of a place in a layer's map as (top, left, bottom, right) in pixels of the network's input.

    Rows top to bottom - 1 and columns left to right - 1 hold all pixels that the value can depend on, cut off at the border of the
    image. The whole image where the field is not known or is the whole image, or where the place sees nothing but padding.

    Raises UnknownName where the layer has no such place or does not exist.
    """
    found = model.layer(layer)
    _, rows, cols = found.map_shape
    if not (0 <= row < rows and 0 <= col < cols):
        raise UnknownName(f"no place {row},{col} in '{layer}': its maps have {rows} rows and {cols} columns")
    size = model.preprocess.size
    field = found.field
    if field is None or field.whole:
        return (0, 0, *size)
    top, bottom = _span(row, field.start[0], field.stride[0], field.size[0], size[0])
    left, right = _span(col, field.start[1], field.stride[1], field.size[1], size[1])
    if top >= bottom or left >= right:
        return (0, 0, *size)
    return (top, left, bottom, right)


def _span(place: int, start: float, stride: Step, size: int, side: int) -> tuple[int, int]:
    """First pixel and the one behind the last."""
    centre = start + place * stride
    reach = (size - 1) / 2
    if not math.isfinite(centre):
        raise InterpError(f"a receptive field around {centre} has no pixels")
    return max(0, math.floor(centre - reach)), min(side, math.ceil(centre + reach) + 1)
