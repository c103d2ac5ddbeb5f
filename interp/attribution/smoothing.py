"""Statistics of another method's maps over noisy copies of the image: their mean, mean square, or variance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interp.attribution.channels import reduced
from interp.attribution.degeneration import of_values
from interp.attribution.gradients import Saliency
from interp.attribution.pixelwise import Pixelwise
from interp.attribution.variants import refuse_below
from interp.core.method import Degeneration, Family, Fault, Heatmap, Method, Place, frozen
from interp.core.model import Model
from interp.core.rng import content, generator
from interp.core.score import checked_units
from interp.core.unit import Unit
from interp.errors import InterpError

_GRADIENT = Saliency()

# Beyond this a `Model` takes an image for a mistake. Noise of 15% goes there once in a thousand draws, at black and white pixels.
_RANGE = (-0.5, 1.5)

# Faults of a map that do not lie in its values, and so hold for the statistic where they hold for every copy.
_INHERITED = (Fault.PLAIN_GRADIENT, Fault.CLASS_TOKEN_ONLY)


@dataclass(frozen=True)
class Smoothed(ABC):
    """A statistic of ``around``'s maps over ``n_samples`` copies of the image with Gaussian noise.

    ``noise`` is its standard deviation as a share of the image's range (largest minus smallest value); the paper uses 0.1 to
    0.2. Copies are cut to [-0.5, 1.5] and run ``batch_size`` at a time. Draws depend on ``seed`` and the image alone, so that the
    three statistics see the same copies. Of methods at the pixels it is the signed values of each channel that enter the
    statistic, before channels are reduced as ``around`` does; of others, their maps.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    place: ClassVar[Place] = Place.INPUT
    family: ClassVar[Family] = Family.GRADIENT
    least_samples: ClassVar[int] = 1

    around: Method = _GRADIENT
    n_samples: int = 16
    noise: float | int = 0.15
    batch_size: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        refuse_below(self.least_samples, n_samples=self.n_samples)
        refuse_below(1, batch_size=self.batch_size)
        if not 0 < self.noise <= 1:
            raise InterpError(f"`noise` is {self.noise}: give a share of the image's range above 0 and up to 1, such as 0.15")

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap per image, of the size that ``around`` gives; raises what ``around`` raises."""
        images = model.checked(images)
        units = checked_units(model, units, len(images))
        return [self._one(model, image, unit) for image, unit in zip(images, units, strict=True)]

    @staticmethod
    @abstractmethod
    def statistic(mean: Tensor, square: Tensor) -> Tensor:
        """From the mean and the mean square over copies, both float64."""

    def copies(self, image: Float[Tensor, "c h w"]) -> Float[Tensor, "n c h w"]:
        """The noisy copies of one image, in the order of their draws."""
        rng = generator(self.seed, "smoothing", content(image))
        spread = self.noise * (float(image.max()) - float(image.min()))
        # Drawn one by one on the CPU, so that neither the batch size nor the device changes them.
        draws = torch.stack([torch.randn(image.shape, generator=rng) for _ in range(self.n_samples)])
        return (image + spread * draws.to(image)).clamp(*_RANGE)

    def _one(self, model: Model, image: Float[Tensor, "c h w"], unit: Unit) -> Heatmap:
        copies = self.copies(image)
        totals: list[Tensor] = []
        squares: list[Tensor] = []
        doubts: list[tuple[Degeneration, ...]] = []
        layer = ""
        for batch in copies.split(self.batch_size):
            values, found, layer = self._values(model, batch, unit)
            totals.append(values.sum(dim=0))
            squares.append(values.square().sum(dim=0))
            doubts += found
        values = self.statistic(*(torch.stack(sums).sum(dim=0) / self.n_samples for sums in (totals, squares)))
        if isinstance(self.around, Pixelwise):
            values = reduced(values[None], self.around.reduces_by)[0]
        array = values.float().cpu().numpy()
        return Heatmap(frozen(array), unit, self.title, layer, degenerations=(*_shared(doubts), *of_values(array)))

    def _values(self, model: Model, batch: Tensor, unit: Unit) -> tuple[Tensor, list[tuple[Degeneration, ...]], str]:
        """What ``around`` gives for some copies, float64, with its doubts and its layer."""
        if isinstance(self.around, Pixelwise):
            explained = self.around.explained(model, batch, [unit] * len(batch))
            return explained.values.double(), list(explained.degenerations), self.around.computed_at
        maps = self.around(model, batch, [unit] * len(batch))
        values = torch.stack([torch.tensor(heatmap.values) for heatmap in maps]).double()
        return values, [heatmap.degenerations for heatmap in maps], maps[0].layer


@dataclass(frozen=True)
class SmoothGrad(Smoothed):
    """The mean over noisy copies."""

    name: ClassVar[str] = "smoothgrad"
    title: ClassVar[str] = "SmoothGrad"
    source: ClassVar[str] = "Smilkov et al. 2017"

    @staticmethod
    def statistic(mean: Tensor, square: Tensor) -> Tensor:
        return mean


@dataclass(frozen=True)
class SmoothGradSquared(Smoothed):
    """The mean square over noisy copies; never negative."""

    name: ClassVar[str] = "smoothgrad-squared"
    title: ClassVar[str] = "SmoothGrad squared"
    source: ClassVar[str] = "Hooker et al. 2019"

    @staticmethod
    def statistic(mean: Tensor, square: Tensor) -> Tensor:
        return square


@dataclass(frozen=True)
class VarGrad(Smoothed):
    """The variance over noisy copies (divided by their number); never negative."""

    name: ClassVar[str] = "vargrad"
    title: ClassVar[str] = "VarGrad"
    source: ClassVar[str] = "Adebayo et al. 2018"
    least_samples: ClassVar[int] = 2

    @staticmethod
    def statistic(mean: Tensor, square: Tensor) -> Tensor:
        return (square - mean.square()).clamp(min=0)


def _shared(doubts: Sequence[tuple[Degeneration, ...]]) -> tuple[Degeneration, ...]:
    """Those of the first copy's doubts that every copy shares."""
    faults = [{doubt.fault for doubt in found} for found in doubts]
    return tuple(doubt for doubt in doubts[0] if doubt.fault in _INHERITED and all(doubt.fault in found for found in faults))
