"""Pictures whose relevant pixels are known: one textured shape each, on a textured background, among distractors.

Each picture depends on the seed, its split and its index alone, and each of its parts on a stream of its own: with other
distractors or backgrounds the object stays as it was, to the pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from interp.errors import InterpError
from interp.images import uint8
from interp.synthetic.distractors import opacity
from interp.synthetic.options import ShapeOptions, Tie
from interp.synthetic.outlines import distance, filled
from interp.synthetic.streams import between, stream
from interp.synthetic.textures import Map, Texture, texture

Picture = Float[np.ndarray, "3 rows cols"]
Colour = Float[np.ndarray, "3 1 1"]

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class Split(StrEnum):
    """Pictures to learn from, and pictures that were never seen. They share no stream."""

    TRAINING = "training"
    HELD_OUT = "held out"


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture, part by part: what lies below the object, the object, and how much of each pixel it covers.

    ``mask`` holds every pixel that the object touches: outside it the picture with and without the object are equal.
    ``distracting`` holds the pixels of distractors that the object leaves visible. ``below`` and ``object`` are [0, 1].
    """

    label: int
    background: Texture
    below: Picture
    object: Picture
    coverage: Map
    distracting: Bool[np.ndarray, "rows cols"]
    noise: Picture

    @property
    def mask(self) -> Bool[np.ndarray, "rows cols"]:
        return self.coverage > 0

    def pixels(self) -> UInt8[np.ndarray, "rows cols 3"]:
        return _eight_bits(self.below + self.coverage * (self.object - self.below) + self.noise)

    def without_object(self) -> UInt8[np.ndarray, "rows cols 3"]:
        """The same picture, had the object not been there: same background, distractors and noise."""
        return _eight_bits(self.below + self.noise)


@dataclass(frozen=True, eq=False)
class ShapeSet:
    """Pictures, what they show, and where: ``masks`` are the object's pixels, ``distracting`` those of distractors."""

    images: UInt8[np.ndarray, "n rows cols 3"]
    labels: Int[np.ndarray, " n"]
    masks: Bool[np.ndarray, "n rows cols"]
    distracting: Bool[np.ndarray, "n rows cols"]
    backgrounds: tuple[Texture, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def tensor(self) -> Float[Tensor, "n 3 rows cols"]:
        """The pictures as a network takes them: [0, 1] RGB, float32."""
        return torch.from_numpy(self.images).permute(0, 3, 1, 2).float() / 255


def draw(options: ShapeOptions, indices: Iterable[int], seed: int = 0, split: Split = Split.TRAINING) -> ShapeSet:
    """The pictures of those indices (0, 1, 2, ...; any, in any order); about 1 ms each at 64 px.

    Every run of ``len(options.classes)`` pictures that starts at a multiple of that number shows each class once.
    Raises InterpError where an index is negative or there is none.
    """
    scenes = [scene(options, index, seed, split) for index in indices]
    if not scenes:
        raise InterpError("`indices` is empty: give at least one index, such as range(100)")
    return ShapeSet(
        np.stack([s.pixels() for s in scenes]),
        np.array([s.label for s in scenes]),
        np.stack([s.mask for s in scenes]),
        np.stack([s.distracting for s in scenes]),
        tuple(s.background for s in scenes),
        options.names,
    )


def scene(options: ShapeOptions, index: int, seed: int = 0, split: Split = Split.TRAINING) -> Scene:
    """One picture in its parts. Raises InterpError where ``index`` is negative."""
    if index < 0:
        raise InterpError(f"no picture {index}: pictures are numbered 0, 1, 2, ...")
    key = (seed, split.value, index)
    label = _label(options, index, seed, split)
    kind = _background(options, label, behind := stream(*key, "background"))
    light = stream(*key, "light")
    level = between(light, 0.25, 0.75)
    below = _surface(kind, options, level, behind)
    distracting = np.zeros(options.size, dtype=bool)
    for number in range(options.n_distractors):
        rng = stream(*key, "distractor", number)
        cover = opacity(options, rng)
        below += cover * (_contrasting(options, level, rng) - below)
        distracting |= cover > 0
    rng = stream(*key, "object")
    coverage = _coverage(options, label, rng)
    surface = _contrasting(options, level, rng)
    noise = stream(*key, "noise").standard_normal((3, *options.size), dtype=np.float32) * np.float32(options.difficulty.noise)
    return Scene(label, kind, below, surface, coverage, distracting & (coverage == 0), noise)


def _eight_bits(values: Picture) -> UInt8[np.ndarray, "rows cols 3"]:
    return np.ascontiguousarray(uint8(values).transpose(1, 2, 0))


def _label(options: ShapeOptions, index: int, seed: int, split: Split) -> int:
    """The class: each once in a block of as many pictures as there are classes, in an order drawn for the block."""
    block, place = divmod(index, len(options.classes))
    return int(stream(seed, split.value, "labels", block).permutation(len(options.classes))[place])


def _background(options: ShapeOptions, label: int, rng: np.random.Generator) -> Texture:
    tied = float(rng.random()) < options.correlation
    # Drawn whether needed or not, so that a stronger correlation only changes pictures that it ties.
    free = int(rng.integers(len(options.classes)))
    step = 1 if options.tie is Tie.NEXT else 0
    return options.backgrounds[(label + step) % len(options.classes) if tied else free]


def _coverage(options: ShapeOptions, label: int, rng: np.random.Generator) -> Map:
    """The object's share of each pixel; it lies inside the picture as a whole."""
    radius = between(rng, *options.difficulty.radii) * min(options.size)
    angle = math.radians(options.difficulty.rotation) * between(rng, -1, 1)
    centre = [between(rng, radius + 1, side - 2 - radius) for side in options.size]
    return filled(distance(options.classes[label], options.size, (centre[0], centre[1]), radius, angle))


def _contrasting(options: ShapeOptions, level: float, rng: np.random.Generator) -> Picture:
    """A surface of any texture, lighter or darker than ``level`` by at least the contrast."""
    least = options.difficulty.contrast
    down, up = max(0.0, level - 0.08 - least), max(0.0, 0.92 - level - least)
    place = between(rng, -down, up)
    away = level + place + math.copysign(least, place)
    kinds = tuple(Texture)
    return _surface(kinds[int(rng.integers(len(kinds)))], options, away, rng)


def _surface(kind: Texture, options: ShapeOptions, level: float, rng: np.random.Generator) -> Picture:
    """A texture of two colours around luminance ``level``."""
    middle = _colour(level, between(rng, 0.05, 0.35), rng)
    step = _colour(between(rng, -0.5, 0.5), 1.0, rng)
    # The whole mean is kept at the level: a texture that is mostly dark would shift it.
    pattern = texture(kind, options.size, rng)
    pattern = pattern - pattern.mean()
    painted: Picture = middle + pattern * (step * np.float32(2 * options.difficulty.relief))
    return np.clip(painted, 0, 1, out=painted)


def _colour(level: float, chroma: float, rng: np.random.Generator) -> Colour:
    """A colour of luminance ``level`` (before clipping) and a random hue."""
    hue = rng.standard_normal(3, dtype=np.float32)
    hue -= hue @ _LUMINANCE
    found = np.float32(level) + np.float32(chroma) * hue / np.float32(max(float(np.abs(hue).max()), 1e-6))
    return found[:, None, None]
