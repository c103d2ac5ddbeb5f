"""Integrated gradients: the gradient along the straight line from a baseline to the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import captum.attr
from jaxtyping import Float
from torch import Tensor

from interp.attribution import completeness
from interp.attribution.gradients import at_once
from interp.attribution.pixelwise import Explained, Pixelwise
from interp.attribution.variants import refuse_below
from interp.core.baseline import Baseline, baseline
from interp.core.memory import halving
from interp.core.model import Model
from interp.core.score import Scores, evaluate
from interp.core.unit import Unit

_MORE_STEPS = "the gradient changes faster along the path than the steps follow, so raise `n_steps`"


@dataclass(frozen=True)
class IntegratedGradients(Pixelwise):
    """(x - x0) times the mean gradient between the baseline x0 and the image x, summed over channels; in the score's unit.

    ``n_steps`` points by Gauss-Legendre, ``batch_size`` of them at a time. The paper starts from black, which gives black
    pixels nothing; the default here is the mean colour, zero to the network, which takes neither dark nor bright for
    nothing. The completeness gap |sum - (f(x) - f(x0))| / |f(x) - f(x0)| is among the map's measures, and above 5% a fault.
    """

    name: ClassVar[str] = "integrated-gradients"
    title: ClassVar[str] = "Integrated gradients"
    source: ClassVar[str] = "Sundararajan et al. 2017"

    n_steps: int = 32
    baseline: Baseline = Baseline.MEAN
    batch_size: int = 32

    def __post_init__(self) -> None:
        refuse_below(1, n_steps=self.n_steps, batch_size=self.batch_size)

    def _explain(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> Explained:
        starts = baseline(model, images, self.baseline)
        parts = [self._one(model, images[i : i + 1], starts[i : i + 1], unit) for i, unit in enumerate(units)]
        return Explained.together(parts)

    def _one(self, model: Model, image: Float[Tensor, "1 c h w"], start: Float[Tensor, "1 c h w"], unit: Unit) -> Explained:
        method: Any = captum.attr.IntegratedGradients(Scores(model, [unit]))

        def along(count: int) -> Tensor:
            found: Tensor = method.attribute(image, start, target=0, n_steps=self.n_steps, internal_batch_size=count).detach()
            return found

        values = halving(at_once(model, image, unit, self.batch_size), along)
        there, here = (float(evaluate(model, at, [unit])) for at in (image, start))
        gap = completeness.gap(float(values.double().sum()), there - here)
        return Explained(values, (completeness.measures(gap),), (completeness.doubts(gap, _MORE_STEPS),))
