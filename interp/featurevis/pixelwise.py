"""Changes of the pixels' values where they are: noise and blur, drawn for each image by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from interp.errors import InterpError
from interp.featurevis.chain import Generators, Transform, check_count, uniform
from interp.featurevis.sampling import Images, Moved, Size
from interp.featurevis.smoothing import blurred

# Noise may bring a value this far out of [0, 1], in standard deviations' sum: beyond, an image is noise alone.
_LOUDEST = 0.5


@dataclass(frozen=True)
class Noise(Transform):
    """Adds to each value a normal draw of standard deviation ``sd`` and an even one from -``uniform`` to ``uniform``.

    In units of the [0, 1] range. Values are not cut: a step's gradient comes through everywhere.
    """

    sd: float
    uniform: float = 0.0

    def __post_init__(self) -> None:
        for name in ("sd", "uniform"):
            if not 0 <= getattr(self, name) <= _LOUDEST:
                raise InterpError(f"`{name}` of Noise is {getattr(self, name)}: give a share of the range of values, from 0 to {_LOUDEST}")

    def size(self, before: Size) -> Size:
        return before

    def __call__(self, images: Images, generators: Generators) -> Moved:
        check_count(images, generators)
        noise = torch.stack([self._drawn(tuple(images.shape[1:]), g) for g in generators])
        return images + noise.to(images)

    def _drawn(self, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
        noise = torch.zeros(shape)
        if self.sd:
            noise = torch.randn(shape, generator=generator).mul_(self.sd)
        if self.uniform:
            noise += torch.rand(shape, generator=generator).mul_(2 * self.uniform).sub_(self.uniform)
        return noise


@dataclass(frozen=True)
class Blur(Transform):
    """A Gaussian blur whose standard deviation, in pixels, is drawn evenly from ``low`` to ``high``; mirrored at the edges."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high < math.inf:
            raise InterpError(
                f"Blur goes from {self.low} to {self.high} px: give two standard deviations, the smaller first, as 0.0 and 1.0"
            )

    def size(self, before: Size) -> Size:
        return before

    def __call__(self, images: Images, generators: Generators) -> Moved:
        check_count(images, generators)
        return blurred(images, uniform(self.low, self.high, generators), self.high)
