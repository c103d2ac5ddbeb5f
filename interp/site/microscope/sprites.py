"""Many small pictures in few files: equal tiles in sheets of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from interp.errors import BadFile, InterpError
from interp.runs.partial import write_whole
from interp.site.link import beside
from interp.site.microscope.picture import MAX_ACROSS, Sheet, Tiles

SIDE = 1024
"""Sheets are at most this many pixels wide and high, as long as one tile is not larger."""


def pack(folder: Path, stem: str, tiles: UInt8[np.ndarray, "n rows cols 3"], alt: str, quality: int = 85, suffix: str = "webp") -> Tiles:
    """Write ``tiles`` as ``stem-0.webp``, ``stem-1.webp`` ... (``stem`` is a path relative to the site's ``folder``).

    ``alt`` is a text in which ``{}`` becomes the tile's index. WebP of ``quality`` 100 is lossless. The same tiles give the same bytes.
    InterpError where there is no tile; BadFile where a sheet cannot be written.
    """
    layout = tiles_of(stem, len(tiles), (tiles.shape[1], tiles.shape[2]), alt, suffix)
    first = 0
    for sheet in layout.sheets:
        count = sheet.down * sheet.across
        save(folder, sheet.path, _sheet(tiles[first : first + count], sheet), quality)
        first += count
    return layout


def tiles_of(stem: str, count: int, size: tuple[int, int], alt: str, suffix: str = "webp") -> Tiles:
    """Where ``pack`` puts ``count`` tiles of ``size`` (rows, cols): known before any of them is made."""
    if count < 1:
        raise InterpError(f"`{stem}` has no tile to pack")
    return Tiles(tuple(_sheets(stem, count, size, suffix)), count, size[0], size[1], alt)


def save(folder: Path, path: str, picture: UInt8[np.ndarray, "rows cols 3"], quality: int = 85) -> None:
    """Write one picture to ``path`` below ``folder``, whole or not at all; ``.webp`` (``quality`` 100: lossless) or ``.png``."""
    beside(path, "picture")
    kind = Path(path).suffix.lower()
    held = BytesIO()
    if kind == ".webp":
        # Method 4 is within 3 % of the smallest files at a third of the time.
        Image.fromarray(picture).save(held, "WEBP", quality=quality, lossless=quality == 100, method=4)
    elif kind == ".png":
        Image.fromarray(picture).save(held, "PNG", optimize=True)
    else:
        raise InterpError(f"`{path}` is to be a picture, but its suffix is neither .webp nor .png")
    try:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, held.getvalue())
    except OSError as error:
        raise BadFile(f"`{folder / path}` cannot be written: {error.strerror or error}") from None


def _sheets(stem: str, count: int, size: tuple[int, int], suffix: str) -> Iterator[Sheet]:
    most_down, most_across = (max(1, min(MAX_ACROSS, SIDE // side)) for side in size)
    number = 0
    while count > 0:
        across = min(most_across, count)
        down = min(most_down, -(-count // across))
        yield Sheet(f"{stem}-{number}.{suffix}", down, across)
        count -= down * across
        number += 1


def _sheet(tiles: UInt8[np.ndarray, "n rows cols 3"], sheet: Sheet) -> UInt8[np.ndarray, "height width 3"]:
    number, rows, cols, _ = tiles.shape
    grid = np.zeros((sheet.down * sheet.across, rows, cols, 3), np.uint8)
    grid[:number] = tiles
    placed = grid.reshape(sheet.down, sheet.across, rows, cols, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(placed.reshape(sheet.down * rows, sheet.across * cols, 3))
