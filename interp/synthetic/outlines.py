"""The shapes as signed distances to their border: negative inside, so that one function fills a shape and draws its outline."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum

import numpy as np
from jaxtyping import Float

from interp.synthetic.textures import Map, grid

Points = Float[np.ndarray, "corners 2"]


class Shape(StrEnum):
    """The classes: what an object is, whatever its size, rotation, colour and texture."""

    DISC = "disc"
    SQUARE = "square"
    TRIANGLE = "triangle"
    STAR = "star"
    RING = "ring"
    CROSS = "cross"
    CRESCENT = "crescent"
    HEXAGON = "hexagon"
    HEART = "heart"
    ARROW = "arrow"


def distance(shape: Shape, size: tuple[int, int], centre: tuple[float, float], radius: float, angle: float) -> Map:
    """Signed distance in pixels of each pixel's middle (rows, cols) to the border of a shape; exact up to 2 px from the shape.

    ``centre`` is (row, col), ``radius`` the reach of the shape in pixels, ``angle`` in radians. Farther out the distance is
    some number above 2: nothing is computed there.
    """
    found = np.full(size, 3.0, dtype=np.float32)
    reach = radius + 3
    top, left = (max(0, math.floor(c - reach)) for c in centre)
    bottom, right = (min(side, math.ceil(c + reach) + 1) for c, side in zip(centre, size, strict=True))
    row, col = grid(size)
    row, col = row[top:bottom] - np.float32(centre[0]), col[:, left:right] - np.float32(centre[1])
    cosine, sine = np.float32(math.cos(angle) / radius), np.float32(math.sin(angle) / radius)
    found[top:bottom, left:right] = _UNIT[shape](col * cosine + row * sine, row * cosine - col * sine) * np.float32(radius)
    return found


def filled(distances: Map) -> Map:
    """How much of each pixel lies inside, [0, 1]: a border one pixel wide is mixed."""
    covered: Map = np.clip(0.5 - distances, 0, 1)
    return covered


def outlined(distances: Map, width: float) -> Map:
    """As `filled`, of a line ``width`` pixels wide along the border."""
    covered: Map = np.clip(0.5 + width / 2 - np.abs(distances), 0, 1)
    return covered


def _disc(x: Map, y: Map) -> Map:
    away: Map = np.hypot(x, y) - 1
    return away


def _ring(x: Map, y: Map) -> Map:
    away: Map = np.abs(np.hypot(x, y) - 0.75) - 0.25
    return away


def _crescent(x: Map, y: Map) -> Map:
    # A disc less a smaller one beside it; shrunk and moved so that its middle, not the disc's, is at the centre.
    x, y = x / np.float32(0.81) - np.float32(0.34), y / np.float32(0.81)
    away: Map = np.maximum(np.hypot(x, y) - 1, 0.8 - np.hypot(x - 0.55, y)) * np.float32(0.81)
    return away


def _polygon(corners: Points) -> Callable[[Map, Map], Map]:
    """The exact distance to a polygon: to the nearest side, negative where the sides wind around the place."""
    # Sides come first: over the leading axis numpy reduces whole pictures at a time.
    start = corners.astype(np.float32)[:, :, None, None]
    side = np.roll(start, -1, axis=0) - start
    squared = (side**2).sum(1)

    def away(x: Map, y: Map) -> Map:
        dx, dy = x - start[:, 0], y - start[:, 1]
        share = np.clip((dx * side[:, 0] + dy * side[:, 1]) / squared, 0, 1)
        nearest = np.sqrt(((dx - share * side[:, 0]) ** 2 + (dy - share * side[:, 1]) ** 2).min(0))
        # A ray to the right crosses the border an odd number of times from inside.
        crosses = (dy < 0) != (dy < side[:, 1])
        to_the_right = (dx * side[:, 1] < dy * side[:, 0]) == (side[:, 1] > 0)
        inside = np.logical_xor.reduce(crosses & to_the_right, axis=0)
        result: Map = np.where(inside, -nearest, nearest)
        return result

    return away


def _around(radii: list[float], turn: float = -math.pi / 2) -> Points:
    """Corners at equal angles, the first upwards."""
    angles = turn + 2 * math.pi * np.arange(len(radii)) / len(radii)
    corners: Points = np.stack([np.cos(angles), np.sin(angles)], 1) * np.array(radii)[:, None]
    return corners


def _cross(arm: float = 0.32, reach: float = 0.94) -> Points:
    quarter = [(arm, -reach), (arm, -arm), (reach, -arm)]
    corners = [(x * c - y * s, x * s + y * c) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1)) for x, y in quarter]
    return np.array(corners)


def _heart(corners: int = 28) -> Points:
    t = 2 * math.pi * np.arange(corners) / corners
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) - 2.5
    return np.stack([x, y], 1) / 17.0


_ARROW = np.array([(0, -1), (0.8, -0.1), (0.32, -0.1), (0.32, 0.92), (-0.32, 0.92), (-0.32, -0.1), (-0.8, -0.1)])

_UNIT: dict[Shape, Callable[[Map, Map], Map]] = {
    Shape.DISC: _disc,
    Shape.SQUARE: _polygon(_around([1.0] * 4, math.pi / 4)),
    Shape.TRIANGLE: _polygon(_around([1.0] * 3)),
    Shape.STAR: _polygon(_around([1.0, 0.42] * 5)),
    Shape.RING: _ring,
    Shape.CROSS: _polygon(_cross()),
    Shape.CRESCENT: _crescent,
    Shape.HEXAGON: _polygon(_around([1.0] * 6)),
    Shape.HEART: _polygon(_heart()),
    Shape.ARROW: _polygon(_ARROW),
}
