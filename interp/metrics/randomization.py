"""Does a method notice that the weights were randomized? A map that stays the same explains the image, not the network.

Cascades are those of `cascade`; ``batch_size`` images are explained at once. Numbers are NaN where the trained map is constant or
not finite, and steps at which a map is so do not count: a vanished map is neither alike nor different. A method that ignores the
weights, such as |input|, is found out: its similarity is 1 and its complexity does not rise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.method import Heatmap, frozen
from interp.core.model import Model
from interp.core.randomize import Redraw
from interp.core.rng import content, generator
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.metrics.agreement import Similarity, mean_defined
from interp.metrics.cascade import Ask, Order, Step, cascade, in_batches, likeness
from interp.metrics.evidence import Better, Evidence


@dataclass(frozen=True)
class Randomization:
    """Similarity to the trained map, the mean over the steps of the cascade: how soon, and how far, the map changes.

    The trained network itself is no step. Adebayo et al. 2018 look at the whole curve (`randomization_curve`); the mean is the
    average that Hedström et al. 2024 compute per image. With one step it is the similarity after full randomization. Values
    around 0 and below mean the same: nothing of the map is left.

    Where a class is read behind a ReLU (SqueezeNet), random weights can switch it off, and maps are zero: ask for the unit
    before the ReLU (``classifier.1:281``) instead.
    """

    name: ClassVar[str] = "randomization"
    title: ClassVar[str] = "Similarity under randomization"
    better: ClassVar[Better] = Better.LOWER
    needs_masks: ClassVar[bool] = False
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = "Adebayo et al. 2018"

    order: Order = Order.TOP_DOWN
    similarity: Similarity = Similarity.ABSOLUTE_SPEARMAN
    n_steps: int = 6
    redraw: Redraw = Redraw.RESET
    batch_size: int = 32
    seed: int = 0

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        steps = _cascade(self, evidence.method, evidence)
        return mean_defined(likeness(evidence.heatmaps, steps, self.similarity))


@dataclass(frozen=True)
class SmoothRandomization:
    """sMPRT: as `Randomization`, of maps that are averaged over noisy copies of the image, so that noise in them hides no likeness.

    Gaussian noise of standard deviation ``noise`` times the image's own range, the same for the trained and the random network.
    From the bottom, as the paper advises: from the top, what lower layers still let pass keeps maps alike. The paper takes 50
    samples; the cost is ``n_samples`` times (steps + 1) maps.
    """

    name: ClassVar[str] = "smprt"
    title: ClassVar[str] = "Similarity under randomization (sMPRT)"
    better: ClassVar[Better] = Better.LOWER
    needs_masks: ClassVar[bool] = False
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = "Hedström et al. 2024"

    n_samples: int = 8
    noise: float | int = 0.1
    order: Order = Order.BOTTOM_UP
    similarity: Similarity = Similarity.ABSOLUTE_SPEARMAN
    n_steps: int = 3
    redraw: Redraw = Redraw.RESET
    batch_size: int = 32
    seed: int = 0

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        def ask(model: Model, images: Tensor, units: Sequence[Unit]) -> list[Heatmap]:
            return averaged(evidence.method, model, images, units, self.n_samples, self.noise, self.seed)

        trained = in_batches(ask, evidence.model, evidence.images, evidence.units, self.batch_size)
        steps = _cascade(self, ask, evidence)
        return mean_defined(likeness(trained, steps, self.similarity))


@dataclass(frozen=True)
class EfficientRandomization:
    """eMPRT: the relative rise of the map's complexity from the trained to a fully random network, (H_random - H) / H.

    H is the entropy of the histogram of the map's values, at the image's size, in ``bins`` bins between its own extremes
    (`histogram_entropy`). No two maps are compared pixel by pixel. 0: it does not rise; below 0: the random network's map is
    the simpler one.
    """

    name: ClassVar[str] = "emprt"
    title: ClassVar[str] = "Rise of complexity (eMPRT)"
    better: ClassVar[Better] = Better.HIGHER
    needs_masks: ClassVar[bool] = False
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = "Hedström et al. 2024"

    bins: int = 100
    redraw: Redraw = Redraw.RESET
    batch_size: int = 32
    seed: int = 0

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        e, s = evidence, self
        (step,) = cascade(e.method, e.model, e.images, e.units, n_steps=1, redraw=s.redraw, seed=s.seed, batch_size=s.batch_size)
        # A layer's few places would each have a bin of their own.
        size = (int(evidence.images.shape[-2]), int(evidence.images.shape[-1]))
        before = np.array([histogram_entropy(heatmap.resized(size).values, self.bins) for heatmap in evidence.heatmaps])
        after = np.array([histogram_entropy(heatmap.resized(size).values, self.bins) for heatmap in step.heatmaps])
        rise: np.ndarray = (after - before) / before
        return rise


def _cascade(metric: Randomization | SmoothRandomization, ask: Ask, evidence: Evidence) -> list[Step]:
    return cascade(
        ask,
        evidence.model,
        evidence.images,
        evidence.units,
        order=metric.order,
        n_steps=metric.n_steps,
        redraw=metric.redraw,
        seed=metric.seed,
        batch_size=metric.batch_size,
    )


def histogram_entropy(values: Float[np.ndarray, "rows cols"], bins: int = 100) -> float:
    """Entropy in nats of the histogram of ``values`` in equal bins from their least to their largest; 0 to ln(bins).

    Unchanged if the map is multiplied by a positive number or shifted. NaN where it is constant or not finite. Raises
    InterpError for fewer than 2 bins.
    """
    if bins < 2:
        raise InterpError(f"`bins` is {bins}: give at least 2")
    exact = values.astype(np.float64)
    if not np.isfinite(exact).all() or not (exact != exact.flat[0]).any():
        return float("nan")
    exact = exact / np.abs(exact).max()
    exact = (exact - exact.min()) / (exact.max() - exact.min())
    counts, _ = np.histogram(exact, bins=bins, range=(0, 1))
    share = counts[counts > 0] / exact.size
    return float(-(share * np.log(share)).sum())


def averaged(
    method: Ask, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit], n_samples: int, noise: float | int, seed: int
) -> list[Heatmap]:
    """Each image's map, the mean over ``n_samples`` noisy copies; noise depends on ``seed`` and the image, not on its company.

    The noise's standard deviation is ``noise`` times the image's range; what exceeds half of that range is cut off, so that the
    image stays near [0, 1].
    """
    if n_samples < 1 or not noise >= 0:
        raise InterpError(f"`n_samples` is {n_samples} and `noise` {noise}: give at least 1 sample, and noise of 0 or more")
    names = [content(image) for image in images]
    spans = images.amax(dim=(1, 2, 3), keepdim=True) - images.amin(dim=(1, 2, 3), keepdim=True)
    total: list[np.ndarray] = []
    for sample in range(n_samples):
        drawn = torch.stack([torch.randn(images.shape[1:], generator=generator(seed, "smprt", sample, name)) for name in names])
        noisy = images + (noise * drawn).clamp(-0.5, 0.5).to(images) * spans
        heatmaps = method(model, noisy, units)
        values = [heatmap.values.astype(np.float64) for heatmap in heatmaps]
        total = [a + b for a, b in zip(total, values, strict=True)] if total else values
    return [replace(heatmap, values=frozen(sum_ / n_samples)) for heatmap, sum_ in zip(heatmaps, total, strict=True)]
