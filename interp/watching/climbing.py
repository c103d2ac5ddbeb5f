"""Images of units that go on from record to record: each ascent starts at the image where the last one ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from interp.core.model import Model
from interp.core.unit import Unit
from interp.featurevis import AscentConfig, Fixed, Fourier, Precision, Started, visualize
from interp.images import uint8
from interp.watching.detail import Detail
from interp.watching.grey import in_colour


@dataclass(frozen=True, eq=False)
class Images:
    """Of each unit: its image in [0, 1] (channels as the network takes them), its score, whether it never fired."""

    images: UInt8[np.ndarray, "units rows cols c"]
    scores: Float[np.ndarray, " units"]
    silent: Bool[np.ndarray, " units"]


class Climb:
    """The images of ``units`` of one network, warm-started.

    Of a network of grey images they are optimized in colour, of which it sees the mean; the mean is what is kept.
    """

    def __init__(self, model: Model, units: Sequence[Unit], detail: Detail) -> None:
        self._model, self._units, self._detail = in_colour(model), tuple(units), detail
        self._channels = len(model.preprocess.mean)
        self._last: dict[Unit, np.ndarray] = {}

    def go_on_from(self, images: UInt8[np.ndarray, "units rows cols c"]) -> None:
        """The next ascent starts at these images."""
        self._last = {unit: _colours(image.astype(np.float32) / 255) for unit, image in zip(self._units, images, strict=True)}

    def climb(self, step: int) -> Images:
        """The images at this ``step`` of the training, which the draws of the ascent depend on."""
        found = [visualize(self._model, [unit], self._config(unit), self._detail.seed + step)[0] for unit in self._units]
        self._last = {unit: feature.image for unit, feature in zip(self._units, found, strict=True)}
        images = np.stack([feature.image for feature in found])
        kept = images.mean(axis=3, keepdims=True) if self._channels == 1 else images
        return Images(uint8(kept), np.array([f.final for f in found], np.float32), np.array([f.dead for f in found], bool))

    def _config(self, unit: Unit) -> AscentConfig:
        # Each colour by itself, where only their mean is seen.
        base = Fourier(decorrelated=self._channels != 1)
        last = self._last.get(unit)
        photo = None if last is None else Fixed.of(torch.from_numpy(last).permute(2, 0, 1), "the record before")
        param = base if photo is None else Started(base, photo)
        return AscentConfig(steps=self._detail.steps, param=param, precision=Precision.FLOAT32)


def _colours(image: Float[np.ndarray, "rows cols c"]) -> Float[np.ndarray, "rows cols 3"]:
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
