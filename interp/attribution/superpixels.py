"""Attribution to superpixels: ablating each (Zeiler & Fergus 2014), LIME (Ribeiro et al. 2016), Kernel SHAP (Lundberg & Lee 2017).

A superpixel is a SLIC segment (Achanta et al. 2012) of the image, or a cell of a regular grid where SLIC finds no two;
all its pixels get one value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from captum._utils.models.linear_model import SkLearnLasso
from captum.attr import KernelShap as CaptumKernelShap
from captum.attr import Lime as CaptumLime
from jaxtyping import Float, Int
from skimage.segmentation import slic
from torch import Tensor

from interp.attribution.degeneration import of_values
from interp.attribution.scoped import drawing
from interp.attribution.variants import blend, refuse_below, scores_of
from interp.core.baseline import Baseline, baseline
from interp.core.method import Family, Heatmap, Place, frozen
from interp.core.model import Model
from interp.core.rng import content
from interp.core.score import checked_units, evaluate
from interp.core.unit import Unit
from interp.errors import InterpError

# SLIC's weight of nearness against colour: its default for Lab, whose values run to 100, and in proportion for values to 1.
_COMPACTNESS_LAB, _COMPACTNESS = 10.0, 0.1

Coefficients = Callable[[Tensor, Tensor, Int[np.ndarray, "h w"], Unit], np.ndarray]
"""From an image, its baseline, its superpixels and a unit to one value per superpixel."""


def superpixels(image: Float[Tensor, "c h w"], n_segments: int) -> Int[np.ndarray, "h w"]:
    """The superpixel of each pixel, 0 to their number - 1: about ``n_segments``, the same on every call.

    They are SLIC's. Where it finds fewer than two, as in noise, they are the cells of a grid: of h x w pixels, R rows, the
    rounded sqrt(n_segments h / w), 1 to min(h, n_segments), and C columns, the rounded n_segments / R, 1 to w. Pixel (row,
    col) is in cell (floor(row R / h), floor(col C / w)), so that cells differ by at most one pixel in height and in width.

    Raises InterpError where ``n_segments`` is below 2 or more than the image's pixels.
    """
    refuse_below(2, n_segments=n_segments)
    rows, cols = image.shape[1:]
    if n_segments > rows * cols:
        raise InterpError(f"`n_segments` is {n_segments}, but the image has {rows * cols} pixels: give fewer")
    coloured = len(image) == 3
    compactness = _COMPACTNESS_LAB if coloured else _COMPACTNESS
    values = image.permute(1, 2, 0).cpu().double().numpy()
    found = slic(values, n_segments=n_segments, compactness=compactness, convert2lab=coloured, start_label=0, channel_axis=-1)
    labels, segments = np.unique(found, return_inverse=True)
    # In noise SLIC's segments are scattered pixels, which it merges until one is left.
    if len(labels) < 2:
        return _grid(rows, cols, n_segments)
    return segments.reshape(rows, cols).astype(np.int64)


def _grid(rows: int, cols: int, n_segments: int) -> Int[np.ndarray, "h w"]:
    down = min(max(round(math.sqrt(n_segments * rows / cols)), 1), rows, n_segments)
    across = min(max(round(n_segments / down), 1), cols)
    row, col = np.indices((rows, cols))
    cells: np.ndarray = row * down // rows * across + col * across // cols
    return cells.astype(np.int64)


@dataclass(frozen=True)
class FeatureAblation:
    """How far the score falls when a superpixel is replaced by the baseline: f(x) - f(x without it).

    One value per superpixel, at the image's resolution, in the unit of the score. Same as Captum's FeatureAblation with the
    superpixels as its feature mask.
    """

    name: ClassVar[str] = "feature-ablation"
    title: ClassVar[str] = "Feature ablation"
    place: ClassVar[Place] = Place.INPUT
    family: ClassVar[Family] = Family.PERTURBATION
    source: ClassVar[str] = "Zeiler & Fergus 2014"

    n_segments: int = 50
    baseline: Baseline = Baseline.MEAN
    batch_size: int = 16

    def __post_init__(self) -> None:
        refuse_below(2, n_segments=self.n_segments)
        refuse_below(1, batch_size=self.batch_size)

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap (h, w) per image, with the measure "superpixels"."""

        def falls(image: Tensor, filler: Tensor, segments: np.ndarray, unit: Unit) -> np.ndarray:
            places = torch.from_numpy(segments).to(image.device)

            def without(start: int, stop: int) -> Tensor:
                removed = torch.arange(start, stop, device=image.device)[:, None, None, None]
                return blend(image, filler, (places != removed).to(image.dtype))

            whole = float(evaluate(model, image[None], [unit], self.batch_size))
            return whole - scores_of(model, unit, int(segments.max()) + 1, self.batch_size, without)

        return _maps(self, model, images, units, falls)


