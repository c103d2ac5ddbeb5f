"""Average drop and increase (Chattopadhay et al. 2018): what does the network say of an image that shows only what the map shows?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.baseline import Baseline, baseline
from interp.metrics.evidence import Better, Evidence
from interp.metrics.scoring import Output, Score, scorer, scores_of, where_telling

_SOURCE = "Chattopadhay et al. 2018"


def shown(values: Float[np.ndarray, "rows cols"]) -> Float[np.ndarray, "rows cols"]:
    """The positive part, its minimum to its maximum as 0 to 1; zero everywhere if it is constant, such as that of a zero map."""
    positive = np.maximum(values, 0)
    low, high = positive.min(), positive.max()
    return np.zeros_like(positive) if high == low else (positive - low) / (high - low)


def masked_scores(
    score: Score,
    images: Float[Tensor, "n c h w"],
    maps: Float[np.ndarray, "n h w"],
    baselines: Float[Tensor, "n c h w"],
    batch_size: int = 8,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The score of each image, and of the image seen through its map: ``baseline + shown(map) * (image - baseline)``."""

    def variants() -> Iterator[tuple[int, Tensor]]:
        for i, (image, nothing) in enumerate(zip(images, baselines, strict=True)):
            mask = torch.from_numpy(shown(maps[i])).to(image.device, image.dtype)
            yield i, image
            yield i, nothing + mask * (image - nothing)

    found = scores_of(score, variants(), batch_size).reshape(len(images), 2)
    return found[:, 0], found[:, 1]


def drop(whole: Float[np.ndarray, " n"], masked: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """max(0, y - o) / y, with y the score of the whole image and o that of the masked one; NaN where y is not positive.

    A ratio: where y is small, a small change of the score is a large drop.
    """
    positive = np.where(whole > 0, whole, np.nan)
    lost: np.ndarray = np.maximum(0, whole - masked) / positive
    return lost


@dataclass(frozen=True)
class AverageDrop:
    """The share of the score that is lost when only what the map shows is left, 0 to 1; its mean over images is the paper's measure.

    The map is resized, its positive part scaled to [0, 1] per image, and multiplied with the image; what is not shown is black,
    as in the paper, unless ``baseline`` says otherwise (``MEAN``: multiplied after the normalization, as grad-cam does). NaN for a map
    that is constant (a zero map, too) or not finite, and for a score that is not positive, as raw scores can be. Of a map without
    positive values only the baseline is left.
    """

    name: ClassVar[str] = "average-drop"
    title: ClassVar[str] = "Average drop"
    better: ClassVar[Better] = Better.LOWER
    needs_masks: ClassVar[bool] = False
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = _SOURCE

    output: Output = Output.AUTO
    baseline: Baseline = Baseline.BLACK
    batch_size: int = 8

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        return where_telling(evidence, lambda usable: drop(*_scores(usable, self.output, self.baseline, self.batch_size)))


@dataclass(frozen=True)
class AverageIncrease:
    """1 where the score rises when only what the map shows is left, 0 where it does not; its mean over images is the paper's measure.

    Masked as in `AverageDrop`. NaN for a map that is constant or not finite.
    """

    name: ClassVar[str] = "average-increase"
    title: ClassVar[str] = "Average increase"
    better: ClassVar[Better] = Better.HIGHER
    needs_masks: ClassVar[bool] = False
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = _SOURCE

    output: Output = Output.AUTO
    baseline: Baseline = Baseline.BLACK
    batch_size: int = 8

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        return where_telling(evidence, self._increased)

    def _increased(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        whole, masked = _scores(evidence, self.output, self.baseline, self.batch_size)
        return (masked > whole).astype(np.float64)


def _scores(evidence: Evidence, output: Output, kind: Baseline, batch_size: int) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    baselines = baseline(evidence.model, evidence.images, kind)
    return masked_scores(scorer(evidence, output), evidence.images, evidence.resized(), baselines, batch_size)
