"""How alike two images are, pixel by pixel. Pure numpy and scikit-image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from interp.errors import InterpError
from interp.featurevis.feature import Feature

# The Gaussian window of Wang et al. spans 11 px at sigma 1.5; smaller images get a flat one that fits.
_GAUSSIAN_SPAN, _LEAST = 11, 3


@dataclass(frozen=True)
class Similarity:
    """``ssim``: structural similarity, at most 1; ``correlation``: Pearson's, of all pixel values, -1 to 1."""

    ssim: float
    correlation: float


def similarity(first: Float[np.ndarray, "h w 3"], second: Float[np.ndarray, "rows cols 3"]) -> Similarity:
    """How alike two [0, 1] images of one size are.

    SSIM: Wang et al. 2004, Gaussian window of sigma 1.5 (a flat one for images below 11 px), data range 1, mean over
    colours and places. The correlation with a flat image is 0, that of two equal flat images 1.

    Raises InterpError for images of different sizes, or below 3 px.
    """
    if first.shape != second.shape:
        sizes = " and ".join(f"{i.shape[0]} x {i.shape[1]}" for i in (first, second))
        raise InterpError(f"images of {sizes} px (rows x cols) cannot be compared pixel by pixel: give the same size")
    side = min(first.shape[:2])
    if side < _LEAST:
        raise InterpError(
            f"images of {first.shape[0]} x {first.shape[1]} px (rows x cols) are too small for SSIM: give at least {_LEAST} px"
        )
    # Imported here: it takes longer than all the rest of the package.
    from skimage.metrics import structural_similarity

    a, b = first.astype(np.float64), second.astype(np.float64)
    if side >= _GAUSSIAN_SPAN:
        window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    else:
        window = {"win_size": min(7, side - 1 + side % 2), "use_sample_covariance": False}
    ssim: Any = structural_similarity
    return Similarity(float(ssim(a, b, channel_axis=2, data_range=1.0, **window)), correlation(a, b))


def correlation(first: Float[np.ndarray, "*shape"], second: Float[np.ndarray, "*shape"]) -> float:
    """Pearson's correlation of all values, -1 to 1; with something constant 0, of two equal constants 1."""
    a, b = first - first.mean(), second - second.mean()
    scale = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    # What rounding leaves of a constant is no variance.
    if scale <= 1e-12 * max(a.size, 1):
        return 1.0 if np.array_equal(first, second) else 0.0
    return float(np.clip((a * b).sum() / scale, -1, 1))


def seed_similarity(first: Feature, second: Feature) -> Similarity:
    """How alike the images of one unit are that were found from two seeds. Raises InterpError where they are of two units or sizes.

    High: the unit has one preferred image. Low: many, or none, since what moves about counts as different too.
    """
    if str(first.unit) != str(second.unit):
        raise InterpError(f"'{first.unit}' and '{second.unit}' are two units: give two images of one unit, from two seeds")
    return similarity(first.image, second.image)
