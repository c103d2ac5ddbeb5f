"""Sensitivity-max (Yeh et al. 2019): how far does a map move when the image hardly does?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.rng import content, generator
from interp.errors import InterpError
from interp.metrics.evidence import Better, Evidence
from interp.metrics.scoring import where_telling

Explain = Callable[[Tensor, Sequence[int]], Sequence[np.ndarray]]
"""From images (m, c, h, w), and the index of the sample that each is a variant of, to one map (rows, cols) each."""


def nearby(image: Float[Tensor, "c h w"], radius: float | int, n_samples: int, seed: int = 0) -> Iterator[Float[Tensor, "c h w"]]:
    """``n_samples`` images at most ``radius`` away in every value, uniformly drawn; unclipped. They belong to the image and ``seed``."""
    random = generator(seed, "sensitivity", content(image))
    for _ in range(n_samples):
        step = radius * (2 * torch.rand(image.shape, generator=random) - 1)
        yield image + step.to(image.device, image.dtype)


def sensitivity_max(
    explain: Explain,
    images: Float[Tensor, "n c h w"],
    maps: Sequence[np.ndarray],
    *,
    radius: float | int = 0.02,
    n_samples: int = 10,
    batch_size: int = 8,
    seed: int = 0,
) -> Float[np.ndarray, " n"]:
    """max over perturbed images x' of ||map(x') - map(x)|| / ||map(x)||, Euclidean norms at the maps' own resolution (the paper's eq. 5).

    NaN where the map of the image is zero or one of the maps is not finite. ``batch_size`` images are explained at once. Raises
    InterpError where ``radius`` is not positive, ``n_samples`` or ``batch_size`` below 1, or a map changes its size.
    """
    if not radius > 0:
        raise InterpError(f"`radius` is {radius}: give a number above 0, in [0, 1] image units")
    for name, value in (("n_samples", n_samples), ("batch_size", batch_size)):
        if value < 1:
            raise InterpError(f"`{name}` is {value}: give at least 1")
    left = ((i, changed) for i, image in enumerate(images) for changed in nearby(image, radius, n_samples, seed))
    distances: list[float] = []
    while batch := list(islice(left, batch_size)):
        samples = [i for i, _ in batch]
        again = explain(torch.stack([changed for _, changed in batch]), samples)
        distances += [_distance(values, maps[i]) for values, i in zip(again, samples, strict=True)]
    farthest = np.array(distances).reshape(len(images), n_samples).max(axis=1)
    norms = np.array([np.linalg.norm(values.astype(np.float64)) for values in maps])
    found: np.ndarray = farthest / np.where(norms > 0, norms, np.nan)
    return found


@dataclass(frozen=True)
class SensitivityMax:
    """The largest relative change of the map within ``radius`` of the image, [0, 1] image units: low where the map is stable.

    The method is asked again, ``n_samples`` times per image. A method that draws at random draws anew for each perturbed image, and is
    charged for it. NaN for a map that is constant (one that is zero has no scale, either) or not finite.
    """

    name: ClassVar[str] = "sensitivity"
    title: ClassVar[str] = "Sensitivity-max"
    better: ClassVar[Better] = Better.LOWER
    needs_masks: ClassVar[bool] = False
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = "Yeh et al. 2019"

    radius: float | int = 0.02
    n_samples: int = 10
    batch_size: int = 8
    seed: int = 0

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        return where_telling(evidence, self._measured)

    def _measured(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        def explain(images: Tensor, samples: Sequence[int]) -> list[np.ndarray]:
            heatmaps = evidence.method(evidence.model, images, [evidence.units[i] for i in samples])
            return [heatmap.values for heatmap in heatmaps]

        return sensitivity_max(
            explain,
            evidence.images,
            [heatmap.values for heatmap in evidence.heatmaps],
            radius=self.radius,
            n_samples=self.n_samples,
            batch_size=self.batch_size,
            seed=self.seed,
        )


def _distance(values: np.ndarray, reference: np.ndarray) -> float:
    if values.shape != reference.shape:
        raise InterpError(
            f"the map of a perturbed image has shape {values.shape}, but that of the image {reference.shape}: they cannot be compared"
        )
    return float(np.linalg.norm(values.astype(np.float64) - reference))
