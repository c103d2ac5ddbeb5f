"""Occlusion (Zeiler & Fergus 2014): how far the score falls when a window of the image is covered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from torch import Tensor

from interp.attribution.degeneration import of_values
from interp.attribution.variants import refuse_below, scores_of
from interp.core.baseline import Baseline, baseline
from interp.core.method import Family, Heatmap, Place, frozen
from interp.core.model import Model
from interp.core.score import checked_units, evaluate
from interp.core.unit import Unit
from interp.errors import InterpError

Box = tuple[slice, slice]


@dataclass(frozen=True)
class Occlusion:
    """A window slides over the image; each place gets the mean fall of the score over the windows that cover it.

    ``window``: a whole number of pixels, or a fraction of the image's rows and of its columns. ``stride``: a whole number of
    pixels, or a fraction of the window; no larger than the window, so that every place is covered. The last window of a
    row or column is cut off at the border. The map is at the image's resolution, in the unit of the score.

    Same as Captum's Occlusion. The number of forward passes per image is that of the windows plus one: 226 by default.
    """

    name: ClassVar[str] = "occlusion"
    title: ClassVar[str] = "Occlusion"
    place: ClassVar[Place] = Place.INPUT
    family: ClassVar[Family] = Family.PERTURBATION
    source: ClassVar[str] = "Zeiler & Fergus 2014"

    window: int | float = 0.125
    stride: int | float = 0.5
    baseline: Baseline = Baseline.MEAN
    batch_size: int = 16

    def __post_init__(self) -> None:
        refuse_below(1, batch_size=self.batch_size)
        _pixels("window", self.window, 1, "image")
        _pixels("stride", self.stride, 1, "window")

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap (h, w) per image. Raises InterpError for a window larger than the image or a stride larger than the window."""
        images = model.checked(images)
        units = checked_units(model, units, len(images))
        boxes = self.boxes(int(images.shape[-2]), int(images.shape[-1]))
        maps = []
        for image, unit in zip(images, units, strict=True):
            values = self._map(model, image, unit, boxes)
            maps.append(Heatmap(values, unit, self.title, degenerations=of_values(values)))
        return maps

    def boxes(self, rows: int, cols: int) -> list[Box]:
        """The windows of an image of ``rows`` and ``cols`` pixels, row by row."""
        sides = [_starts(self, side, name) for side, name in ((rows, "rows"), (cols, "columns"))]
        return [(row, col) for row in sides[0] for col in sides[1]]

    def _map(self, model: Model, image: Float[Tensor, "c h w"], unit: Unit, boxes: list[Box]) -> Float[np.ndarray, "h w"]:
        filler = baseline(model, image[None], self.baseline)[0]

        def covered(start: int, stop: int) -> Tensor:
            batch = image.repeat(stop - start, 1, 1, 1)
            for variant, (rows, cols) in zip(batch, boxes[start:stop], strict=True):
                variant[:, rows, cols] = filler[:, rows, cols]
            return batch

        whole = float(evaluate(model, image[None], [unit], self.batch_size))
        falls = whole - scores_of(model, unit, len(boxes), self.batch_size, covered)
        total, windows = np.zeros(image.shape[1:]), np.zeros(image.shape[1:])
        for (rows, cols), fall in zip(boxes, falls, strict=True):
            total[rows, cols] += fall
            windows[rows, cols] += 1
        return frozen((total / windows).astype(np.float32))


def _starts(options: Occlusion, side: int, name: str) -> list[slice]:
    """The windows along one side: first at the border, then every stride until the whole side is covered."""
    window = _pixels("window", options.window, side, "image")
    if window > side:
        raise InterpError(f"`window` is {window} pixels, but the image has {side} {name}: give at most {side}, or a fraction such as 0.125")
    stride = _pixels("stride", options.stride, window, "window")
    if stride > window:
        raise InterpError(f"`stride` is {stride} pixels, more than the window's {window}: places between windows would be left out")
    steps = -(-(side - window) // stride)
    return [slice(step * stride, min(step * stride + window, side)) for step in range(steps + 1)]


def _pixels(name: str, size: int | float, of: int, whole: str) -> int:
    """``size`` in pixels: itself if a whole number, else that fraction of ``of``, at least one."""
    if isinstance(size, int):
        if size < 1:
            raise InterpError(f"`{name}` is {size} pixels: give at least 1, or a fraction of the {whole} up to 1.0")
        return size
    if not 0 < size <= 1:
        raise InterpError(f"`{name}` is {size}: a fraction of the {whole} lies above 0 and up to 1; give a whole number for pixels")
    return max(1, round(size * of))
