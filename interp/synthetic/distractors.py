"""Distractors: things that catch the eye and tell nothing about the class. All have soft or thin borders: none is a filled shape."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from interp.synthetic.options import ShapeOptions
from interp.synthetic.outlines import distance, outlined
from interp.synthetic.streams import between
from interp.synthetic.textures import Cols, Map, Rows, grid

# Below this share a soft border ends, so that a distractor has a last pixel.
_FAINT = 0.06


def opacity(options: ShapeOptions, rng: np.random.Generator) -> Map:
    """How much of each pixel a distractor covers, (rows, cols) in [0, 1]: an outline, cloud, patch, scribble or swarm at a random place."""
    return _KINDS[int(rng.integers(len(_KINDS)))](options, rng)


def _place(options: ShapeOptions, rng: np.random.Generator) -> tuple[float, float]:
    return (between(rng, 0.08, 0.92) * options.size[0], between(rng, 0.08, 0.92) * options.size[1])


def _outline(options: ShapeOptions, rng: np.random.Generator) -> Map:
    shape = options.classes[int(rng.integers(len(options.classes)))]
    short = min(options.size)
    radius = between(rng, *options.difficulty.radii) * short
    distances = distance(shape, options.size, _place(options, rng), radius, between(rng, 0, 2 * math.pi))
    return outlined(distances, between(rng, 0.014, 0.024) * short)


def _cloud(options: ShapeOptions, rng: np.random.Generator) -> Map:
    """An irregular blob with a soft border."""
    row, col = _from_place(options, rng)
    angle = np.arctan2(row, col)
    reach = between(rng, 0.07, 0.13) * min(options.size)
    lobes = sum(
        np.float32(between(rng, 0.1, 0.3)) * np.sin(count * angle + np.float32(between(rng, 0, 2 * math.pi))) for count in (2, 3, 5)
    )
    return _soft(np.hypot(row, col) / (reach * (1 + lobes)), 3.0)


def _patch(options: ShapeOptions, rng: np.random.Generator) -> Map:
    """A long window with a soft border, through which a texture shows."""
    row, col = _from_place(options, rng)
    angle, reach = between(rng, 0, math.pi), between(rng, 0.08, 0.14) * min(options.size)
    cosine, sine = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return _soft(np.hypot((col * cosine + row * sine) / (1.7 * reach), (row * cosine - col * sine) / (0.8 * reach)), 2.5)


def _scribble(options: ShapeOptions, rng: np.random.Generator) -> Map:
    """A curved line."""
    row, col = grid(options.size)
    short = min(options.size)
    t = np.linspace(0, 1, 24, dtype=np.float32)
    ends = np.array([_place(options, rng) for _ in range(2)], dtype=np.float32)
    bend = (rng.random(2, dtype=np.float32) - 0.5) * np.float32(1.2 * short)
    path = ends[0] * (1 - t)[:, None] + ends[1] * t[:, None] + np.sin(t * math.pi)[:, None] * bend
    return _near(row, col, path, between(rng, 0.01, 0.018) * short)


def _swarm(options: ShapeOptions, rng: np.random.Generator) -> Map:
    """A cluster of specks."""
    row, col = grid(options.size)
    short = min(options.size)
    count = int(rng.integers(6, 14))
    specks = np.array(_place(options, rng)) + rng.standard_normal((count, 2)) * 0.09 * short
    return _near(row, col, specks.astype(np.float32), between(rng, 0.016, 0.026) * short)


def _near(row: Rows, col: Cols, places: Float[np.ndarray, "n 2"], reach: float) -> Map:
    """Pixels nearer than ``reach`` to one of the ``places`` (n, 2)."""
    squared = (row - places[:, :1, None]) ** 2 + (col - places[:, 1:, None]) ** 2
    covered: Map = np.clip(0.5 + np.float32(reach) - np.sqrt(squared.min(0)), 0, 1)
    return covered


def _from_place(options: ShapeOptions, rng: np.random.Generator) -> tuple[Rows, Cols]:
    row, col = grid(options.size)
    place = _place(options, rng)
    return row - np.float32(place[0]), col - np.float32(place[1])


def _soft(share_of_reach: Map, steepness: float) -> Map:
    """1 in the middle, half at the reach, fading to an exact 0."""
    fading = 1 / (1 + np.clip(share_of_reach, 0, 8) ** np.float32(2 * steepness))
    covered: Map = np.clip((fading - _FAINT) / (1 - _FAINT), 0, 1)
    return covered


_KINDS: tuple[Callable[[ShapeOptions, np.random.Generator], Map], ...] = (_outline, _cloud, _patch, _scribble, _swarm, _outline)
