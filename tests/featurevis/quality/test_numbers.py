"""Ratios, z-scores, likeness, shifts and JPEG: closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis.quality.moved import jpeg, shifted, shifts, variants
from interp.featurevis.quality.numbers import kept, ratio, z_score
from interp.featurevis.quality.similarity import correlation, seed_similarity, similarity

from .conftest import feature, flat, noise

ANY = st.floats(allow_nan=True, allow_infinity=True)


def test_ratios() -> None:
    assert ratio(3.0, 2.0, "the base") == (1.5, "")
    assert ratio(-3.0, 2.0, "the base") == (-1.5, "")
    assert ratio(3.0, 0.0, "the base") == (None, "the base is 0, not above 0")
    assert ratio(3.0, -0.5, "the base") == (None, "the base is -0.5, not above 0")
    assert ratio(3.0, math.nan, "the base") == (None, "the base is no finite number")
    assert ratio(math.inf, 1.0, "the base") == (None, "the score is no finite number")
    assert ratio(1e300, 1e-300, "the base") == (None, "the base is 1e-300, next to nothing")
    assert kept([1.0, 2.0, 3.0], 4.0) == (0.5, "")
    assert kept([1.0], -1.0) == (None, "the score of the image itself is -1, not above 0")


def test_z_scores() -> None:
    assert z_score(6.0, [1.0, 3.0]) == (pytest.approx(4 / math.sqrt(2)), "")
    assert z_score(0.0, [1.0, 2.0, 3.0]) == (pytest.approx(-2.0), "")
    assert z_score(5.0, [2.0, 2.0, 2.0]) == (None, "the random images all score 2: there is no spread to measure in")
    assert z_score(5.0, [2.0, 2.0 + 1e-9])[0] is None, "rounding is no spread"
    assert z_score(0.0, [0.0, 0.0])[0] is None
    assert z_score(math.nan, [0.0, 1.0]) == (None, "a score is no finite number")
    with pytest.raises(InterpError, match="a spread of 1 random draws is not defined"):
        z_score(1.0, [1.0])


@given(ANY, ANY, st.lists(ANY, min_size=2, max_size=4))
def test_never_nan(value: float, base: float, draws: list[float]) -> None:
    with np.errstate(all="ignore"):
        outcomes = [ratio(value, base, "x"), z_score(value, draws), kept(draws, base)]
    for found, reason in outcomes:
        assert (found is None) == bool(reason)
        assert found is None or math.isfinite(found)


@pytest.mark.parametrize("place", [(0, 0), (2, 0), (-3, 0), (0, 4), (0, -1), (5, -4)])
def test_shifts_mirror_without_repeating_the_border(place: tuple[int, int]) -> None:
    image = noise(6, 8, 3)
    found = shifted(image, *place)
    assert found.shape == image.shape

    def mirrored(k: int, n: int) -> int:
        k = abs(k)
        return k if k < n else 2 * (n - 1) - k

    for row in range(6):
        for col in range(8):
            np.testing.assert_array_equal(found[row, col], image[mirrored(row - place[0], 6), mirrored(col - place[1], 8)])


def test_shift_lengths() -> None:
    assert shifts((64, 96), 1 / 16) == [(-4, 0), (4, 0), (0, -4), (0, 4)]
    assert shifts((4, 4), 0.01) == [(-1, 0), (1, 0), (0, -1), (0, 1)]
    with pytest.raises(InterpError, match=r"an image of 6 x 8 px \(rows x cols\) cannot be shifted by 0,-8"):
        shifted(noise(6, 8, 3), 0, -8)


def test_jpeg() -> None:
    for level in (0, 1, 77, 128, 200, 255):
        grey = flat(*[level / 255] * 3)
        np.testing.assert_array_equal(jpeg(grey, 75), grey)
    image = noise(32, 32, 3)
    rough, fine = (np.abs(jpeg(image, q) - image).mean() for q in (10, 95))
    assert 0 < fine < rough
    found = variants(image, [(1, 0), (0, -2)], 75)
    np.testing.assert_array_equal(found, np.stack([shifted(image, 1, 0), shifted(image, 0, -2), jpeg(image, 75)]))


@pytest.mark.parametrize("size", [(3, 3), (4, 9), (8, 8), (10, 30), (11, 11), (32, 40)])
def test_equal_images_are_wholly_alike(size: tuple[int, int]) -> None:
    image = noise(*size, 3)
    assert similarity(image, image.copy()).ssim == pytest.approx(1)
    assert similarity(image, image.copy()).correlation == pytest.approx(1)
    opposite = similarity(image, 1 - image)
    assert opposite.correlation == pytest.approx(-1)
    assert opposite.ssim < 0
    assert similarity(image, noise(*size, 3, seed=1)).ssim < 0.9


def test_likeness_of_flat_images_follows_luminance_alone() -> None:
    found = similarity(flat(0.2, 0.2, 0.2), flat(0.6, 0.6, 0.6))
    assert found.ssim == pytest.approx((2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4), rel=1e-5)
    assert found.correlation == 0
    assert similarity(flat(0.2, 0.2, 0.2), flat(0.2, 0.2, 0.2)).correlation == 1
    assert similarity(flat(0.2, 0.2, 0.2), noise(32, 32, 3)).correlation == 0
    assert correlation(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 5.0])) == pytest.approx(np.corrcoef([1, 2, 3], [2, 2, 5])[0, 1])


def test_refusals() -> None:
    with pytest.raises(InterpError, match="images of 8 x 8 and 8 x 9 px"):
        similarity(noise(8, 8, 3), noise(8, 9, 3))
    with pytest.raises(InterpError, match=r"images of 2 x 8 px .* too small for SSIM: give at least 3 px"):
        similarity(noise(2, 8, 3), noise(2, 8, 3))
    image = noise(16, 16, 3)
    one, other = feature(image, Unit("conv", 1)), feature(image, "conv:1")
    assert seed_similarity(one, other).ssim == pytest.approx(1)
    with pytest.raises(InterpError, match="'conv:1' and 'conv:2' are two units"):
        seed_similarity(one, feature(image, Unit("conv", 2)))
