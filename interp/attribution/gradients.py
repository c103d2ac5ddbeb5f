"""The gradient of a unit's score in the image: alone (saliency) and times the image's difference from a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import captum.attr
import torch
from jaxtyping import Float
from torch import Tensor

from interp.attribution.channels import Reduction
from interp.attribution.pixelwise import Explained, Pixelwise
from interp.core.baseline import Baseline, baseline
from interp.core.memory import by_parts, fitting
from interp.core.model import Model
from interp.core.score import Scores
from interp.core.unit import Unit


@dataclass(frozen=True)
class Saliency(Pixelwise):
    """The gradient of the score in the image; by default the largest magnitude over channels, so never negative.

    `raw` is the signed gradient, in score per unit of brightness.
    """

    name: ClassVar[str] = "saliency"
    title: ClassVar[str] = "Saliency"
    source: ClassVar[str] = "Simonyan et al. 2013"

    reduction: Reduction = Reduction.MAX_ABS

    @property
    def reduces_by(self) -> Reduction:
        return self.reduction

    def _explain(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> Explained:
        return Explained.plainly(gradient(model, images, units))


@dataclass(frozen=True)
class InputXGradient(Pixelwise):
    """(x - x0) times the gradient at the image x, for a baseline x0; summed over channels; in the score's unit.

    Pixels that equal the baseline get zero. The mean colour, the default, is zero to the network: the normalized input times
    the gradient in it, as is usual in the literature. `Baseline.BLACK` gives the [0, 1] image times its gradient.
    """

    name: ClassVar[str] = "input-x-gradient"
    title: ClassVar[str] = "Input x gradient"
    source: ClassVar[str] = "Shrikumar et al. 2016"

    baseline: Baseline = Baseline.MEAN

    def _explain(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> Explained:
        differences = images - baseline(model, images, self.baseline)
        return Explained.plainly(differences * gradient(model, images, units))


def gradient(model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> Float[Tensor, "n c h w"]:
    """The signed gradient of each image's own unit, for images that are checked and the caller's own; to be used in `undisturbed`."""

    def part(start: int, stop: int) -> Tensor:
        return _gradient(model, images[start:stop], units[start:stop])

    return torch.cat(by_parts(model, len(images), part, _cost(images, units)))


def at_once(model: Model, image: Float[Tensor, "1 c h w"], unit: Unit, most: int, least: int = 1) -> int:
    """How many images a gradient method may run at once, at most ``most``; InterpError where ``least`` do not fit the model's memory."""
    return fitting(model, _cost(image, [unit]), most, lambda: _gradient(model, image, [unit]), least)


def _gradient(model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> Float[Tensor, "n c h w"]:
    scores = Scores(model, units)
    # A slice is no leaf where the images it is of need a gradient already.
    own = images.detach().requires_grad_()
    found: Tensor = captum.attr.Saliency(scores).attribute(own, target=scores.columns(units), abs=False)
    return found


def _cost(images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> tuple[object, ...]:
    return "gradient", tuple(dict.fromkeys(unit.layer for unit in units)), tuple(images.shape[1:])
