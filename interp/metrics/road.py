"""ROAD (Rong et al. 2022): remove pixels by replacing them with what their neighbours predict, so that the hole itself tells little.

Every missing pixel is the weighted mean of its neighbours, 1/6 for those that share an edge and 1/12 for diagonal ones,
missing neighbours included: one sparse linear system per mask (the paper's section 4.3). A little noise keeps the
network from recognizing smooth patches. Known bias: it favours blurred maps (Bluecher et al. 2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.sparse import coo_array
from scipy.sparse.linalg import splu
from torch import Tensor

from interp.core.rng import content, generator
from interp.errors import InterpError
from interp.metrics.evidence import Better, Evidence
from interp.metrics.ordering import removal_order, removed_counts
from interp.metrics.scoring import Output, Score, scorer, scores_of, where_telling

_SOURCE = "Rong et al. 2022"

# (row offset, col offset, weight)
_NEIGHBOURS = [(row, col, 1 / 6 if row == 0 or col == 0 else 1 / 12) for row in (-1, 0, 1) for col in (-1, 0, 1) if (row, col) != (0, 0)]


class First(StrEnum):
    """Which pixels go first: ``MOST`` relevant (MoRF) or ``LEAST`` relevant (LeRF)."""

    MOST = "most"
    LEAST = "least"


def imputed(image: Float[np.ndarray, "c h w"], missing: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "c h w"]:
    """``image`` with each missing pixel the weighted mean of its neighbours, known and missing ones; no noise.

    At the border the weights of the neighbours that exist are rescaled to sum to one. One factorization serves all channels.
    Raises InterpError where no pixel is known.
    """
    count = int(missing.sum())
    if count == missing.size:
        raise InterpError("every pixel is missing, so there is nothing to impute from: leave at least one")
    filled = image.astype(np.float64)
    if count:
        filled[:, missing] = _solution(filled, missing, count).T
    return filled.astype(image.dtype)


def road_curve(
    score: Score,
    images: Float[Tensor, "n c h w"],
    maps: Float[np.ndarray, "n h w"],
    *,
    first: First,
    percentiles: tuple[float | int, ...] = (20, 40, 60, 80),
    noise: float | int = 0.01,
    batch_size: int = 8,
    seed: int = 0,
) -> Float[np.ndarray, "n percentiles"]:
    """The score after imputing each percentage of the pixels, (n, percentiles).

    ``noise`` is the standard deviation of what is added to imputed pixels, in [0, 1] image units; the draw belongs to the image and
    ``seed``, so that maps compared on one image meet the same noise. Raises InterpError where a percentile is not between 0 and 100, or a
    map is not finite.
    """
    if not percentiles or not all(0 < p < 100 for p in percentiles):
        raise InterpError(f"`percentiles` is {percentiles}: give at least one, each above 0 and below 100")
    places = int(images.shape[-2] * images.shape[-1])
    counts = np.minimum(removed_counts(places, np.array(percentiles) / 100), places - 1)

    def variants() -> Iterator[tuple[int, Tensor]]:
        for i, image in enumerate(images):
            order = removal_order(maps[i], seed)
            order = order if first is First.MOST else order[::-1]
            added = noise * torch.randn(image.shape, generator=generator(seed, "road", content(image)))
            pixels = image.detach().cpu().double().numpy()
            for count in counts.tolist():
                missing = np.zeros(places, dtype=bool)
                missing[order[:count]] = True
                missing = missing.reshape(image.shape[-2:])
                filled = torch.from_numpy(imputed(pixels, missing)) + added * torch.from_numpy(missing)
                yield i, filled.to(image.device, image.dtype)

    return scores_of(score, variants(), batch_size).reshape(len(images), len(percentiles))


@dataclass(frozen=True)
class _Options:
    percentiles: tuple[float | int, ...] = (20, 40, 60, 80)
    noise: float | int = 0.01
    output: Output = Output.AUTO
    batch_size: int = 8
    seed: int = 0

    def curve(self, evidence: Evidence, first: First) -> Float[np.ndarray, "n percentiles"]:
        """The score at each percentile, (n, percentiles); raises InterpError at a map that is not finite."""
        return road_curve(
            scorer(evidence, self.output),
            evidence.images,
            evidence.resized(),
            first=first,
            percentiles=self.percentiles,
            noise=self.noise,
            batch_size=self.batch_size,
            seed=self.seed,
        )


@dataclass(frozen=True)
class Road(_Options):
    """(LeRF - MoRF) / 2, the mean over percentiles: how much more it costs to lose the highest values than the lowest.

    Between -1/2 and 1/2 for probabilities; around 0 for a random map. NaN for a map that is constant (a zero map, too) or not
    finite: it orders nothing.
    """

    name: ClassVar[str] = "road"
    title: ClassVar[str] = "ROAD"
    better: ClassVar[Better] = Better.HIGHER
    needs_masks: ClassVar[bool] = False
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = _SOURCE

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        return where_telling(evidence, self._combined)

    def _combined(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        lerf, morf = self.curve(evidence, First.LEAST), self.curve(evidence, First.MOST)
        halves: np.ndarray = (lerf - morf).mean(axis=1) / 2
        return halves


@dataclass(frozen=True)
class RoadMoRF(_Options):
    """The mean score with the most relevant pixels imputed; NaN for a map that is constant or not finite."""

    name: ClassVar[str] = "road-morf"
    title: ClassVar[str] = "ROAD, most relevant first"
    better: ClassVar[Better] = Better.LOWER
    needs_masks: ClassVar[bool] = False
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = _SOURCE

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        return where_telling(evidence, lambda usable: self.curve(usable, First.MOST).mean(axis=1))


@dataclass(frozen=True)
class RoadLeRF(_Options):
    """The mean score with the least relevant pixels imputed; NaN for a map that is constant or not finite."""

    name: ClassVar[str] = "road-lerf"
    title: ClassVar[str] = "ROAD, least relevant first"
    better: ClassVar[Better] = Better.HIGHER
    needs_masks: ClassVar[bool] = False
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = _SOURCE

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        return where_telling(evidence, lambda usable: self.curve(usable, First.LEAST).mean(axis=1))


def _solution(image: Float[np.ndarray, "c h w"], missing: Bool[np.ndarray, "h w"], count: int) -> Float[np.ndarray, "missing c"]:
    numbers = np.full(missing.shape, -1)
    numbers[missing] = np.arange(count)
    diagonal, right = np.zeros(count), np.zeros((count, len(image)))
    rows, cols, values = [], [], []
    for row, col, weight in _NEIGHBOURS:
        here, there = _overlap(missing.shape, row, col), _overlap(missing.shape, -row, -col)
        own, other = numbers[here], numbers[there]
        asked = own >= 0
        diagonal[own[asked]] += weight
        known, both = asked & (other < 0), asked & (other >= 0)
        right[own[known]] += weight * image[:, *there][:, known].T
        rows.append(own[both])
        cols.append(other[both])
        values.append(np.full(int(both.sum()), -weight))
    index, everywhere = np.arange(count), [*values, diagonal]
    system = coo_array((np.concatenate(everywhere), (np.concatenate([*rows, index]), np.concatenate([*cols, index]))), shape=(count, count))
    # Symmetric and positive definite: no pivoting is needed, and an ordering for symmetric matrices fills in least.
    factors = splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    solution: np.ndarray = factors.solve(right)
    return solution


def _overlap(shape: tuple[int, ...], row: int, col: int) -> tuple[slice, slice]:
    """The places of a grid whose neighbour at that offset exists."""
    rows, cols = shape
    return slice(max(0, -row), rows - max(0, row)), slice(max(0, -col), cols - max(0, col))
