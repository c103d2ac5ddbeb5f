"""Textures: maps of [0, 1] that mix two colours. They fill objects, backgrounds and distractors alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from functools import cache

import numpy as np
from jaxtyping import Float

from interp.synthetic.streams import between

Map = Float[np.ndarray, "rows cols"]
Rows = Float[np.ndarray, "rows 1"]
Cols = Float[np.ndarray, "1 cols"]


class Texture(StrEnum):
    """What a surface looks like, whatever its two colours, scale and direction."""

    STRIPES = "stripes"
    CHECKER = "checker"
    DOTS = "dots"
    RIPPLES = "ripples"
    CLOUDS = "clouds"
    GRAIN = "grain"
    GRADIENT = "gradient"
    BRICKS = "bricks"
    WAVES = "waves"
    HATCH = "hatch"


def texture(kind: Texture, size: tuple[int, int], rng: np.random.Generator) -> Map:
    """A map (rows, cols) in [0, 1] of scale, direction and phase drawn from ``rng``; periods are 5 to 11 px at 64 px."""
    return _DRAWN[kind](size, rng)


@cache
def grid(size: tuple[int, int]) -> tuple[Rows, Cols]:
    """Rows and columns of the pixels, (rows, 1) and (1, cols), float32."""
    rows, cols = size
    return np.arange(rows, dtype=np.float32)[:, None], np.arange(cols, dtype=np.float32)[None, :]


def _turned(size: tuple[int, int], angle: float) -> tuple[Map, Map]:
    """Coordinates along and across the direction ``angle``, in pixels from the middle."""
    row, col = grid(size)
    row, col = row - (size[0] - 1) / 2, col - (size[1] - 1) / 2
    cosine, sine = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return col * cosine + row * sine, row * cosine - col * sine


def _period(size: tuple[int, int], rng: np.random.Generator) -> float:
    return between(rng, 0.08, 0.17) * min(size)


def _wave(distance: Map, period: float, phase: float, hardness: float = 2.0) -> Map:
    """A sine of ``period`` pixels, steepened and clipped to [0, 1]."""
    wave: Map = np.clip(0.5 + 0.5 * hardness * np.sin(distance * np.float32(2 * math.pi / period) + np.float32(phase)), 0, 1)
    return wave


def _angle(rng: np.random.Generator) -> float:
    return between(rng, 0, 2 * math.pi)


def _stripes(size: tuple[int, int], rng: np.random.Generator) -> Map:
    along, _ = _turned(size, _angle(rng))
    return _wave(along, _period(size, rng), _angle(rng))


def _checker(size: tuple[int, int], rng: np.random.Generator) -> Map:
    along, across = _turned(size, _angle(rng))
    scale = np.float32(math.pi / _period(size, rng))
    return np.clip(0.5 + 2 * np.sin(along * scale) * np.sin(across * scale), 0, 1)


def _dots(size: tuple[int, int], rng: np.random.Generator) -> Map:
    along, across = _turned(size, _angle(rng))
    scale = np.float32(2 * math.pi / _period(size, rng))
    return np.clip(2 * (np.cos(along * scale) + np.cos(across * scale) - 0.6), 0, 1)


def _ripples(size: tuple[int, int], rng: np.random.Generator) -> Map:
    row, col = grid(size)
    middle = (between(rng, -0.3, 1.3) * size[0], between(rng, -0.3, 1.3) * size[1])
    return _wave(np.hypot(row - middle[0], col - middle[1]), _period(size, rng), _angle(rng), 1.2)


def _clouds(size: tuple[int, int], rng: np.random.Generator) -> Map:
    coarse, fine = _smooth(size, 5, rng), _smooth(size, 10, rng)
    return np.clip(1.4 * (0.65 * coarse + 0.35 * fine) - 0.2, 0, 1)


def _grain(size: tuple[int, int], rng: np.random.Generator) -> Map:
    return np.clip(0.5 + 0.9 * (_smooth(size, max(2, min(size) // 2), rng) - 0.5) * between(rng, 1.2, 1.8), 0, 1)


def _gradient(size: tuple[int, int], rng: np.random.Generator) -> Map:
    along, _ = _turned(size, _angle(rng))
    return np.clip(0.5 + along / np.float32(max(size)) * between(rng, 0.7, 1.2), 0, 1)


def _bricks(size: tuple[int, int], rng: np.random.Generator) -> Map:
    along, across = _turned(size, _angle(rng))
    high = _period(size, rng) * 0.9
    course = np.floor(across / np.float32(high))
    joints = np.minimum(across / high - course, ((along / (2 * high) + 0.5 * course) % 1) * 2)
    walls: Map = np.clip(joints * np.float32(high) - 0.5, 0, 1)
    return walls


def _waves(size: tuple[int, int], rng: np.random.Generator) -> Map:
    along, across = _turned(size, _angle(rng))
    period = _period(size, rng)
    return _wave(along + period * 0.5 * np.sin(across * np.float32(2.2 / period) + _angle(rng)), period, _angle(rng), 1.5)


def _hatch(size: tuple[int, int], rng: np.random.Generator) -> Map:
    along, across = _turned(size, _angle(rng))
    period = _period(size, rng)
    lines = np.minimum(np.abs((along / period) % 1 - 0.5), np.abs((across / period) % 1 - 0.5))
    between_lines: Map = np.clip(lines * np.float32(2.5 * period / 2) - 0.3, 0, 1)
    return between_lines


def _smooth(size: tuple[int, int], cells: int, rng: np.random.Generator) -> Map:
    """Value noise: random values on a coarse grid of ``cells`` to the shorter side, joined smoothly."""
    short = min(size)
    counts = tuple(2 + round(cells * side / short) for side in size)
    values = rng.random(counts, dtype=np.float32)
    result: Map = _joined(size[0], counts[0]) @ values @ _joined(size[1], counts[1]).T
    return result


@cache
def _joined(side: int, count: int) -> Float[np.ndarray, "side count"]:
    """Weights of ``count`` grid values at each of ``side`` pixels: smoothstep between neighbours."""
    places = np.linspace(0, count - 1.001, side)
    left = places.astype(int)
    share = places - left
    share = share * share * (3 - 2 * share)
    weights = np.zeros((side, count), dtype=np.float32)
    weights[np.arange(side), left] = 1 - share
    weights[np.arange(side), left + 1] = share
    return weights


_DRAWN: dict[Texture, Callable[[tuple[int, int], np.random.Generator], Map]] = {
    Texture.STRIPES: _stripes,
    Texture.CHECKER: _checker,
    Texture.DOTS: _dots,
    Texture.RIPPLES: _ripples,
    Texture.CLOUDS: _clouds,
    Texture.GRAIN: _grain,
    Texture.GRADIENT: _gradient,
    Texture.BRICKS: _bricks,
    Texture.WAVES: _waves,
    Texture.HATCH: _hatch,
}
