"""Arrays of a record as pixels, at a given scale: whole squares, so that a weight is a weight."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image

from interp.core.depth import evenly
from interp.figures import Scale, TilePanel
from interp.figures.palette import MISSING, as_bytes, as_float, colors, nearest, overlay
from interp.figures.tiles import mosaic
from interp.films.frames import GAP, MOST_FILTERS, sheet_columns

PLANES, PLACELESS = 16, 32
"""Outputs, and inputs, of a deep layer that are drawn at most; and of one whose kernels have a single place."""
_SHEET = 320
"""Pixels of a sheet of filters, about: three stand side by side."""
_MAPS, _MAP = 4, 72
_PHOTO, _UNIT = 160, 96

Pixels = Float[np.ndarray, "high wide 3"]


def coloured(weights: Float[np.ndarray, "out 3 rows cols"], scale: Scale) -> Pixels:
    """Filters that see red, green and blue, as colours around grey, evenly over the layer."""
    chosen = np.moveaxis(weights[evenly(range(len(weights)), MOST_FILTERS)], 1, 3).astype(np.float64)
    tiles = np.where(np.isfinite(chosen), np.clip(0.5 + 0.5 * chosen / scale.high, 0, 1), MISSING)
    columns = sheet_columns(len(tiles))
    return mosaic(TilePanel(tiles, None, columns), _zoom(columns, weights, GAP), GAP)


def signed(weights: Float[np.ndarray, "out 1 rows cols"], scale: Scale) -> Pixels:
    """Filters of one input, evenly over the layer."""
    tiles = _finite(weights[evenly(range(len(weights)), MOST_FILTERS), 0])
    columns = sheet_columns(len(tiles))
    return mosaic(TilePanel(tiles, scale, columns), _zoom(columns, weights, GAP), GAP)


def planes(weights: Float[np.ndarray, "out in rows cols"], scale: Scale) -> Pixels:
    """Kernels by output (lines) and input (columns), both evenly over the layer."""
    outputs, inputs = planes_of(weights.shape)
    tiles = _finite(weights[outputs][:, inputs].reshape(-1, *weights.shape[2:]))
    gap = GAP if max(weights.shape[2:]) > 1 else 0
    return mosaic(TilePanel(tiles, scale, len(inputs)), _zoom(max(len(inputs), len(outputs)), weights, gap), gap)


def planes_of(shape: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """Which outputs and inputs of (out, in, rows, cols) weights are drawn."""
    most = PLANES if max(shape[2:]) > 1 else PLACELESS
    return evenly(range(shape[0]), most), evenly(range(shape[1]), most)


def channels(maps: Float[np.ndarray, "k rows cols"], scale: Scale) -> Pixels:
    """The maps of some channels of a layer, line by line."""
    tiles = _finite(maps)
    return mosaic(TilePanel(tiles, scale, min(_MAPS, len(tiles))), max(1, _MAP // max(maps.shape[1:])), GAP)


def heat(photo: Float[np.ndarray, "h w 3"], values: Float[np.ndarray, "rows cols"], scale: Scale) -> Pixels:
    """A signed map over the photograph in grey."""
    return overlay(photograph(photo), _finite(values), scale)


def photograph(photo: Float[np.ndarray, "h w 3"]) -> Pixels:
    """A small one enlarged to about 160 px, in whole squares."""
    return _enlarged(photo.astype(np.float64), _PHOTO)


def optimized(image: UInt8[np.ndarray, "h w c"]) -> Pixels:
    """The image of a unit, as `photograph`, to about 96 px; grey in three channels."""
    return _enlarged(as_float(image if image.shape[2] == 3 else image.repeat(3, axis=2)), _UNIT)


def bar(scale: Scale) -> Pixels:
    """All colours of a kind of scale, from left to right."""
    return colors(np.linspace(scale.low, scale.high, 128)[None].repeat(10, axis=0), scale)


def png(pixels: Pixels) -> bytes:
    """As PNG, quickly: `interp.figures.tiles.encode` takes ten times as long to save a tenth of bytes that never leave this machine."""
    stream = io.BytesIO()
    Image.fromarray(as_bytes(pixels)).save(stream, "png", compress_level=1)
    return stream.getvalue()


def _zoom(columns: int, weights: NDArray[np.generic], gap: int) -> int:
    """How many pixels a weight has in a sheet of so many columns."""
    side: int = max(weights.shape[2:])
    return max(1, min(24, (_SHEET // columns - gap) // side))


def _enlarged(picture: Float[np.ndarray, "h w 3"], side: int) -> Pixels:
    zoom = max(1, side // max(picture.shape[:2]))
    return np.asarray(nearest(picture, picture.shape[0] * zoom, picture.shape[1] * zoom))


def _finite(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """As float64; what is infinite has no place on a scale, and is marked as missing, as NaN is."""
    wide = values.astype(np.float64)
    return np.where(np.isfinite(wide), wide, np.nan)
