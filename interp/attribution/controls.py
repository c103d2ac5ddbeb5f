"""Controls: maps that know nothing of the network. A method that scores no better than these has shown nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from skimage.filters import sobel
from torch import Tensor

from interp.attribution.degeneration import of_values
from interp.core.method import Family, Heatmap, Place, frozen
from interp.core.model import Model
from interp.core.rng import content, generator
from interp.core.score import checked_units
from interp.core.unit import Unit
from interp.errors import InterpError

# Rec. 709, as skimage.color.rgb2gray.
_LUMA = (0.2125, 0.7154, 0.0721)


@dataclass(frozen=True)
class RandomMap:
    """Uniform noise in [0, 1) at each pixel, which depends on the seed, the image and the unit alone."""

    name: ClassVar[str] = "random"
    title: ClassVar[str] = "Random"
    place: ClassVar[Place] = Place.INPUT
    family: ClassVar[Family] = Family.CONTROL
    source: ClassVar[str] = "control"

    seed: int = 0

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap (h, w) per image."""

        def noise(image: Tensor, unit: Unit) -> Tensor:
            return torch.rand(image.shape[1:], generator=generator(self.seed, self.name, content(image), unit))

        return _maps(self.title, model, images, units, noise)


@dataclass(frozen=True)
class InputMagnitude:
    """The magnitude of the normalized input, summed over channels: 0 where the image has the preprocessing's mean colour."""

    name: ClassVar[str] = "input-magnitude"
    title: ClassVar[str] = "|Input|"
    place: ClassVar[Place] = Place.INPUT
    family: ClassVar[Family] = Family.CONTROL
    source: ClassVar[str] = "control"

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap (h, w) per image, at least 0."""
        return _maps(self.title, model, images, units, lambda image, _: model.normalized(image[None])[0].abs().sum(0))


@dataclass(frozen=True)
class SobelEdges:
    """The magnitude of the Sobel gradient of the image's luma (the mean over channels where these are not three)."""

    name: ClassVar[str] = "sobel"
    title: ClassVar[str] = "Sobel edges"
    place: ClassVar[Place] = Place.INPUT
    family: ClassVar[Family] = Family.CONTROL
    source: ClassVar[str] = "Adebayo et al. 2018"

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap (h, w) per image, at least 0."""

        def edges(image: Tensor, _: Unit) -> Tensor:
            return torch.from_numpy(sobel(_luma(image).cpu().double().numpy()))  # type: ignore[no-untyped-call]

        return _maps(self.title, model, images, units, edges)


@dataclass(frozen=True)
class CentreGaussian:
    """exp(-d^2 / 2 sigma^2), d the distance from the image's centre; ``sigma`` as a fraction of the shorter side."""

    name: ClassVar[str] = "centre-gaussian"
    title: ClassVar[str] = "Centre Gaussian"
    place: ClassVar[Place] = Place.INPUT
    family: ClassVar[Family] = Family.CONTROL
    source: ClassVar[str] = "Judd et al. 2009"

    sigma: float | int = 0.25

    def __post_init__(self) -> None:
        if not 0 < self.sigma < float("inf"):
            raise InterpError(f"`sigma` is {self.sigma}: give a fraction of the shorter side, above 0")

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap (h, w) per image, in (0, 1]; the same for all images of one size."""

        def bump(image: Tensor, _: Unit) -> Tensor:
            rows, cols = (torch.arange(side) - (side - 1) / 2 for side in image.shape[1:])
            width = self.sigma * min(image.shape[1:])
            return torch.exp(-(rows[:, None] ** 2 + cols[None, :] ** 2) / (2 * width**2))

        return _maps(self.title, model, images, units, bump)


def _maps(
    title: str, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit], map_of: Callable[[Tensor, Unit], Tensor]
) -> list[Heatmap]:
    images = model.checked(images)
    found = []
    for image, unit in zip(images, checked_units(model, units, len(images)), strict=True):
        values = frozen(map_of(image, unit).cpu().numpy().astype(np.float32))
        found.append(Heatmap(values, unit, title, degenerations=of_values(values)))
    return found


def _luma(image: Float[Tensor, "c h w"]) -> Float[Tensor, "h w"]:
    if len(image) != len(_LUMA):
        return image.mean(0)
    return torch.einsum("c,chw->hw", torch.tensor(_LUMA, device=image.device, dtype=image.dtype), image)
