"""The pictures of a layer's pages, written into the site from finished work."""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath

import numpy as np

from interp.decoding import opened
from interp.microscope import picture_places as places
from interp.microscope.files import put, remove_others
from interp.microscope.filters import Filters
from interp.microscope.pictures import sheet, tile, webp
from interp.microscope.results import LayerWork, UnitWork
from interp.site.microscope import Tiles, pack

# Of optimized images.
_QUALITY = 90


def draw(site: Path, work: LayerWork, filters: Filters | None) -> None:
    """Write all pictures of a layer, and remove those of an earlier build; BadFile where the disk refuses."""
    layer = work.layer
    tiles = places.thumbnails_of(work.plan, layer)
    written: list[str] = []
    small = np.zeros((tiles.total, tiles.rows, tiles.cols, 3), np.uint8)
    for unit in work.units():
        shown = unit.first()
        if shown is not None:
            small[unit.channel] = tile(shown.image, tiles.rows, tiles.cols)
            drawn = sheet([[one.image for one in unit.made]], len(unit.made), *work.plan.size)
            written.append(places.optimized(layer, unit.channel))
            put(site, written[-1], webp(drawn, _QUALITY))
        elif unit.sheet is not None and unit.tops:
            small[unit.channel] = _crop(work, unit, unit.sheet, tiles)
        if unit.sheet is not None:
            written.append(places.examples(layer, unit.channel))
            put(site, written[-1], unit.sheet)
    stem, alt = places.thumbnails(layer)
    packed = [pack(site, stem, small, alt, _QUALITY)]
    _draw_card(site, layer, tiles, small)
    if filters is not None:
        stem, alt = places.kernels(layer)
        packed.append(pack(site, stem, filters.pictures[: len(tiles)], alt, 100))
    written += [places.standing_for(layer), *(one.path for found in packed for one in found.sheets)]
    # Of a build with other options.
    remove_others(site / places.folder(layer), "*.webp", {PurePosixPath(path).name for path in written})


def _draw_card(site: Path, layer: str, tiles: Tiles, small: np.ndarray) -> None:
    """The picture that stands for the layer: some of its thumbnails, framed in white."""
    across, units = places.standing(len(tiles))
    rows, cols = places.standing_size(tiles)
    framed = np.stack([np.pad(tile(small[unit], rows, cols), ((1, 1), (1, 1), (0, 0)), constant_values=255) for unit in units])
    square = sheet([list(framed[k : k + across]) for k in range(0, len(units), across)], across, *framed.shape[1:3])
    put(site, places.standing_for(layer), webp(square, 75))


def _crop(work: LayerWork, unit: UnitWork, seen: bytes, tiles: Tiles) -> np.ndarray:
    """The first example's crop as the thumbnail, where there is no optimized image."""
    rows, cols = work.plan.tile
    with opened(io.BytesIO(seen), f"the sheet of unit '{work.layer}:{unit.channel}'") as picture:
        return tile(np.asarray(picture.convert("RGB"))[:rows, :cols], tiles.rows, tiles.cols)
