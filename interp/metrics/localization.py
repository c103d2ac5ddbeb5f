"""Does a map point where somebody marked the object? Metrics that need masks.

Maps are signed; what speaks for the unit is positive. The pointing game, mass and rank accuracy take a map's positive part
alone: negative values count as zeros, and a map without positive values as a zero map. The mask AUC takes all values with their
sign. In all metrics here the value is NaN where the mask is empty, and where the map is not finite or what is taken of it zero
everywhere: such a map points nowhere. Ties are broken by expectation: the value is the mean over all orders in which equal places
can be taken, so that it depends on no order of pixels. A map that says nothing (random, or one positive constant) is expected to
score the mask's share of the area.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import distance_transform_edt
from scipy.stats import rankdata

from interp.errors import InterpError
from interp.metrics.evidence import Better, Evidence

Maps = Float[np.ndarray, "n h w"]
Masks = Bool[np.ndarray, "n h w"]


def pointing_game(maps: Maps, masks: Masks, tolerance: float | int = 0) -> Float[np.ndarray, " n"]:
    """1 where the map's maximum lies in the mask or at most ``tolerance`` pixels (Euclidean) from it, else 0; in [0, 1].

    Of several equal maxima, the share that hits. NaN where no value is positive. Zhang et al. 2018 allow 15 px on photographs of about
    500 px; 0 here, as on small images a tolerance lets every map score. Raises InterpError for a negative tolerance.
    """
    if not tolerance >= 0:
        raise InterpError(f"`tolerance` is {tolerance} px: give 0 or more")
    found = np.full(len(maps), np.nan)
    for i, values in _positive(maps, masks):
        target = distance_transform_edt(~masks[i]) <= tolerance
        found[i] = target[values == values.max()].mean()
    return found


def relevance_mass(maps: Maps, masks: Masks) -> Float[np.ndarray, " n"]:
    """Positive attribution inside the mask / all positive attribution; in [0, 1]. Arras et al. 2022 (2003.07258), eq. 1.

    NaN where no value is positive.
    """
    found = np.full(len(maps), np.nan)
    for i, values in _positive(maps, masks):
        # Scaled first, so that neither huge nor tiny values leave the range of floats.
        scaled = values.astype(np.float64) / values.max()
        found[i] = scaled[masks[i]].sum() / scaled.sum()
    return found


def relevance_rank(maps: Maps, masks: Masks) -> Float[np.ndarray, " n"]:
    """Share of the K highest places that lie in the mask, K the mask's size; in [0, 1]. Arras et al. 2022 (2003.07258), eq. 2.

    Where fewer than K values are positive, the others are tied at zero. NaN where none is.
    """
    found = np.full(len(maps), np.nan)
    for i, values in _positive(maps, masks):
        inside = masks[i]
        size = int(inside.sum())
        bound = np.partition(values, values.size - size, axis=None)[values.size - size]
        above, tied = values > bound, values == bound
        # Of the tied places, as many as are left of K, drawn at random: hypergeometric, so the mean is proportional.
        left = (size - above.sum()) / tied.sum()
        found[i] = (inside[above].sum() + left * inside[tied].sum()) / size
    return found


def mask_auc(maps: Maps, masks: Masks) -> Float[np.ndarray, " n"]:
    """Area under the ROC curve of telling the mask's pixels by the map: the chance that a pixel inside exceeds one outside; in [0, 1].

    Signed: what speaks against the unit ranks below what does neither. Equal values count half (Mann-Whitney). NaN also where the
    mask covers the whole image. A map that says nothing scores 0.5.
    """
    found = np.full(len(maps), np.nan)
    for i in _defined(maps, masks):
        inside = int(masks[i].sum())
        outside = masks[i].size - inside
        if outside:
            ranks = rankdata(maps[i], axis=None).reshape(masks[i].shape)
            found[i] = (ranks[masks[i]].sum() - inside * (inside + 1) / 2) / (inside * outside)
    return found


@dataclass(frozen=True)
class PointingGame:
    """Whether the map's maximum hits the mask; see `pointing_game`. ``tolerance`` in pixels of the image."""

    name: ClassVar[str] = "pointing-game"
    title: ClassVar[str] = "Pointing game"
    better: ClassVar[Better] = Better.HIGHER
    needs_masks: ClassVar[bool] = True
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = "Zhang et al. 2018"

    tolerance: float | int = 0

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        return pointing_game(evidence.resized(), masks_of(evidence, self.name), self.tolerance)


@dataclass(frozen=True)
class RelevanceMass:
    """Share of the positive attribution that lies in the mask; see `relevance_mass`."""

    name: ClassVar[str] = "relevance-mass"
    title: ClassVar[str] = "Relevance mass accuracy"
    better: ClassVar[Better] = Better.HIGHER
    needs_masks: ClassVar[bool] = True
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = "Arras et al. 2022"

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        return relevance_mass(evidence.resized(), masks_of(evidence, self.name))


@dataclass(frozen=True)
class RelevanceRank:
    """Share of the highest places that lie in the mask; see `relevance_rank`."""

    name: ClassVar[str] = "relevance-rank"
    title: ClassVar[str] = "Relevance rank accuracy"
    better: ClassVar[Better] = Better.HIGHER
    needs_masks: ClassVar[bool] = True
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = "Arras et al. 2022"

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        return relevance_rank(evidence.resized(), masks_of(evidence, self.name))


@dataclass(frozen=True)
class MaskAUC:
    """How well the map tells the mask's pixels from the others; see `mask_auc`."""

    name: ClassVar[str] = "mask-auc"
    title: ClassVar[str] = "Mask AUC"
    better: ClassVar[Better] = Better.HIGHER
    needs_masks: ClassVar[bool] = True
    least_images: ClassVar[int] = 1
    source: ClassVar[str] = "Fawcett 2006"

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " n"]:
        return mask_auc(evidence.resized(), masks_of(evidence, self.name))


def masks_of(evidence: Evidence, name: str) -> Masks:
    """The masks; raises InterpError where nobody marked the object."""
    if evidence.masks is None:
        raise InterpError(f"'{name}' needs masks of the objects, and none were given: give one per image, or choose 'grid-pointing'")
    return evidence.masks


def _defined(maps: Maps, masks: Masks) -> list[int]:
    """The images with something marked and a map that is finite and not zero everywhere."""
    if maps.shape != masks.shape:
        raise InterpError(f"`masks` has shape {masks.shape}, but the maps have {maps.shape}: give one mask of that size per map")
    return [i for i, values in enumerate(maps) if masks[i].any() and np.isfinite(values).all() and values.any()]


def _positive(maps: Maps, masks: Masks) -> list[tuple[int, Float[np.ndarray, "h w"]]]:
    """Of these images, those with a positive value, and the maps' positive parts."""
    return [(i, np.maximum(maps[i], 0)) for i in _defined(maps, masks) if maps[i].max() > 0]
