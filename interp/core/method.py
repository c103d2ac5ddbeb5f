"""``Method -> Heatmap``: what an attribution method gives: signed, at the layer's own resolution, with its doubts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from interp.core.model import Model
from interp.core.unit import Unit


class Fault(StrEnum):
    """The ways in which a map can be no evidence although it could be computed."""

    ZERO = "zero map"
    SATURATED = "saturated"
    NOT_FINITE = "not finite"
    PLAIN_GRADIENT = "equals the plain gradient"
    CLASS_TOKEN_ONLY = "gradient on the class token only"
    INCOMPLETE = "completeness gap"
    BEYOND_PLACE = "not kept to the unit's place"


@dataclass(frozen=True)
class Degeneration:
    """Why a map should not be believed: ``label`` fits below a panel, ``sentence`` says what happened and what to do."""

    fault: Fault
    label: str
    sentence: str


class Place(StrEnum):
    """Where a method's map is computed: at the input's pixels, at a layer that is named, or over a whole transformer."""

    INPUT = "input"
    LAYER = "layer"
    NETWORK = "network"


class Family(StrEnum):
    """What a method is made of."""

    GRADIENT = "gradient"
    CAM = "CAM"
    PERTURBATION = "perturbation"
    ATTENTION = "attention"
    CONTROL = "control"


@dataclass(frozen=True, eq=False)
class Heatmap:
    """How much each place of one image speaks for ``unit``, according to ``method``.

    ``values`` are signed floats (rows, cols), unresized, in the method's own unit; the positive part and
    resizing are explicit steps. ``layer`` is where it was computed; "" for the input. ``measures`` are numbers that
    belong to the map, such as ("completeness gap", 0.01); ``degenerations`` say why it may be no evidence.

    ``numpy.asarray(heatmap)`` gives ``values``.
    """

    values: Float[np.ndarray, "rows cols"]
    unit: Unit
    method: str
    layer: str = ""
    measures: tuple[tuple[str, float], ...] = ()
    degenerations: tuple[Degeneration, ...] = ()

    def __repr__(self) -> str:
        rows, cols = self.values.shape
        return f"Heatmap({self.method} of '{self.unit}' at '{self.layer}', {rows} x {cols})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype, copy=copy)

    @property
    def positive(self) -> Heatmap:
        """Negative values set to zero (the ReLU of Grad-CAM, Selvaraju et al. 2017, eq. 2)."""
        return replace(self, values=np.maximum(self.values, 0))

    def resized(self, size: tuple[int, int]) -> Heatmap:
        """Bilinear, (rows, cols) pixels, corners not aligned."""
        maps = torch.from_numpy(np.array(self.values))[None, None]  # copied: torch warns of read-only arrays
        values = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)[0, 0].numpy()
        return replace(self, values=values)


@runtime_checkable
class Method(Protocol):
    """An attribution method: one Heatmap per image, for one unit per image.

    A frozen dataclass whose fields are its options. Those that work at a layer have a field ``layer``, those that draw
    have ``seed``, those that run many variants of an image have ``batch_size``. A map does not depend on which other images
    are asked about with it.
    """

    name: ClassVar[str]  # as typed on the command line: "integrated-gradients"
    title: ClassVar[str]  # as written in figures, and Heatmap.method: "Integrated gradients"
    place: ClassVar[Place]
    family: ClassVar[Family]
    source: ClassVar[str]  # "Sundararajan et al. 2017"

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]: ...


def frozen(values: Float[np.ndarray, "rows cols"]) -> Float[np.ndarray, "rows cols"]:
    """A read-only copy, fit for a `Heatmap`: it holds no larger array and no graph alive."""
    copy = np.array(values)
    copy.flags.writeable = False
    return copy
