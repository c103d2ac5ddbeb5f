"""Infidelity (Yeh et al. 2019): does the map predict how the score changes when the image does?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.baseline import Baseline, baseline
from interp.core.model import Model
from interp.core.rng import content, generator
from interp.errors import InterpError
from interp.metrics.evidence import Better, Evidence
from interp.metrics.scoring import Output, Score, scorer, scores_of, where_telling


class Scaling(StrEnum):
    """What is done about the scale of a map before it is compared with the score's changes.

    ``NONE``: nothing, eq. 1 of the paper. ``POSITIVE``: the map is multiplied by the factor of 0 or more that fits best, per image:
    max(0, beta*), with the paper's beta*. A map whose sign is wrong is then worth no more than a zero map. ``OPTIMAL``: multiplied by
    beta* itself, as Captum does; it may be negative, so that a map and its negative score the same. ``SHARE``: as ``POSITIVE``, divided
    by the mean squared change, so 0 is exact and 1 no better than a zero map.
    """

    NONE = "none"
    POSITIVE = "positive"
    OPTIMAL = "optimal"
    SHARE = "share"


@dataclass(frozen=True)
class Squares:
    """A square at a random place, inside the image, is removed to the baseline; its side is ``share`` of the shorter side, rounded.

    The map's values are taken as contributions: their sum inside the square predicts the drop. In the paper's terms I is
    ``x - baseline`` inside, and the map is already multiplied by it.
    """

    share: float | int = 0.25
    baseline: Baseline = Baseline.MEAN

    def baselines(self, model: Model, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """What squares are removed to."""
        return baseline(model, images, self.baseline)

    def draw(
        self, image: Float[Tensor, "c h w"], nothing: Float[Tensor, "c h w"], random: torch.Generator
    ) -> tuple[Float[Tensor, "h w"], Float[Tensor, "c h w"]]:
        """What the map's values are multiplied by, and the perturbed image."""
        rows, cols = image.shape[-2:]
        side = min(max(1, round(self.share * min(rows, cols))), rows, cols)
        row = int(torch.randint(rows - side + 1, (), generator=random))
        col = int(torch.randint(cols - side + 1, (), generator=random))
        inside = torch.zeros(rows, cols)
        inside[row : row + side, col : col + side] = 1
        return inside, torch.where(inside.to(image.device) > 0, nothing, image)


@dataclass(frozen=True)
class Noise:
    """Gaussian noise of standard deviation ``sigma``, in [0, 1] image units, is subtracted from the image.

    The map's values are taken as slopes, one for all channels of a pixel: I is summed over channels.
    """

    sigma: float | int = 0.1

    def baselines(self, model: Model, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The images themselves: noise needs no baseline."""
        return images

    def draw(
        self, image: Float[Tensor, "c h w"], nothing: Float[Tensor, "c h w"], random: torch.Generator
    ) -> tuple[Float[Tensor, "h w"], Float[Tensor, "c h w"]]:
        """What the map's values are multiplied by, and the perturbed image."""
        drawn = self.sigma * torch.randn(image.shape, generator=random)
        return drawn.sum(dim=0), image - drawn.to(image.device, image.dtype)


def responses(
    score: Score,
    images: Float[Tensor, "n c h w"],
    maps: Float[np.ndarray, "n h w"],
    baselines: Float[Tensor, "n c h w"],
    perturbation: Squares | Noise,
    *,
    n_samples: int = 64,
    batch_size: int = 8,
    seed: int = 0,
) -> tuple[Float[np.ndarray, "n samples"], Float[np.ndarray, "n samples"]]:
    """What the map predicts, I^T phi, and what happens, f(x) - f(x - I), for ``n_samples`` perturbations of each image.

    The perturbations belong to the image and ``seed``: all maps of an image are asked about the same ones. Raises InterpError
    where ``n_samples`` is below 1.
    """
    if n_samples < 1:
        raise InterpError(f"`n_samples` is {n_samples}: give at least 1")
    predicted = np.empty((len(images), n_samples))

    def variants() -> Iterator[tuple[int, Tensor]]:
        for i, (image, nothing) in enumerate(zip(images, baselines, strict=True)):
            random = generator(seed, "infidelity", content(image))
            yield i, image
            for k in range(n_samples):
                weights, changed = perturbation.draw(image, nothing, random)
                predicted[i, k] = np.vdot(weights.double().numpy(), maps[i].astype(np.float64))
                yield i, changed

    found = scores_of(score, variants(), batch_size).reshape(len(images), n_samples + 1)
    return predicted, found[:, :1] - found[:, 1:]


def infidelity(
    predicted: Float[np.ndarray, "n samples"], happened: Float[np.ndarray, "n samples"], scaling: Scaling = Scaling.POSITIVE
) -> Float[np.ndarray, " n"]:
    """The mean squared difference of what a map predicts and what happens, in squared units of the score (``SHARE``: no unit).

    beta* = E[predicted * happened] / E[predicted^2] (the paper's section 2.1); where all predictions are 0, so is every multiple, and the
    result is that of a zero map, as it is where beta* is negative and only factors of 0 or more are allowed. ``SHARE`` is NaN where
    nothing ever happens.
    """
    if scaling is Scaling.NONE:
        plain: np.ndarray = np.square(predicted - happened).mean(axis=1)
        return plain
    power = np.square(predicted).sum(axis=1)
    beta = (predicted * happened).sum(axis=1) / np.where(power > 0, power, 1)
    if scaling is not Scaling.OPTIMAL:
        beta = np.maximum(0, beta)
    error: np.ndarray = np.square(beta[:, None] * predicted - happened).mean(axis=1)
    if scaling is not Scaling.SHARE:
        return error
    scale = np.square(happened).mean(axis=1)
    share: np.ndarray = error / np.where(scale > 0, scale, np.nan)
    return share


@dataclass(frozen=True)
class Infidelity:
    """E[(I^T phi - (f(x) - f(x - I)))^2] over random perturbations I: 0 where the map predicts every change of the score.

    f is the raw score by default, which is what maps explain. NaN for a map that is constant (a zero map, too) or not finite. By
    default the scale is the best that keeps the sign: no map scores worse than one that predicts no change, which is the mean squared
    change (the value of `infidelity` for a zero map), and a map of the wrong sign scores just that.

    Squares are all of one size, so a constant map predicts the same drop for each, and the best constant prediction, the mean drop,
    is often near the truth: a constant map is a strong baseline under removal of squares (`infidelity` of its `responses`
    tells its value), and maps that are nearly constant come close to it.
    """

    name: ClassVar[str] = "infidelity"
    title: ClassVar[str] = "Infidelity"
    better: ClassVar[Better] = Better.LOWER
    needs_masks: ClassVar[bool] = False
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = "Yeh et al. 2019"

    perturbation: Squares | Noise = Squares()
    n_samples: int = 64
    scaling: Scaling = Scaling.POSITIVE
    output: Output = Output.LOGIT
    batch_size: int = 8
    seed: int = 0

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        return where_telling(evidence, self._measured)

    def _measured(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        predicted, happened = responses(
            scorer(evidence, self.output),
            evidence.images,
            evidence.resized(),
            self.perturbation.baselines(evidence.model, evidence.images),
            self.perturbation,
            n_samples=self.n_samples,
            batch_size=self.batch_size,
            seed=self.seed,
        )
        return infidelity(predicted, happened, self.scaling)
