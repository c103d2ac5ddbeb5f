"""What methods at the input's pixels share: checks, one value per pixel and channel, the reduction to a `Heatmap`, its doubts.

The input of an attribution is the [0, 1] image, as normalization happens inside the model: gradients are per unit of
brightness, and "times input" means times the difference from a baseline, by default the mean colour (zero to the
network), so that a pixel of the baseline's colour gets zero.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interp.attribution import places
from interp.attribution.channels import Reduction, reduced
from interp.attribution.degeneration import of_values
from interp.attribution.scoped import undisturbed
from interp.core.method import Degeneration, Family, Heatmap, Place, frozen
from interp.core.model import Model
from interp.core.score import checked_units
from interp.core.unit import AnyUnit, Unit
from interp.errors import Unsupported


@dataclass(frozen=True, eq=False)
class Explained:
    """Attributions before the channels are reduced, and what is known of each image's: its numbers and its faults."""

    values: Float[Tensor, "n c h w"]
    measures: tuple[tuple[tuple[str, float], ...], ...]
    degenerations: tuple[tuple[Degeneration, ...], ...]

    @classmethod
    def plainly(cls, values: Float[Tensor, "n c h w"]) -> Explained:
        """Attributions of which nothing else is known."""
        return cls(values.detach(), ((),) * len(values), ((),) * len(values))

    @classmethod
    def together(cls, parts: Sequence[Explained]) -> Explained:
        """Several images' attributions as one."""
        return cls(
            torch.cat([part.values for part in parts]),
            tuple(measures for part in parts for measures in part.measures),
            tuple(degenerations for part in parts for degenerations in part.degenerations),
        )


@dataclass(frozen=True)
class Pixelwise(ABC):
    """A `Method` that gives each pixel and channel a value."""

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    place: ClassVar[Place] = Place.INPUT
    family: ClassVar[Family] = Family.GRADIENT

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[AnyUnit]) -> list[Heatmap]:
        """One Heatmap (rows, cols) per image, at the image's size.

        Images are [0, 1]; units one per image, which may differ, or what `Model.unit` makes one of. Raises InterpError and UnknownName
        where they are not, Unsupported where the method is not defined for this network.
        """
        found = self.explained(model, images, units)
        maps = reduced(found.values.float(), self.reduces_by).cpu().numpy()
        named = checked_units(model, units, len(maps))
        return [
            Heatmap(frozen(values), unit, self.title, self.computed_at, measures, (*degenerations, *of_values(values)))
            for values, unit, measures, degenerations in zip(maps, named, found.measures, found.degenerations, strict=True)
        ]

    def raw(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[AnyUnit]) -> Float[Tensor, "n c h w"]:
        """Signed attributions of each channel, before the reduction; no graph. Raises as a call does."""
        return self.explained(model, images, units).values

    def explained(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[AnyUnit]) -> Explained:
        """As `raw`, with each image's measures and degenerations."""
        images = model.checked(images)
        units = checked_units(model, units, len(images))
        with undisturbed(model.module):
            try:
                return self._explain(model, images.clone(), units)
            except RuntimeError as error:
                if not places.is_cut(error):
                    raise
                raise Unsupported(f"no {self.title} of '{units[0]}': {places.detached(units[0])}") from error

    @property
    def reduces_by(self) -> Reduction:
        """How channels become one value."""
        return Reduction.SUM

    @property
    def computed_at(self) -> str:
        """The layer that takes part; "" for none."""
        return ""

    @abstractmethod
    def _explain(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> Explained:
        """The attributions; ``images`` are this method's own, and the model may carry what is undone later."""