@dataclass(frozen=True)
class Lime:
    """A sparse linear model of the score in which superpixels are shown, fitted near the image: its coefficients.

    As Captum's Lime by default: each of ``n_samples`` variants shows every superpixel with probability 1/2 and is weighted by
    exp(-d^2 / 2), d its cosine distance from the image; the model is a Lasso with penalty ``alpha`` in the unit of
    the score. The penalty moves coefficients towards zero: where the score's differences are of the size of
    ``alpha``, all of them get there. Give several times as many samples as superpixels.
    """

    name: ClassVar[str] = "lime"
    title: ClassVar[str] = "LIME"
    place: ClassVar[Place] = Place.INPUT
    family: ClassVar[Family] = Family.PERTURBATION
    source: ClassVar[str] = "Ribeiro et al. 2016"

    n_segments: int = 50
    n_samples: int = 200
    alpha: float | int = 0.01
    baseline: Baseline = Baseline.MEAN
    seed: int = 0
    batch_size: int = 16

    def __post_init__(self) -> None:
        refuse_below(2, n_segments=self.n_segments)
        refuse_below(1, n_samples=self.n_samples, batch_size=self.batch_size)
        if not 0 < self.alpha < float("inf"):
            raise InterpError(f"`alpha` is {self.alpha}: give the Lasso's penalty, above 0")

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap (h, w) per image, with the measure "superpixels"."""

        def explainer(score: Callable[[Tensor], Tensor]) -> CaptumLime:
            # Without a state of its own it draws from numpy's global one, though it uses nothing of what is drawn.
            return CaptumLime(score, interpretable_model=SkLearnLasso(alpha=self.alpha, random_state=self.seed))

        return _maps(self, model, images, units, _surrogate(self, model, explainer))


@dataclass(frozen=True)
class KernelShap:
    """Shapley values of the superpixels, estimated by Kernel SHAP's weighted regression (Lundberg & Lee 2017, theorem 2).

    They sum to f(x) - f(baseline). As Captum's KernelShap: of the ``n_samples`` variants the first is the image, the second the
    baseline, both with a weight of 10^6; the others are drawn from the Shapley kernel. With fewer samples than
    superpixels the regression has many solutions, of which the smallest is taken: give several times as many.
    """

    name: ClassVar[str] = "kernel-shap"
    title: ClassVar[str] = "Kernel SHAP"
    place: ClassVar[Place] = Place.INPUT
    family: ClassVar[Family] = Family.PERTURBATION
    source: ClassVar[str] = "Lundberg & Lee 2017"

    n_segments: int = 50
    n_samples: int = 200
    baseline: Baseline = Baseline.MEAN
    seed: int = 0
    batch_size: int = 16

    def __post_init__(self) -> None:
        refuse_below(2, n_segments=self.n_segments, n_samples=self.n_samples)
        refuse_below(1, batch_size=self.batch_size)

    def __call__(self, model: Model, images: Float[Tensor, "n c h w"], units: Sequence[Unit]) -> list[Heatmap]:
        """One Heatmap (h, w) per image, with the measure "superpixels"."""
        return _maps(self, model, images, units, _surrogate(self, model, CaptumKernelShap))


def _surrogate(method: Lime | KernelShap, model: Model, explainer: Callable[[Callable[[Tensor], Tensor]], Any]) -> Coefficients:
    def coefficients(image: Tensor, filler: Tensor, segments: np.ndarray, unit: Unit) -> np.ndarray:
        def score(variants: Tensor) -> Tensor:
            return evaluate(model, variants, [unit] * len(variants), method.batch_size)

        places = torch.from_numpy(segments)[None, None].to(image.device)
        with drawing(image.device, method.seed, method.name, content(image)):
            found = explainer(score).attribute(
                image[None],
                baselines=filler[None],
                feature_mask=places,
                n_samples=method.n_samples,
                perturbations_per_eval=min(method.batch_size, method.n_samples),
                return_input_shape=False,
            )
        values: np.ndarray = found.flatten().cpu().double().numpy()
        return values

    return coefficients


def _maps(
    method: FeatureAblation | Lime | KernelShap,
    model: Model,
    images: Float[Tensor, "n c h w"],
    units: Sequence[Unit],
    coefficients: Coefficients,
) -> list[Heatmap]:
    images = model.checked(images)
    found = []
    for image, unit in zip(images, checked_units(model, units, len(images)), strict=True):
        segments = superpixels(image, method.n_segments)
        filler = baseline(model, image[None], method.baseline)[0]
        values = frozen(coefficients(image, filler, segments, unit)[segments].astype(np.float32))
        measures = (("superpixels", float(segments.max() + 1)),)
        found.append(Heatmap(values, unit, method.title, measures=measures, degenerations=of_values(values)))
    return found
