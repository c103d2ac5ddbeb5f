"""What units give on the mean, to which mean ablation sets them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from interp.core.model import Model
from interp.core.unit import Unit
from interp.editing.edits import Ablate
from interp.errors import InterpError


def mean_ablations(model: Model, images: Tensor | Iterable[Tensor], units: str | Iterable[str | Unit]) -> list[Ablate]:
    """`Ablate` of each unit to its mean over ``images``; units as `Model.units` reads them."""
    texts = [units] if isinstance(units, str) else [str(unit) for unit in units]
    chosen = model.units(texts)
    means = unit_means(model, images, chosen)
    return [Ablate(unit, means[unit]) for unit in chosen]


@torch.no_grad()
def unit_means(model: Model, images: Tensor | Iterable[Tensor], units: Sequence[Unit]) -> dict[Unit, float]:
    """The mean of each unit's map over places and pictures. ``images``: a batch (n, c, rows, cols) in [0, 1], or several.

    Of tokens only those with a place count. Raises InterpError where there is no picture.
    """
    layers = list(dict.fromkeys(unit.layer for unit in units))
    sums = dict.fromkeys(layers, torch.zeros(()))
    count = 0
    for batch in [images] if isinstance(images, Tensor) else images:
        outputs, _ = model.capture(layers, batch.to(model.device), truncate=True)
        for layer in layers:
            sums[layer] = sums[layer] + model.maps(layer, outputs[layer]).double().mean((2, 3)).sum(0).cpu()
        count += len(batch)
    if not count:
        raise InterpError("the mean of a unit needs pictures: give at least one")
    return {unit: float(sums[unit.layer][unit.channel]) / count for unit in units}
