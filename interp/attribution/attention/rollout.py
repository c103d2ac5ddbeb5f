"""Attention followed through all layers: rollout (Abnar & Zuidema 2020) and gradient rollout (Chefer et al. 2021).

Both multiply the layers' attention matrices and read rows of the product: those of the tokens that the score is read
from, the class token or the places in equal parts. The network itself tells which (`steps`). The product is formed
from its left, as a row vector times one matrix after the other.

The papers treat one sequence of tokens with global attention. The extension to windows and hierarchies (Swin, MaxViT)
is ours: each matrix is block-diagonal, one block for each window; where a layer merged places, a merged place hands
equal parts to those it came from; other layers between, such as convolutions, are taken to keep each place apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.attribution.attention.maps import BATCH
from interp.attribution.attention.partition import Partition
from interp.attribution.attention.steps import Steps, merged_back, of_classes, of_units
from interp.attribution.attention.survey import Survey, survey
from interp.attribution.degeneration import of_values
from interp.core.memory import by_parts
from interp.core.method import Family, Heatmap, Place, frozen
from interp.core.model import Model
from interp.core.score import checked_units
from interp.core.unit import Unit
from interp.errors import InterpError


class HeadFusion(StrEnum):
    """How the heads of a layer become one matrix."""

    MEAN = "mean"
    MAX = "max"
    MIN = "min"


@dataclass(frozen=True)
class AttentionRollout:
    """Attention rollout: the product over layers of ``0.5 A + 0.5 I``, the half standing for the residual connection.

    A is the attention of the heads, fused by ``heads``; in each of its rows the lowest share ``discard`` (in [0, 1), ties
    kept) is set to zero, attention to padding is too, and the row is divided by its sum. The values are non-negative;
    with those of class and register tokens, which are not shown, they sum to one. No gradient weights them: every class
    has the same map.
    """

    name: ClassVar[str] = "attention-rollout"
    title: ClassVar[str] = "Attention rollout"
    place: ClassVar[Place] = Place.NETWORK
    family: ClassVar[Family] = Family.ATTENTION
    source: ClassVar[str] = "Abnar & Zuidema 2020"

    heads: HeadFusion = HeadFusion.MEAN
    discard: float | int = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.discard < 1:
            raise InterpError(f"`discard` of AttentionRollout is {self.discard}: give a share from 0 up to, but not, 1")

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap per image, (rows, cols) of the first attention layer's grid.

        A unit may be of any layer behind an attention layer: the attention layers before it are those used. The model,
        the images and their ``.grad`` are left as they were.

        Raises Unsupported where the network has no attention layers, one of them cannot be followed, they form no
        chain, or a unit depends on none; InterpError and UnknownName as `gradcam.of`.
        """

        def steps(found: Survey, batch: Tensor, some: list[Unit]) -> Steps:
            if some[0].layer == model.output:
                return of_classes(model, found, batch)
            return of_units(model, found, batch, some, all_gradients=False)

        return _heatmaps(self.title, model, images, units, lambda *given: self._maps(steps(*given)))

    def _maps(self, steps: Steps) -> Float[Tensor, "n rows cols"]:
        weights = steps.readout
        for step, after in steps.backwards:
            weights = merged_back(weights, after, step)
            weights = (weights + step.partition.pull(weights, self._fused(step.matrices, step.partition))) / 2
        return steps.layers[0].partition.maps(weights)

    def _fused(self, matrices: Float[Tensor, "n windows heads q k"], partition: Partition) -> Float[Tensor, "n windows q k"]:
        fused = _fuse(matrices, self.heads) * partition.is_token(matrices)
        lowest = int(self.discard * fused.shape[3])
        if lowest:
            kept = fused.kthvalue(lowest + 1, dim=3, keepdim=True).values
            fused = fused.where(fused >= kept, 0)
        return fused.div(fused.sum(dim=3, keepdim=True).clamp_min(torch.finfo(fused.dtype).tiny))


@dataclass(frozen=True)
class GradientRollout:
    """Gradient-weighted rollout: ``R <- R + B R`` over the layers, with B the mean over heads of ``relu(G * A)``.

    A is the attention and G the gradient of the unit's score with respect to it (Chefer et al. 2021, for self-attention).
    R starts as the identity, whose own part is left out of the map: it would add the same to each place. The values are
    non-negative and speak for this unit.
    """

    name: ClassVar[str] = "gradient-rollout"
    title: ClassVar[str] = "Gradient rollout"
    place: ClassVar[Place] = Place.NETWORK
    family: ClassVar[Family] = Family.ATTENTION
    source: ClassVar[str] = "Chefer et al. 2021"

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap per image, (rows, cols) of the first attention layer's grid; as `AttentionRollout`.

        Images must not influence each other: it is the sum of their scores that is differentiated.
        """

        def maps(found: Survey, batch: Tensor, some: list[Unit]) -> Tensor:
            return self._maps(of_units(model, found, batch, some, all_gradients=True))

        return _heatmaps(self.title, model, images, units, maps)

    def _maps(self, steps: Steps) -> Float[Tensor, "n rows cols"]:
        identity = steps.readout
        # What is added to the identity is kept apart from it, as it is far smaller.
        added = torch.zeros_like(identity)
        for step, after in steps.backwards:
            identity, added = merged_back(identity, after, step), merged_back(added, after, step)
            assert step.gradient is not None
            weighted = (step.gradient * step.matrices).relu().mean(dim=2)
            added = added + step.partition.pull(identity + added, weighted)
        return steps.layers[0].partition.maps(added)


def _heatmaps(
    title: str,
    model: Model,
    images: Float[Tensor, "n c h w"],
    units: Sequence[Unit],
    maps: Callable[[Survey, Tensor, list[Unit]], Float[Tensor, "n rows cols"]],
) -> list[Heatmap]:
    """The heatmaps of all images, a few at a time; ``maps`` is given units of one layer, which share the layers before it."""
    images = model.checked(images)
    units = checked_units(model, units, len(images))
    found = survey(model, (images.shape[2], images.shape[3]))
    found.all()
    values: dict[int, np.ndarray] = {}
    for layer in dict.fromkeys(unit.layer for unit in units):
        asked = [i for i, unit in enumerate(units) if unit.layer == layer]

        def some(start: int, stop: int, asked: list[int] = asked) -> np.ndarray:
            chosen = asked[start:stop]
            rolled: np.ndarray = maps(found, images[chosen], [units[i] for i in chosen]).cpu().numpy()
            return rolled

        parts = by_parts(model, len(asked), some, (title, layer, tuple(images.shape[1:])), BATCH)
        values.update(zip(asked, (each for part in parts for each in part), strict=True))
    kept = [frozen(values[i]) for i in range(len(units))]
    return [Heatmap(each, unit, title, degenerations=of_values(each)) for each, unit in zip(kept, units, strict=True)]


def _fuse(matrices: Float[Tensor, "n windows heads q k"], heads: HeadFusion) -> Float[Tensor, "n windows q k"]:
    if heads is HeadFusion.MEAN:
        return matrices.mean(dim=2)
    return matrices.amax(dim=2) if heads is HeadFusion.MAX else matrices.amin(dim=2)
