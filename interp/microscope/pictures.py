"""Pixels for the pages: what a network is given, as pictures; tiles of one size; sheets of tiles; WebP."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from interp import images
from interp.figures import Scale
from interp.figures.palette import as_bytes, overlay

Pixels = UInt8[np.ndarray, "_ _ 3"]
# What surrounds a crop that is not of the tile's shape.
_AROUND = 128


def visible(image: Float[Tensor, "c rows cols"], bands: Sequence[int] = ()) -> Pixels:
    """An input [0, 1] as 8-bit RGB: grey repeated; of other bands the first three (or one), or those of ``bands``, counted from 1."""
    count = image.shape[0]
    chosen = [band - 1 for band in bands] or ([0, 1, 2] if count >= 3 else [0])
    shown = images.uint8(image[chosen].float().cpu().permute(1, 2, 0).contiguous().numpy())
    result: np.ndarray = np.repeat(shown, 3, axis=2) if len(chosen) == 1 else shown
    return result


def tile(picture: Pixels, rows: int, cols: int) -> Pixels:
    """``picture`` as large as fits into a tile, in its own shape, in the middle; enlarged pixels stay squares where they are few."""
    share = min(rows / picture.shape[0], cols / picture.shape[1])
    high, wide = max(1, round(picture.shape[0] * share)), max(1, round(picture.shape[1] * share))
    how = Image.Resampling.NEAREST if share >= 4 else Image.Resampling.BICUBIC if share > 1 else Image.Resampling.LANCZOS
    fitted = np.asarray(Image.fromarray(picture).resize((wide, high), how))
    result = np.full((rows, cols, 3), _AROUND, np.uint8)
    top, left = (rows - high) // 2, (cols - wide) // 2
    result[top : top + high, left : left + wide] = fitted
    return result


def heated(picture: Pixels, heat: Float[np.ndarray, "r c"]) -> Pixels:
    """The positive part of a map over the picture in grey; a map that is nowhere positive leaves it grey."""
    values = np.maximum(np.nan_to_num(heat), 0)
    scale = Scale.positive([values if values.max() > 0 else np.ones_like(values)])
    result: np.ndarray = as_bytes(np.clip(overlay(picture, values, scale), 0, 1))
    return result


def sheet(tiles: Sequence[Sequence[Pixels]], across: int, rows: int, cols: int) -> Pixels:
    """Rows of tiles as one picture; what a row has less than ``across`` stays grey."""
    whole = np.full((len(tiles) * rows, across * cols, 3), _AROUND, np.uint8)
    for down, line in enumerate(tiles):
        for place, one in enumerate(line):
            whole[down * rows : (down + 1) * rows, place * cols : (place + 1) * cols] = one
    return whole


def webp(picture: Pixels, quality: int = 85) -> bytes:
    """The picture's WebP file; the same pixels give the same bytes. ``quality`` 100 loses nothing."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=quality, lossless=quality == 100, method=4)
    return buffer.getvalue()
