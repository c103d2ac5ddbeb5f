"""Drawn pictures of which one property changes: gratings by orientation and frequency, colours, discs by size."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

ORIENTATIONS = 12
PERIODS = 5
# With eight of them the largest answer of a unit that adds up light is within 8 % of that to the best phase.
PHASES = 8
HUES = 12
RADII = 8
# Of the gratings around mid grey: black to white would leave nothing for rounding at the ends.
CONTRAST = 0.45

Pictures = Float[np.ndarray, "n rows cols 3"]


@dataclass(frozen=True, eq=False)
class Family:
    """Pictures [0, 1] of which one property changes.

    ``place`` gives for each picture the index of its position; several pictures of one position differ in what the family does not ask
    about (the phase, the sign of the contrast), and the largest answer counts. ``number``: which of them is shown.
    """

    name: str
    unit: str
    positions: tuple[float, ...]
    place: Int[np.ndarray, " n"]
    pictures: Pictures
    text: str
    number: int = 0

    @property
    def shown(self) -> Pictures:
        """One picture of each position."""
        shown: np.ndarray = self.pictures[[int(np.flatnonzero(self.place == k)[self.number]) for k in range(len(self.positions))]]
        return shown


def families(rows: int, cols: int) -> tuple[Family, ...]:
    """All families, for images of that size."""
    return (*gratings(rows, cols), hues(rows, cols), discs(rows, cols))


def periods(rows: int, cols: int) -> tuple[float, ...]:
    """Periods of the gratings in pixels, from 3 to half of the shorter side, evenly in their logarithm."""
    return tuple(float(p) for p in np.geomspace(3.0, max(6.0, min(rows, cols) / 2), PERIODS))


def gratings(rows: int, cols: int) -> tuple[Family, Family]:
    """The same gratings by orientation and by frequency.

    Orientation is that of the stripes, as in `interp.kernels`: 0 degrees for horizontal ones, angles counter-clockwise as the picture
    is seen. Of each orientation and period there are eight phases, evenly over a period, counted from the centre.
    """
    angles, lengths = [180.0 * k / ORIENTATIONS for k in range(ORIENTATIONS)], periods(rows, cols)
    down, across = np.mgrid[:rows, :cols].astype(np.float64)
    down, across = down - (rows - 1) / 2, across - (cols - 1) / 2
    pictures, by_angle, by_period = [], [], []
    for a, angle in enumerate(angles):
        # The wave runs across the stripes.
        along = across * math.sin(math.radians(angle)) + down * math.cos(math.radians(angle))
        for p, period in enumerate(lengths):
            for phase in range(PHASES):
                wave = 0.5 + CONTRAST * np.cos(2 * math.pi * (along / period - phase / PHASES))
                pictures.append(wave)
                by_angle.append(a)
                by_period.append(p)
    grey = np.repeat(np.stack(pictures).astype(np.float32)[..., None], 3, axis=3)
    text = "the largest answer over {} and eight phases"
    turned = "angle of the stripes, 0 for horizontal, counter-clockwise; " + text.format("five frequencies")
    return (
        Family("orientation", "degrees", tuple(angles), np.array(by_angle), grey, turned, PERIODS // 2 * PHASES),
        Family(
            "spatial frequency",
            "cycles per pixel",
            tuple(1.0 / period for period in reversed(lengths)),
            PERIODS - 1 - np.array(by_period),
            grey,
            text.format("twelve orientations"),
            ORIENTATIONS // 2 * PHASES,
        ),
    )


def hues(rows: int, cols: int) -> Family:
    """The whole picture in one pure colour: hue from 0 (red) in steps of 30 degrees, full saturation and value."""
    colours = [colorsys.hsv_to_rgb(k / HUES, 1.0, 1.0) for k in range(HUES)]
    pictures = np.broadcast_to(np.array(colours, np.float32)[:, None, None], (HUES, rows, cols, 3)).copy()
    return Family("hue", "degrees", tuple(360.0 * k / HUES for k in range(HUES)), np.arange(HUES), pictures, "the whole picture in it")


def discs(rows: int, cols: int) -> Family:
    """A disc in the centre on mid grey, white and black; the larger answer of the two counts. Edges are smoothed over one pixel."""
    radii = [float(r) for r in np.geomspace(1.5, min(rows, cols) / 2, RADII)]
    down, across = np.mgrid[:rows, :cols].astype(np.float64)
    distance = np.hypot(down - (rows - 1) / 2, across - (cols - 1) / 2)
    pictures, place = [], []
    for k, radius in enumerate(radii):
        inside = np.clip(radius + 0.5 - distance, 0, 1)
        for sign in (1, -1):
            pictures.append(0.5 + sign * 0.5 * inside)
            place.append(k)
    grey = np.repeat(np.stack(pictures).astype(np.float32)[..., None], 3, axis=3)
    positions = tuple(2 * r for r in radii)
    return Family("size", "pixels", positions, np.array(place), grey, "diameter of a disc on grey, the larger answer to white and black")
