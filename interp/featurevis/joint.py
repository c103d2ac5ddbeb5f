"""Objectives of several images that are optimized together: different faces of one unit, ways from one unit to another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis.objective import Activations, Objective
from interp.featurevis.targets import gram
from interp.featurevis.units import objective_of

# The length of a Gram matrix below which its cosine with any other counts as 0.
_TINY = 1e-12
# How far apart in the row of images two of them may be to count as neighbours (lucid).
_REACH = 4


@dataclass(frozen=True)
class Diversity(Objective):
    """Minus the mean cosine of an image's Gram matrix at ``layer`` with those of the other images, in [-1, 0].

    0 where no two images make channels fire together in a similar way, -1 where all have one texture (Olah et al. 2017,
    "diversity"). To be added with a weight: ``Channel(unit) + 2.0 * Diversity(layer, 4)``. ``images``: how many.
    """

    layer: str
    images: int = 4

    def __post_init__(self) -> None:
        _check_images("Diversity", self.images)

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        maps = activations[self.layer]
        _check_count(self, self.images, len(maps))
        flat = gram(maps).flatten(1)
        units = flat / flat.norm(dim=1, keepdim=True).clamp_min(_TINY)
        cosines = (units @ units.T) * (1 - torch.eye(self.images, dtype=maps.dtype, device=maps.device))
        means: Tensor = cosines.sum(1) / (self.images - 1)
        return -means

    def __str__(self) -> str:
        return f"diversity of {self.images} at {self.layer}"


@dataclass(frozen=True)
class Alignment(Objective):
    """Minus the mean square difference of an image's maps at ``layer`` to those of its neighbours in the row of images; at most 0.

    Images up to 4 apart are neighbours; each further one counts 1 / ``decay`` as much, the next 1 / ``decay``. Each
    image of a pair bears half of what lucid's ``alignment`` takes off, so that the sum over the images is lucid's. It
    keeps in place what two images share, on the way from one unit to another (Olah et al. 2017).
    """

    layer: str
    images: int = 4
    decay: float = 2.0

    def __post_init__(self) -> None:
        _check_images("Alignment", self.images)
        if not 0 < self.decay < math.inf:
            raise InterpError(f"the `decay` of Alignment is {self.decay}: give by how much each further one counts less, such as 2.0")

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        maps = activations[self.layer]
        _check_count(self, self.images, len(maps))
        total = maps.new_zeros(self.images)
        for apart in range(1, min(_REACH, self.images - 1) + 1):
            pairs = (maps[apart:] - maps[:-apart]).square().flatten(1).mean(1) / (2 * self.decay**apart)
            nothing = maps.new_zeros(apart)
            total = total - torch.cat([pairs, nothing]) - torch.cat([nothing, pairs])
        return total

    def __str__(self) -> str:
        return f"alignment of {self.images} at {self.layer}, decay {self.decay:g}"


@dataclass(frozen=True)
class Interpolation(Objective):
    """On the way from one unit to another: image i of n has (1 - i / (n - 1)) of ``first`` and i / (n - 1) of ``second``.

    A unit with a place is a neuron, without one the mean of its channel (lucid's ``channel_interpolate``).
    """

    first: Unit
    second: Unit
    images: int = 5

    def __post_init__(self) -> None:
        _check_images("Interpolation", self.images)

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.first.layer, self.second.layer)))

    def __call__(self, activations: Activations) -> Float[Tensor, " n"]:
        first, second = objective_of(self.first)(activations), objective_of(self.second)(activations)
        _check_count(self, self.images, len(first))
        share = torch.linspace(0, 1, self.images, dtype=first.dtype, device=first.device)
        return (1 - share) * first + share * second

    def validate(self, model: Model, size: tuple[int, int] | None = None) -> None:
        objective_of(self.first).validate(model, size)
        objective_of(self.second).validate(model, size)

    def __str__(self) -> str:
        return f"{self.first} to {self.second} in {self.images}"


def _check_images(what: str, images: int) -> None:
    if isinstance(images, bool) or not isinstance(images, int) or images < 2:
        raise InterpError(f"the `images` of {what} are {images!r}: give how many images are optimized together, 2 or more")


def _check_count(objective: Objective, images: int, given: int) -> None:
    if images != given:
        raise InterpError(f"'{objective}' compares {images} images, but was given {given}: give the activations of all of them at once")
