"""``Method -> Heatmap``: what an attribution method gives: signed, at the layer's own resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interp.core.model import Model
from interp.core.unit import Unit


@dataclass(frozen=True, eq=False)
class Heatmap:
    """How much each place of one image speaks for ``unit``, according to ``method``.

    ``values`` are signed floats (rows, cols), unresized, in the method's own unit; the positive part and
    resizing are explicit steps. ``layer`` is where it was computed; "" for the input.
    """

    values: Float[np.ndarray, "rows cols"]
    unit: Unit
    method: str
    layer: str = ""

    def __repr__(self) -> str:
        rows, cols = self.values.shape
        return f"Heatmap({self.method} of '{self.unit}' at '{self.layer}', {rows} x {cols})"

    @property
    def positive(self) -> Heatmap:
        """Negative values set to zero (the ReLU of Grad-CAM, Selvaraju et al. 2017, eq. 2)."""
        return replace(self, values=np.maximum(self.values, 0))

    def resized(self, size: tuple[int, int]) -> Heatmap:
        """Bilinear, (rows, cols) pixels, corners not aligned."""
        maps = torch.from_numpy(np.array(self.values))[None, None]  # copied: torch warns of read-only arrays
        values = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)[0, 0].numpy()
        return replace(self, values=values)


class Method(Protocol):
    """An attribution method: one Heatmap per image, for one unit per image."""

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]: ...
