"""Objectives on the image itself: what keeps it plain. All are at most 0, to be added with a weight."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from interp.featurevis.objective import IMAGE, Activations, Objective


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
