"""Deletion and insertion (Petsiuk et al. 2018, RISE): how fast does the score fall, or rise, in the order that a map gives?

Pixels are removed to a baseline, or brought back from it, in equal shares from the highest signed value on. The curve holds
both end points; its area is the trapezoid rule over the share of pixels, 0 to 1, so that it is in the unit of the score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.baseline import Baseline, baseline
from interp.errors import InterpError
from interp.metrics.evidence import Better, Evidence
from interp.metrics.ordering import removal_order, removed_counts
from interp.metrics.scoring import Output, Score, scorer, scores_of, where_telling

_SOURCE = "Petsiuk et al. 2018 (RISE)"


class Span(StrEnum):
    """The scale of a curve. ``SCORE``: as it is. ``RELATIVE``: 0 at the baseline and 1 at the image, per sample, which makes raw
    scores of different units comparable; NaN where the image scores no higher than its baseline."""

    SCORE = "score"
    RELATIVE = "relative"


def deletion_curve(
    score: Score,
    images: Float[Tensor, "n c h w"],
    maps: Float[np.ndarray, "n h w"],
    baselines: Float[Tensor, "n c h w"],
    *,
    n_steps: int = 32,
    batch_size: int = 8,
    seed: int = 0,
) -> Float[np.ndarray, "n points"]:
    """The score after removing the shares 0, 1/n_steps, ..., 1 of each image's pixels, highest map values first.

    ``maps`` are signed and of the images' size; equal values are ordered as `removal_order` says, by ``seed``. ``n_steps + 1``
    variants of each image are scored, ``batch_size`` at once. Raises InterpError where ``n_steps`` is below 1 or above the number of
    pixels, or a map is not finite.
    """
    places = int(images.shape[-2] * images.shape[-1])
    if not 1 <= n_steps <= places:
        raise InterpError(f"`n_steps` is {n_steps}, but the images have {places} pixels: give 1 to {places}")
    counts = removed_counts(places, np.linspace(0, 1, n_steps + 1))

    def variants() -> Iterator[tuple[int, Tensor]]:
        for i, (image, nothing) in enumerate(zip(images, baselines, strict=True)):
            rank = _ranks(removal_order(maps[i], seed)).to(image.device).view(image.shape[-2:])
            for count in counts.tolist():
                yield i, torch.where(rank < count, nothing, image)

    return scores_of(score, variants(), batch_size).reshape(len(images), n_steps + 1)


def insertion_curve(
    score: Score,
    images: Float[Tensor, "n c h w"],
    maps: Float[np.ndarray, "n h w"],
    baselines: Float[Tensor, "n c h w"],
    *,
    n_steps: int = 32,
    batch_size: int = 8,
    seed: int = 0,
) -> Float[np.ndarray, "n points"]:
    """As `deletion_curve`, from the baseline to the image: the highest map values come in first."""
    return deletion_curve(score, baselines, maps, images, n_steps=n_steps, batch_size=batch_size, seed=seed)


def area(curves: Float[np.ndarray, "n points"]) -> Float[np.ndarray, " n"]:
    """Trapezoid rule, divided by the number of intervals: a constant curve's area is its value."""
    areas: np.ndarray = np.trapezoid(curves, axis=1) / (curves.shape[1] - 1)
    return areas


def relative(
    curves: Float[np.ndarray, "n points"], at_image: Float[np.ndarray, " n"], at_baseline: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n points"]:
    """The curves with the baseline's score at 0 and the image's at 1; a row of NaN where the image scores no higher."""
    height = at_image - at_baseline
    height = np.where(height > 0, height, np.nan)[:, None]
    scaled: np.ndarray = (curves - at_baseline[:, None]) / height
    return scaled


@dataclass(frozen=True)
class _Options:
    n_steps: int = 32
    output: Output = Output.AUTO
    baseline: Baseline = Baseline.MEAN
    span: Span = Span.SCORE
    batch_size: int = 8
    seed: int = 0

    def _points(self, evidence: Evidence, curve: Callable[..., np.ndarray]) -> Float[np.ndarray, "n points"]:
        return curve(
            scorer(evidence, self.output),
            evidence.images,
            evidence.resized(),
            baseline(evidence.model, evidence.images, self.baseline),
            n_steps=self.n_steps,
            batch_size=self.batch_size,
            seed=self.seed,
        )


@dataclass(frozen=True)
class Deletion(_Options):
    """Area under the deletion curve: low where the first pixels removed take the score with them.

    By default the probability of the class, or the raw score of any other unit (`Output.AUTO`), with pixels removed to the
    preprocessing's mean colour. NaN for a map that is constant (a zero map, too) or not finite: it orders nothing. A map of random
    pixels can score low: scattered holes destroy an image faster than a patch does, and the many ties of a sparse map are removed
    like that. Compare maps with controls as smooth as they are, and read insertion beside it.
    """

    name: ClassVar[str] = "deletion"
    title: ClassVar[str] = "Deletion AUC"
    better: ClassVar[Better] = Better.LOWER
    needs_masks: ClassVar[bool] = False
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = _SOURCE

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        return where_telling(evidence, lambda usable: area(self.curve(usable)))

    def curve(self, evidence: Evidence) -> Float[np.ndarray, "n points"]:
        """The curves behind the areas, (n, n_steps + 1), from the image to the baseline; raises InterpError at a map that is not finite."""
        found = self._points(evidence, deletion_curve)
        return found if self.span is Span.SCORE else relative(found, found[:, 0], found[:, -1])


@dataclass(frozen=True)
class Insertion(_Options):
    """Area under the insertion curve: high where the first pixels brought back restore the score.

    As `Deletion`, from the baseline to the image. The baseline is the blurred image, as in the paper: on an even ground
    the edges of the first pixels would be seen, not what they show.
    """

    name: ClassVar[str] = "insertion"
    title: ClassVar[str] = "Insertion AUC"
    better: ClassVar[Better] = Better.HIGHER
    needs_masks: ClassVar[bool] = False
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = _SOURCE

    baseline: Baseline = Baseline.BLUR

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        return where_telling(evidence, lambda usable: area(self.curve(usable)))

    def curve(self, evidence: Evidence) -> Float[np.ndarray, "n points"]:
        """The curves behind the areas, (n, n_steps + 1), from the baseline to the image; raises InterpError at a map that is not finite."""
        found = self._points(evidence, insertion_curve)
        return found if self.span is Span.SCORE else relative(found, found[:, -1], found[:, 0])


def _ranks(order: Int[np.ndarray, " places"]) -> Int[Tensor, " places"]:
    """At which step each place is reached: the inverse of the order."""
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    return torch.from_numpy(ranks)
