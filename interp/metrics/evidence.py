"""``Evidence -> one number per image``: what a metric is given, and what it must say of itself.

A metric never learns which method made a map: it is given the maps, and the method as something that can be asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from interp.core.method import Heatmap, Method
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError


class Better(StrEnum):
    """Which way a metric points. ``NEITHER``: it describes (sparseness), so that no ranking follows."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


@dataclass(frozen=True, eq=False)
class Evidence:
    """One method's maps of some images, with all that a metric may ask for.

    ``images`` are [0, 1] on the model's device; ``heatmaps`` one per image, unresized; ``masks`` (n, rows, cols) at the
    images' size, True where the object is, None where nobody marked it.
    """

    model: Model
    images: Float[Tensor, "n c h w"]
    units: tuple[Unit, ...]
    heatmaps: tuple[Heatmap, ...]
    method: Method
    masks: Bool[np.ndarray, "n h w"] | None = None

    def __post_init__(self) -> None:
        counts = {"images": len(self.images), "units": len(self.units), "heatmaps": len(self.heatmaps)}
        if len(set(counts.values())) != 1:
            raise InterpError("one unit and one heatmap per image are needed, not " + ", ".join(f"{n} {k}" for k, n in counts.items()))
        if self.masks is not None and self.masks.shape != (len(self.images), *self.images.shape[-2:]):
            raise InterpError(f"`masks` has shape {self.masks.shape}, but the images need {(len(self.images), *self.images.shape[-2:])}")

    def resized(self) -> Float[np.ndarray, "n h w"]:
        """The signed maps, bilinear at the images' size."""
        size = (int(self.images.shape[-2]), int(self.images.shape[-1]))
        return np.stack([heatmap.resized(size).values for heatmap in self.heatmaps])


@runtime_checkable
class Metric(Protocol):
    """A frozen dataclass whose fields are its options (``seed`` where it draws, ``batch_size`` where it runs the network)."""

    name: ClassVar[str]  # as typed on the command line: "deletion"
    title: ClassVar[str]  # as written in tables and figures: "Deletion AUC"
    better: ClassVar[Better]
    needs_masks: ClassVar[bool]
    least_images: ClassVar[int]
    source: ClassVar[str]

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        """One value per image; NaN where the metric is not defined for it (as the class says when)."""
        ...
