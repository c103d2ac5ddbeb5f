"""Agreement: scipy and scikit-image as references, closed forms, and what is not defined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity

from interp.errors import InterpError
from interp.metrics.agreement import Similarity, agreement_matrix, mean_defined, similarity, spearman, ssim, top_k_intersection


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_spearman_is_that_of_scipy_with_ties_too() -> None:
    a, b = np.round(drawn(2, 9, 7))
    assert spearman(a, b) == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic, abs=1e-12)
    assert similarity(a, b, Similarity.ABSOLUTE_SPEARMAN) == pytest.approx(spearmanr(abs(a).ravel(), abs(b).ravel()).statistic, abs=1e-12)


def test_spearman_by_hand() -> None:
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert spearman(a, a**3) == pytest.approx(1)
    assert spearman(a, -a) == pytest.approx(-1)
    assert similarity(a, -a, Similarity.ABSOLUTE_SPEARMAN) == pytest.approx(1)
    # 1 - 6 sum d^2 / (n (n^2 - 1)) for ranks without ties.
    assert spearman(a, np.array([[2.0, 1.0], [4.0, 3.0]])) == pytest.approx(1 - 6 * 4 / (4 * 15))


def test_ssim_is_that_of_scikit_image_on_maps_scaled_to_0_1() -> None:
    a, b = drawn(2, 16, 20)
    scaled = [(m - m.min()) / (m.max() - m.min()) for m in (a, b)]
    expected = structural_similarity(*scaled, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    assert ssim(a, b) == pytest.approx(expected, abs=1e-12)
    assert ssim(a, a) == pytest.approx(1)


def test_ssim_of_small_maps() -> None:
    for side in (3, 4, 7, 10):
        a = drawn(side, side)
        assert ssim(a, 2 * a + 1) == pytest.approx(1)
        assert ssim(a, -a) < 0
    assert np.isnan(ssim(drawn(2, 9), drawn(2, 9)))


def test_top_k_by_hand() -> None:
    a, b = np.arange(20.0).reshape(4, 5), np.arange(20.0)[::-1].reshape(4, 5).copy()
    assert top_k_intersection(a, a) == pytest.approx(1)
    assert top_k_intersection(a, b) == 0
    assert top_k_intersection(a, b, 0.6) == pytest.approx(4 / 12)
    assert top_k_intersection(a, b, 1.0) == 1


def test_ties_below_chance_count_as_they_would_on_average_over_all_ways_to_break_them() -> None:
    a, b = np.zeros((1, 10)), np.zeros((1, 10))
    a[0, 9] = b[0, 0] = 1
    tops = [({9, i}, {0, j}) for i in range(9) for j in range(1, 10)]
    assert top_k_intersection(a, b, 0.2) == pytest.approx(np.mean([len(one & other) / 2 for one, other in tops]))


def test_ties_above_chance_are_rescaled_to_full_agreement_with_itself() -> None:
    """Three places of ten, one place sure in both maps, the rest tied: weights 1 and 2/9, sums of squares 1 + 4/9."""
    a, b = np.zeros((1, 10)), np.zeros((1, 10))
    a[0, 4] = b[0, 4] = 1
    assert top_k_intersection(a, b, 0.3) == pytest.approx(1)
    b[0, 4], b[0, [5, 6]] = 2, 1  # b has no ties for its three places: 1 + 2/9 + 2/9 are expected in common, 0.9 by chance
    expected = 0.3 + 0.7 * (13 / 9 - 0.9) / np.sqrt((13 / 9 - 0.9) * (3 - 0.9))
    assert top_k_intersection(a, b, 0.3) == pytest.approx(expected)


def test_sparse_maps_that_share_no_place_agree_by_chance_alone() -> None:
    """60 positive pixels each on 56 x 56, of which a tenth is 314: reading order would fill both with the same zeros."""
    places = np.random.default_rng(0).permutation(56 * 56)
    first, second, half = (np.zeros((56, 56)) for _ in range(3))
    first.flat[places[:60]] = second.flat[places[60:120]] = half.flat[places[30:90]] = np.arange(1, 61)
    assert top_k_intersection(first, second) == pytest.approx(0.1, abs=0.01)
    assert top_k_intersection(first, half) == pytest.approx(0.1 + 0.9 * 0.5, abs=0.02)
    assert top_k_intersection(first, 7 * first) == pytest.approx(1)


def test_random_sparse_maps_have_their_share_in_common_on_average() -> None:
    maps = [np.maximum(drawn(30, 30, seed=seed) - 1.8, 0) for seed in range(40)]
    found = [top_k_intersection(a, b) for a, b in zip(maps[::2], maps[1::2], strict=True)]
    assert np.mean(found) == pytest.approx(0.1, abs=0.03)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float64, (2, 4, 5), elements=st.integers(-2, 2).map(float)), st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.9, 1.0]))
def test_top_k_is_a_share_whatever_the_ties(maps: np.ndarray, share: float) -> None:
    found = top_k_intersection(*maps, share)
    assert np.isnan(found) or 0 <= found <= 1 + 1e-12
    distinct = np.random.default_rng(0).permuted(np.arange(40.0)).reshape(2, 4, 5)
    k = max(1, round(share * 20))
    tops = [set(np.argsort(-values, axis=None)[:k].tolist()) for values in distinct]
    assert top_k_intersection(*distinct, share) == pytest.approx(len(tops[0] & tops[1]) / k)


def test_two_random_maps_have_their_share_in_common() -> None:
    assert top_k_intersection(drawn(200, 200), drawn(200, 200, seed=1), 0.3) == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("kind", list(Similarity))
def test_what_is_not_defined_is_nan(kind: Similarity) -> None:
    a, bad = drawn(5, 5), drawn(5, 5)
    bad[1, 1] = np.nan
    for other in (np.zeros((5, 5)), np.full((5, 5), 0.1), bad, np.where(np.isnan(bad), np.inf, bad)):
        assert np.isnan(similarity(a, other, kind))
        assert np.isnan(similarity(other, a, kind))


def test_a_map_of_one_magnitude_has_no_absolute_ranks() -> None:
    signs = np.sign(drawn(4, 4))
    assert np.isnan(similarity(signs, drawn(4, 4), Similarity.ABSOLUTE_SPEARMAN))
    assert np.isfinite(similarity(signs, drawn(4, 4, seed=1), Similarity.SPEARMAN))


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.float64, (2, 5, 5), elements=st.integers(-9, 9).map(float)))
def test_properties(maps: np.ndarray) -> None:
    a, b = maps
    for kind in Similarity:
        found = similarity(a, b, kind)
        np.testing.assert_allclose(similarity(b, a, kind), found, atol=1e-12)
        np.testing.assert_allclose(similarity(a * 2.0**900, b * 2.0**-900, kind), found, atol=1e-9)
        assert np.isnan(found) or -1 - 1e-9 <= found <= 1 + 1e-9
        assert np.isnan(same := similarity(a, a, kind)) or same == pytest.approx(1)


@pytest.mark.parametrize("kind", list(Similarity))
def test_the_matrix_is_the_mean_over_images_of_each_pair(kind: Similarity) -> None:
    maps = [[drawn(6, 6, seed=10 * m + i) for i in range(4)] for m in range(3)]
    found = agreement_matrix(maps, kind)
    for i in range(3):
        for j in range(3):
            assert found[i, j] == pytest.approx(np.mean([similarity(a, b, kind) for a, b in zip(maps[i], maps[j], strict=True)]))
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_allclose(np.diag(found), 1)


def test_the_matrix_leaves_out_what_is_not_defined() -> None:
    a, b, zero = drawn(4, 4), drawn(4, 4, seed=1), np.zeros((4, 4))
    found = agreement_matrix([[a, a], [b, zero], [zero, zero]])
    assert found[0, 1] == pytest.approx(spearman(a, b))
    assert np.isnan(found[2]).all()


def test_the_matrix_of_images_of_several_sizes_and_of_none() -> None:
    assert agreement_matrix([[drawn(4, 4), drawn(3, 7)], [drawn(4, 4), drawn(3, 7)]]) == pytest.approx(np.ones((2, 2)))
    assert agreement_matrix([]).shape == (0, 0)


def test_mean_defined() -> None:
    nan = np.nan
    np.testing.assert_array_equal(mean_defined(np.array([[1.0, nan, nan], [3.0, 4.0, nan]])), [2, 4, nan])


def test_bad_input() -> None:
    with pytest.raises(InterpError, match=r"maps of 4 x 4 and 4 x 5 places \(rows x cols\) cannot be compared: resize them to one size"):
        spearman(drawn(4, 4), drawn(4, 5))
    with pytest.raises(InterpError, match="maps of 4 x 4 and 2 x 2 places"):
        agreement_matrix([[drawn(4, 4)], [drawn(2, 2)]])
    with pytest.raises(InterpError, match="the methods have 1 and 2 maps: give one map per image for each method"):
        agreement_matrix([[drawn(4, 4)], [drawn(4, 4)] * 2])
    with pytest.raises(InterpError, match=r"`share` is 0.0: give the share of places"):
        top_k_intersection(drawn(4, 4), drawn(4, 4), 0.0)
