"""The gradient of a unit's score in the image: alone (saliency) and times the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import captum.attr
from jaxtyping import Float
from torch import Tensor

from interp.attribution.channels import Reduction
from interp.attribution.pixelwise import Explained, Pixelwise
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
    """The gradient times the [0, 1] image, summed over channels; in the score's unit. Black pixels get zero."""

    name: ClassVar[str] = "input-x-gradient"
    title: ClassVar[str] = "Input x gradient"
    source: ClassVar[str] = "Shrikumar et al. 2016"

    def _explain(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> Explained:
        scores = Scores(model, units)
        values = captum.attr.InputXGradient(scores).attribute(images.requires_grad_(), target=scores.columns(units))
        return Explained.plainly(values)


def gradient(model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> Float[Tensor, "n c h w"]:
    """The signed gradient of each image's own unit, for images that are checked and the caller's own; to be used in `undisturbed`."""
    scores = Scores(model, units)
    found: Tensor = captum.attr.Saliency(scores).attribute(images.requires_grad_(), target=scores.columns(units), abs=False)
    return found
