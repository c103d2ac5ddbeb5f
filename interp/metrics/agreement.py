"""How alike two maps are: for methods that are compared with each other, and for a method before and after a change.

Every measure is NaN where a map is constant or not finite: there is nothing to compare. Each is unchanged if a map is
multiplied by a positive number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from interp.errors import InterpError

# Sizes are compared by hand: two maps of different sizes get a message.
Map = Float[np.ndarray, "_rows _cols"]

# The Gaussian window of Wang et al. spans 11 px at sigma 1.5; smaller maps get a flat one that fits.
_GAUSSIAN_SPAN, _LEAST = 11, 3
TOP_SHARE = 0.1


class Similarity(StrEnum):
    """`spearman`; the same of magnitudes, so that signs do not count; `ssim`; `top_k_intersection` of a tenth of the places."""

    SPEARMAN = "spearman"
    ABSOLUTE_SPEARMAN = "absolute-spearman"
    SSIM = "ssim"
    TOP_K = "top-k"


def spearman(first: Map, second: Map) -> float:
    """Spearman's rank correlation over places, ties with their mean rank; -1 to 1."""
    return similarity(first, second, Similarity.SPEARMAN)


def ssim(first: Map, second: Map) -> float:
    """Structural similarity (Wang et al. 2004), at most 1, of the two maps, each scaled to [0, 1] by its own least and largest value.

    Gaussian window of sigma 1.5, or a flat one for maps below 11 px; data range 1. NaN below 3 px. A map with a few extreme
    values is nearly flat after scaling, and so alike to any other such map: read it beside a rank correlation.
    """
    return similarity(first, second, Similarity.SSIM)


