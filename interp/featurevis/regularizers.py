"""Objectives on the image itself: what keeps it plain. All are at most 0, to be added with a weight."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from interp.errors import InterpError
from interp.featurevis.objective import ALPHA, IMAGE, Activations, Objective
from interp.featurevis.smoothing import smooth

# What a largest distance is at least taken as, where it is divided by.
_TINY = 1e-12


@dataclass(frozen=True)
class TotalVariation(Objective):
    """Minus the mean absolute difference of neighbouring pixels, rows plus columns, in [-2, 0] (Mahendran & Vedaldi 2015)."""

    @property
    def layers(self) -> tuple[str, ...]:
        return (IMAGE,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        images = activations[IMAGE]
        return -sum((images.diff(dim=d).abs().flatten(1).mean(1) for d in (2, 3) if images.shape[d] > 1), images.new_zeros(images.shape[0]))


@dataclass(frozen=True)
class L1(Objective):
    """Minus the mean absolute distance of the pixels from ``grey``, in [-1, 0]."""

    grey: float = 0.5

    @property
    def layers(self) -> tuple[str, ...]:
        return (IMAGE,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        return -(activations[IMAGE] - self.grey).abs().flatten(1).mean(1)


@dataclass(frozen=True)
class L2(Objective):
    """Minus the mean square distance of the pixels from ``grey``, in [-1, 0]."""

    grey: float = 0.5

    @property
    def layers(self) -> tuple[str, ...]:
        return (IMAGE,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        return -(activations[IMAGE] - self.grey).square().flatten(1).mean(1)


@dataclass(frozen=True)
class LInfinity(Objective):
    """Minus the power mean of the pixels' absolute distances from ``grey``, nearly the largest of them, in [-1, 0].

    (mean |pixel - grey| ** power) ** (1 / power). The largest distance itself would give a gradient to one pixel at a
    time; this nears it from below as ``power`` grows, and presses on all pixels that stand out.
    """

    grey: float = 0.5
    power: float = 16.0

    def __post_init__(self) -> None:
        if not 1 <= self.power <= 1000:
            raise InterpError(f"the `power` of LInfinity is {self.power}: give the exponent of the mean, from 1 to 1000, such as 16.0")

    @property
    def layers(self) -> tuple[str, ...]:
        return (IMAGE,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        distances = (activations[IMAGE] - self.grey).abs().flatten(1)
        # In units of the largest, so that high powers keep their digits; a flat image keeps a finite gradient.
        largest = distances.detach().amax(1).clamp_min(_TINY)
        means = (distances / largest[:, None]).pow(self.power).mean(1)
        return -largest * means.clamp_min(0.5 / distances.shape[1]).pow(1 / self.power)


@dataclass(frozen=True)
class Blur(Objective):
    """Minus the mean square difference between the image and itself blurred by a Gaussian, in [-1, 0].

    ``sigma``: the Gaussian's standard deviation in pixels. Detail finer than that is taken away, larger shapes cost
    nothing. At its edges the image is mirrored.
    """

    sigma: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma < math.inf:
            raise InterpError(f"the `sigma` of Blur is {self.sigma}: give the standard deviation of the Gaussian in pixels, such as 1.0")

    @property
    def layers(self) -> tuple[str, ...]:
        return (IMAGE,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        images = activations[IMAGE]
        return -(images - smooth(images, self.sigma)).square().flatten(1).mean(1)


@dataclass(frozen=True)
class Opacity(Objective):
    """Minus the mean opacity, in [-1, 0]: what the unit does not need becomes see-through. Constant for images without alpha."""

    @property
    def layers(self) -> tuple[str, ...]:
        return (ALPHA,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        return -activations[ALPHA].flatten(1).mean(1)
