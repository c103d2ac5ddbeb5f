"""Expected gradients: integrated gradients averaged over several baselines, at points of the path that are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import captum.attr
import torch
from jaxtyping import Float
from torch import Tensor

from interp.attribution import completeness, distribution
from interp.attribution.gradients import at_once
from interp.attribution.pixelwise import Explained, Pixelwise
from interp.attribution.scoped import drawing
from interp.attribution.variants import refuse_below
from interp.core.baseline import Baseline
from interp.core.model import Model
from interp.core.rng import content
from interp.core.score import Scores, evaluate
from interp.core.unit import Unit

_MORE_SAMPLES = "it is an average over too few draws, so raise `n_samples`"


@dataclass(frozen=True)
class GradientShap(Pixelwise):
    """The mean of (x - x0) times the gradient at random points between x0 and the image x, over several baselines x0.

    Summed over channels; in the score's unit. ``n_samples`` points are drawn, equally many for each of ``baselines`` and
    ``batch_size`` at a time; they depend on ``seed`` and the image alone. No noise is added to the image: `SmoothGrad`
    around this method does that. The completeness gap is the difference from f(x) - mean f(x0), by its size; it falls
    with the root of ``n_samples``.
    """

    name: ClassVar[str] = "gradient-shap"
    title: ClassVar[str] = "GradientSHAP"
    source: ClassVar[str] = "Lundberg & Lee 2017; Erion et al. 2021"

    n_samples: int = 32
    baselines: tuple[Baseline, ...] = distribution.SEVERAL
    batch_size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        distribution.checked(self.baselines, self.title)
        refuse_below(len(self.baselines), n_samples=self.n_samples)
        refuse_below(1, batch_size=self.batch_size)

    def _explain(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> Explained:
        return Explained.together([self._one(model, images[i : i + 1], unit) for i, unit in enumerate(units)])

    def _one(self, model: Model, image: Float[Tensor, "1 c h w"], unit: Unit) -> Explained:
        starts = distribution.of(model, image, self.baselines)
        method = captum.attr.GradientShap(Scores(model, [unit]))
        values = torch.zeros_like(image)
        # Points are drawn one after the other, from one baseline each: they are the same however many go through the network at once.
        together = at_once(model, image, unit, min(self.batch_size, -(-self.n_samples // len(starts))))
        with drawing(image.device, self.seed, self.name, content(image[0])):
            for i, start in enumerate(starts.split(1)):
                draws = self.n_samples // len(starts) + (i < self.n_samples % len(starts))
                for begin in range(0, draws, together):
                    count = min(together, draws - begin)
                    found = method.attribute(image, start, n_samples=count, stdevs=0.0, target=0).detach()
                    values += found * (count / draws / len(starts))
        scores = evaluate(model, torch.cat([image, starts]), [unit] * (1 + len(starts)), self.batch_size)
        gap = completeness.gap(float(values.double().sum()), float(scores[0] - scores[1:].mean()))
        return Explained(values, (completeness.measures(gap),), (completeness.doubts(gap, _MORE_SAMPLES),))
