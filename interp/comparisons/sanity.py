"""Maps as the weights are randomized: which methods notice, and how soon (Adebayo et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from interp.comparisons.attributed import Maps, Step
from interp.comparisons.contenders import Contender, names
from interp.comparisons.depth_curves import Line
from interp.core.method import Heatmap
from interp.core.model import Model
from interp.core.unit import Unit
from interp.metrics import cascade as cascades
from interp.metrics.agreement import Similarity
from interp.metrics.cascade import Order, likeness
from interp.metrics.statistics import bootstrap_interval

TRAINED = "trained"


@dataclass(frozen=True, eq=False)
class Sanity:
    """Maps and their likeness to the trained network's, for each contender, after each stage of a cascade.

    ``stages``: the layers randomized last, from the first stage on; ``maps[contender][stage][image]``;
    ``alike[measure][contender]`` (stages, images), NaN where a map is constant.
    """

    order: Order
    stages: tuple[tuple[str, ...], ...]
    maps: Mapping[Contender, Sequence[Sequence[Heatmap]]]
    alike: Mapping[Similarity, Mapping[Contender, Float[np.ndarray, "stages n"]]]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the stages: the trained network, then the layer that each stage ends with."""
        return (TRAINED, *(stage[-1] for stage in self.stages))

    def lines(self, measure: Similarity, seed: int = 0) -> dict[str, Line]:
        """By contender: mean likeness with bootstrap intervals over images, from the trained network (1) on."""
        called = names(self.alike[measure])
        return {called[contender]: _line(rows, seed) for contender, rows in self.alike[measure].items()}


def randomized(
    model: Model,
    images: Float[Tensor, "n c h w"],
    units: Sequence[Unit],
    maps: Maps,
    order: Order,
    measures: Sequence[Similarity],
    n_steps: int,
    seed: int,
    step: Step,
    batch_size: int = 32,
) -> Sanity:
    """Every contender asked again after each stage, about ``batch_size`` images at once; the model is left as it was."""
    found: dict[Contender, list[cascades.Step]] = {}
    for done, contender in enumerate(maps):
        step(f"randomizing, {order}", done, len(maps))
        found[contender] = cascades.cascade(
            contender.method, model, images, units, order=order, n_steps=n_steps, seed=seed, batch_size=batch_size
        )
    step(f"randomizing, {order}", len(maps), len(maps))
    stages = next(iter(found.values()))
    alike = {measure: {c: likeness(maps[c], steps, measure) for c, steps in found.items()} for measure in measures}
    return Sanity(order, tuple(s.layers for s in stages), {c: [s.heatmaps for s in steps] for c, steps in found.items()}, alike)


def _line(rows: Float[np.ndarray, "stages n"], seed: int) -> Line:
    intervals = [bootstrap_interval(row, seed=seed) for row in rows]
    mean, low, high = (np.array([1.0, *(getattr(i, part) for i in intervals)]) for part in ("mean", "low", "high"))
    return Line(mean, low, high)