def top_k_intersection(first: Map, second: Map, share: float = TOP_SHARE) -> float:
    """Share of the k highest places that two maps have in common, k = ``share`` of all places (at least 1); 0 to 1.

    Places that are tied at the bound are not chosen by their position: each has as weight the share of them that there is room
    for, which is its chance to be drawn; those above have 1, those below 0. If both maps drew independently, m = sum(w1 w2) places
    would be common on average, and c = k^2 / (number of places) by chance. Up to chance, m <= c, the result is m / k. Above it, it
    is s + (1 - s) (m - c) / sqrt((sum(w1^2) - c) (sum(w2^2) - c)), s = c / k: from the chance level s to 1 for maps of the same
    weights, such as a map and itself. Tied zeros, most of a sparse map, thus make no agreement; without ties both are the plain
    intersection / k. Maps that know nothing of each other have about ``share`` in common. Raises InterpError where ``share`` is not
    above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise InterpError(f"`share` is {share}: give the share of places that counts as top, above 0 and at most 1")
    _refuse_sizes(first, second)
    a, b = _top(first, share), _top(second, share)
    return float("nan") if a is None or b is None else _common(a, b)


def similarity(first: Map, second: Map, kind: Similarity) -> float:
    """How alike two maps of one size are, by ``kind``. Raises InterpError for maps of different sizes."""
    _refuse_sizes(first, second)
    a, b = (_MEASURES[kind].prepare(values) for values in (first, second))
    return float("nan") if a is None or b is None else _MEASURES[kind].compare(a, b)


def agreement_matrix(maps: Sequence[Sequence[Map]], kind: Similarity = Similarity.SPEARMAN) -> Float[np.ndarray, "methods methods"]:
    """How alike methods are: ``maps[method][image]``, all maps of an image at one size; symmetric, the mean over images.

    An image counts for a pair where both maps are defined for ``kind``; NaN where none does. Raises InterpError where the
    methods have different numbers of images, or the maps of an image different sizes.
    """
    counts = {len(of_method) for of_method in maps}
    if len(counts) > 1:
        raise InterpError(f"the methods have {' and '.join(map(str, sorted(counts)))} maps: give one map per image for each method")
    measure, n = _MEASURES[kind], len(maps)
    found = np.full((max(counts, default=0), n, n), np.nan)
    for image, per_image in enumerate(zip(*maps, strict=True)):
        for other in per_image[1:]:
            _refuse_sizes(per_image[0], other)
        ready = [measure.prepare(values) for values in per_image]
        for i, a in enumerate(ready):
            for j, b in enumerate(ready[: i + 1]):
                if a is not None and b is not None:
                    found[image, i, j] = found[image, j, i] = measure.compare(a, b)
    return mean_defined(found)


def mean_defined(values: Float[np.ndarray, " n *rest"]) -> Float[np.ndarray, "*rest"]:
    """The mean over the first axis of what is not NaN; NaN where nothing is left."""
    defined = np.isfinite(values)
    count = defined.sum(axis=0)
    total = np.where(defined, values, 0.0).sum(axis=0)
    mean: np.ndarray = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean


@dataclass(frozen=True)
class _Measure:
    """What is done once per map (None where the map is not defined), and once per pair."""

    prepare: Callable[[Any], Any]
    compare: Callable[[Any, Any], float]


def _varies(values: Map) -> bool:
    return values.size > 0 and bool(np.isfinite(values).all()) and bool((values != values.flat[0]).any())


def _ranks(values: Map) -> Float[np.ndarray, " places"] | None:
    """Centred ranks of length 1: their product is the correlation."""
    if not _varies(values):
        return None
    ranks = rankdata(values, axis=None)
    ranks = ranks - ranks.mean()
    unit: np.ndarray = ranks / np.sqrt(ranks @ ranks)
    return unit


def _absolute_ranks(values: Map) -> Float[np.ndarray, " places"] | None:
    return _ranks(np.abs(values))


def _correlation(first: Float[np.ndarray, " places"], second: Float[np.ndarray, " places"]) -> float:
    return float(np.clip(first @ second, -1, 1))


def _scaled(values: Map) -> Map | None:
    if not _varies(values) or min(values.shape) < _LEAST:
        return None
    exact = values.astype(np.float64)
    # Divided by the largest first: the span of huge values is infinite, that of tiny ones zero.
    exact = exact / np.abs(exact).max()
    scaled: np.ndarray = (exact - exact.min()) / (exact.max() - exact.min())
    return scaled


def _structure(first: Map, second: Map) -> float:
    # Imported here: it takes longer than all the rest of the package.
    from skimage.metrics import structural_similarity

    side = min(first.shape)
    if side >= _GAUSSIAN_SPAN:
        window: dict[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    else:
        window = {"win_size": min(7, side - 1 + side % 2), "use_sample_covariance": False}
    compared: Any = structural_similarity
    return float(compared(first, second, data_range=1.0, **window))


def _top(values: Map, share: float = TOP_SHARE) -> Float[np.ndarray, " places"] | None:
    """How much of each place is among the highest: 1 above the bound, the share that is left on it, 0 below."""
    if not _varies(values):
        return None
    count = max(1, round(share * values.size))
    flat = values.ravel()
    bound = np.partition(flat, flat.size - count)[flat.size - count]
    above, tied = flat > bound, flat == bound
    weights: np.ndarray = above + tied * ((count - above.sum()) / tied.sum())
    return weights


def _common(first: Float[np.ndarray, " places"], second: Float[np.ndarray, " places"]) -> float:
    count = round(float(first.sum()))
    share = count / first.size
    chance = count * share
    expected = float(first @ second)
    if expected <= chance:
        return expected / count
    most = np.sqrt((first @ first - chance) * (second @ second - chance))
    return float(share + (1 - share) * min(1.0, (expected - chance) / most))


def _refuse_sizes(first: Map, second: Map) -> None:
    if first.shape != second.shape:
        sizes = " and ".join(f"{m.shape[0]} x {m.shape[1]}" for m in (first, second))
        raise InterpError(f"maps of {sizes} places (rows x cols) cannot be compared: resize them to one size")


_MEASURES = {
    Similarity.SPEARMAN: _Measure(_ranks, _correlation),
    Similarity.ABSOLUTE_SPEARMAN: _Measure(_absolute_ranks, _correlation),
    Similarity.SSIM: _Measure(_scaled, _structure),
    Similarity.TOP_K: _Measure(_top, _common),
}
