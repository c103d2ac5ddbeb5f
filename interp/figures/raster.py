"""A picture placed on the page in inches: resampled for pixels, handed on as it is to PDF.

matplotlib ties pictures to `Axes`, whose ticks and spines cost far more to build than the picture
does to draw; a figure of a hundred panels is mostly that. This artist stands on the figure alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.transforms import Affine2D, Bbox, Transform
from numpy.typing import NDArray
from PIL import Image

from interp.figures.boxes import Box
from interp.figures.palette import Array, as_bytes

DPI = 180  # of the rasters inside PDF and SVG, at most: what photographs 224 px high hold in panels of this size
_CRISP = 60  # of the squares of a small map, at least: some PDF viewers blur what they enlarge


class Raster(Artist):
    """Pixels (h, w, 3) that fill a box. `exact` keeps enlarged pixels squares, else they are averaged."""

    zorder = 0  # under frames, lines and texts

    def __init__(self, pixels: Array, box: Box, page: Transform, exact: bool) -> None:
        super().__init__()
        self.box, self.exact = box, exact
        self.set_transform(page)
        # matplotlib's renderers take pictures from the bottom row up.
        self._image = Image.fromarray(as_bytes(pixels)[::-1]).convert("RGBA")

    def get_window_extent(self, renderer: Any = None) -> Bbox:
        """The box in pixels of the canvas."""
        left, top = self.box.left, self.box.top
        return Bbox(self.get_transform().transform([(left, top + self.box.height), (left + self.box.width, top)]))

    def draw(self, renderer: Any) -> None:
        extent = self.get_window_extent()
        gc = renderer.new_gc()
        # SVG's viewers are told by matplotlib not to smooth what they scale: true of maps, wrong for photographs.
        scaled = renderer.option_scale_image() and (self.exact or self.figure.canvas.get_default_filetype() != "svg")
        if scaled:
            to_box = Affine2D().scale(extent.width, extent.height)
            renderer.draw_image(gc, extent.x0, extent.y0, self._native(), to_box)
        else:
            zoom = renderer.get_image_magnification()
            # Edges on whole pixels, as the frame's are.
            left, bottom, right, top = (round(edge * zoom) for edge in extent.extents)
            pixels = self._resized(max(1, right - left), max(1, top - bottom))
            renderer.draw_image(gc, left / zoom, bottom / zoom, pixels)
        gc.restore()

    def _native(self) -> NDArray[np.uint8]:
        """Pixel by pixel, but neither finer than any print nor so coarse that a viewer's smoothing shows."""
        width, height = self._image.size
        pitch = max(width / self.box.width, height / self.box.height)  # pixels per inch
        if pitch > DPI:
            return self._resized(max(1, round(width * DPI / pitch)), max(1, round(height * DPI / pitch)))
        repeat = math.ceil(_CRISP / pitch) if self.exact else 1
        return self._resized(width * repeat, height * repeat)

    def _resized(self, width: int, height: int) -> NDArray[np.uint8]:
        how = Image.Resampling.NEAREST if self.exact else Image.Resampling.HAMMING
        return np.array(self._image.resize((width, height), how))
