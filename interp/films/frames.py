"""A picture of every moment, for the film and the page's slider: squares on whole pixels, so that a weight can be read off again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from interp.core.depth import evenly
from interp.figures import TilePanel
from interp.figures.palette import as_bytes, colors, nearest, overlay
from interp.figures.tiles import mosaic
from interp.films.probing import activation_scale, gradcam_scale
from interp.films.tiles import Tiles
from interp.films.timeline import Probe

MOST_FILTERS = 64
SIDE = 480
"""Pixels of a sheet of filters, about."""
GAP = 2
_MAP = 112  # pixels, of the maps of a probe
_STRIP, _BAR = 22, 4
_INK, _DONE, _REST = (40, 40, 40), (31, 90, 150), (223, 227, 232)

Frames = UInt8[np.ndarray, "moments h w 3"]


def sheet_columns(count: int) -> int:
    """Tiles in a row of a sheet of ``count``."""
    return int(np.ceil(np.sqrt(count)))


def zoom_of(count: int, side: int) -> int:
    """How many pixels a weight of a kernel ``side`` wide has in a sheet of ``count``."""
    return max(1, min(24, (SIDE // sheet_columns(count) - GAP) // side))


def of_filters(tiles: Tiles) -> Frames:
    """The filters (at most `MOST_FILTERS`, evenly over the layer) at every moment, by index along the lines."""
    chosen = evenly(range(tiles.values.shape[1]), MOST_FILTERS)
    zoom = zoom_of(len(chosen), tiles.values.shape[3])
    each = [mosaic(TilePanel(values[chosen], tiles.scale, sheet_columns(len(chosen))), zoom, GAP) for values in tiles.values]
    return np.stack([as_bytes(np.asarray(one)) for one in each])


def of_probe(probe: Probe) -> Frames:
    """The photograph, a unit of each layer and Grad-CAM at each layer, from left to right, at every moment; scales as in the figure."""
    scaled = [(maps, activation_scale(maps)) for maps in probe.activations.values()]
    heated = [(maps, gradcam_scale(maps)) for maps in probe.gradcam.values()]
    height, width = _fitted(probe.picture.shape[0], probe.picture.shape[1])
    photo = nearest(probe.picture.astype(np.float64), height, width)
    found = []
    for moment in range(len(probe.explained)):
        parts = [photo]
        parts += [nearest(colors(maps[moment].astype(np.float64), scale), height, width) for maps, scale in scaled]
        parts += [overlay(photo, maps[moment], scale) for maps, scale in heated]
        found.append(_beside(parts))
    return np.stack([as_bytes(one) for one in found])


def with_clock(frames: Frames, names: Sequence[str], steps: Sequence[int]) -> UInt8[np.ndarray, "moments high wide 3"]:
    """``frames`` with a strip above them that names the moment and shows how far the training is; both sides are even."""
    height, width = frames.shape[1:3]
    size = (height + _STRIP + (height + _STRIP) % 2, max(120, width + width % 2))
    whole = np.full((len(frames), *size, 3), 255, np.uint8)
    whole[:, _STRIP : _STRIP + height, :width] = frames
    span = max(1, steps[-1] - steps[0])
    for place, (name, step) in enumerate(zip(names, steps, strict=True)):
        whole[place, :_STRIP] = _strip(name, (step - steps[0]) / span, size[1])
    return whole


def _strip(name: str, share: float, width: int) -> UInt8[np.ndarray, "h w 3"]:
    strip = Image.new("RGB", (width, _STRIP), (255, 255, 255))
    pen, font = ImageDraw.Draw(strip), ImageFont.load_default(12)
    pen.text((2, 0), name.encode("ascii", "replace").decode(), fill=_INK, font=font)
    top = _STRIP - _BAR - 1
    pen.rectangle((0, top, width - 1, top + _BAR - 1), fill=_REST)
    pen.rectangle((0, top, max(1, round(share * (width - 1))), top + _BAR - 1), fill=_DONE)
    return np.array(strip)


def _fitted(rows: int, cols: int) -> tuple[int, int]:
    return _MAP, max(1, round(cols * _MAP / rows))


def _beside(parts: Sequence[Float[np.ndarray, "h w 3"]]) -> Float[np.ndarray, "h w2 3"]:
    gap = np.ones((parts[0].shape[0], 4, 3))
    line = [piece for part in parts for piece in (part, gap)]
    result: np.ndarray = np.concatenate(line[:-1], axis=1)
    return result
