"""Many small tiles on one sheet: kernels, or the channels of a layer."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from interp.errors import InterpError
from interp.figures.palette import as_bytes, as_float, colors
from interp.figures.scale import Kind, Scale
from interp.figures.spec import TilePanel


def gutter(panel: TilePanel) -> float:
    """The grey level between tiles: white, but dark where the tiles' own zero is nearly white."""
    return 0.35 if panel.scale and panel.scale.kind is Kind.DIVERGING else 1.0


def columns_of(panel: TilePanel) -> int:
    """Tiles per row: as asked, or as makes the sheet nearest to square."""
    count, height, width = panel.tiles.shape[:3]
    return min(int(count), panel.columns or math.ceil(math.sqrt(count * float(height / width))))


def sheet_shape(panel: TilePanel) -> tuple[int, int]:
    """(height, width) of the sheet in tile pixels, without gutters."""
    count, height, width = panel.tiles.shape[:3]
    columns = columns_of(panel)
    return math.ceil(count / columns) * height, columns * width


def mosaic(panel: TilePanel, zoom: int = 1, gap: int = 0) -> NDArray[np.float64]:
    """The sheet as an RGB picture in [0, 1]: each tile pixel is `zoom` squared, `gap` pixels between tiles.

    Places that no tile fills stay white.
    """
    tiles = as_float(panel.tiles) if panel.scale is None else colors(panel.tiles, panel.scale)
    tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    count, height, width = tiles.shape[:3]
    columns = columns_of(panel)
    rows = math.ceil(count / columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), gutter(panel))
    for index, tile in enumerate(tiles):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    last = (count - 1) % columns + 1
    sheet[(rows - 1) * (height + gap) :, last * (width + gap) :] = 1.0
    return sheet


def contact_sheet(tiles: ArrayLike, scale: Scale | None = None, columns: int | None = None, zoom: int | None = None) -> bytes:
    """PNG bytes of tiles with one-pixel gutters, for a notebook: exact pixels, no text.

    Takes what `TilePanel` takes. `zoom` repeats each pixel; without it, tiles become about 48
    pixels high.
    """
    panel = TilePanel(np.asarray(tiles), scale, columns)
    if zoom is not None and zoom < 1:
        raise InterpError(f"`zoom` is {zoom}, but a tile pixel takes at least 1")
    return encode(mosaic(panel, zoom or max(1, 48 // panel.tiles.shape[1]), gap=1))


def encode(pixels: NDArray[Any]) -> bytes:
    """RGB in [0, 1] to the bytes of a small PNG."""
    stream = io.BytesIO()
    Image.fromarray(as_bytes(pixels)).save(stream, "png", optimize=True)
    return stream.getvalue()
