"""Localization: closed forms, expectation over ties, Quantus where it is right, and where it is not."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jaxtyping import config
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from interp.core.method import Family, Heatmap, Place
from interp.core.model import Model, ModelSpec
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.images import Preprocess
from interp.metrics.evidence import Better, Evidence
from interp.metrics.localization import (
    MaskAUC,
    PointingGame,
    RelevanceMass,
    RelevanceRank,
    mask_auc,
    pointing_game,
    relevance_mass,
    relevance_rank,
)

PURE = [pointing_game, relevance_mass, relevance_rank, mask_auc]
CLASSES = [PointingGame(), RelevanceMass(), RelevanceRank(), MaskAUC()]

MAP = np.array([[[4.0, 1.0], [2.0, -5.0]]])


def mask(*rows: list[int]) -> np.ndarray:
    return np.array([rows], dtype=bool)


def drawn(n: int = 6, side: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    masks = rng.random((n, side, side)) < 0.3
    masks[:, 0, 0] = True
    masks[:, -1, -1] = False
    return rng.normal(size=(n, side, side)), masks


def test_values_by_hand() -> None:
    left = mask([1, 0], [1, 0])
    assert relevance_mass(MAP, left) == pytest.approx([6 / 7])
    assert relevance_mass(MAP, mask([0, 1], [0, 1])) == pytest.approx([1 / 7])
    assert relevance_rank(MAP, left) == [1.0]
    assert relevance_rank(MAP, mask([1, 1], [0, 0])) == [0.5]
    assert pointing_game(MAP, left) == [1.0]
    assert pointing_game(MAP, ~left) == [0.0]
    assert mask_auc(MAP, left) == [1.0]
    assert mask_auc(MAP, mask([1, 1], [0, 0])) == [0.75]


def test_the_tolerance_is_a_euclidean_distance_in_pixels() -> None:
    maps = np.zeros((1, 9, 9))
    maps[0, 4, 4] = 1
    masks = np.zeros((1, 9, 9), dtype=bool)
    masks[0, 7, 8] = True  # 3 rows and 4 columns away
    assert pointing_game(maps, masks, 4.99) == [0]
    assert pointing_game(maps, masks, 5) == [1]


def test_tied_maxima_count_by_their_share() -> None:
    maps = np.array([[[3.0, 3.0], [3.0, 1.0]]])
    assert pointing_game(maps, mask([1, 1], [0, 0])) == pytest.approx([2 / 3])


def test_a_rank_with_ties_is_the_mean_over_all_orders() -> None:
    maps = np.array([[[5.0, 2.0, 2.0], [2.0, 0.0, 2.0]]])
    masks = mask([0, 1, 1], [0, 1, 0])
    scores = []
    for order in itertools.permutations(range(6)):
        ranked = sorted(order, key=lambda place: -maps[0].flat[place])  # a stable sort of a shuffled order
        scores.append(masks[0].ravel()[ranked[:3]].mean())
    assert relevance_rank(maps, masks) == pytest.approx([np.mean(scores)])


def test_mask_auc_is_that_of_scikit_learn() -> None:
    maps, masks = drawn()
    maps = np.round(maps, 0)  # ties
    expected = [roc_auc_score(m.ravel(), a.ravel()) for a, m in zip(maps, masks, strict=True)]
    np.testing.assert_allclose(mask_auc(maps, masks), expected, atol=1e-12)


@pytest.mark.parametrize("metric", PURE)
def test_what_is_not_defined_is_nan(metric: Any) -> None:
    """In order: an empty mask, a zero map, NaN, infinity, and one that is fine, which the others leave alone."""
    maps = np.random.default_rng(0).random((5, 4, 4))
    masks = np.zeros((5, 4, 4), dtype=bool)
    masks[1:, :2] = True
    maps[1], maps[2, 0, 0], maps[3, 3, 3] = 0, np.nan, np.inf
    found = metric(maps, masks)
    assert np.isnan(found).tolist() == [True, True, True, True, False]
    assert found[4] == metric(maps[4:], masks[4:])[0]


@pytest.mark.parametrize("maps", [-np.abs(MAP) - 1, np.minimum(MAP, 0)])
def test_a_map_without_positive_values_points_nowhere_but_has_an_order(maps: np.ndarray) -> None:
    masks = mask([1, 1], [1, 0])
    for metric in (pointing_game, relevance_mass, relevance_rank):
        assert np.isnan(metric(maps, masks)).all()
    assert mask_auc(maps, masks) == [1.0], "the place outside is the lowest"


def test_negative_values_count_as_zeros_except_in_the_auc() -> None:
    """Two places are marked; of those left after the one that is positive, all are tied."""
    maps, masks = np.array([[[3.0, -1.0], [-2.0, 0.0]]]), mask([1, 1], [0, 0])
    assert relevance_rank(maps, masks) == pytest.approx([(1 + 1 / 3) / 2])
    for metric in (pointing_game, relevance_mass, relevance_rank):
        np.testing.assert_array_equal(metric(maps, masks), metric(np.maximum(maps, 0), masks))
    assert mask_auc(maps, masks) == [0.75]
    assert mask_auc(np.maximum(maps, 0), masks) == [0.75]
    assert mask_auc(maps, mask([1, 0], [1, 0])) == [0.5]
    assert mask_auc(np.maximum(maps, 0), mask([1, 0], [1, 0])) == [0.75]


@pytest.mark.parametrize("metric", PURE)
def test_a_negative_infinity_is_not_finite_either(metric: Any) -> None:
    maps = MAP.copy()
    maps[0, 1, 1] = -np.inf
    assert np.isnan(metric(maps, mask([1, 0], [1, 0]))).all()


def test_a_mask_of_everything() -> None:
    maps, _ = drawn(1)
    everything = np.ones_like(maps, dtype=bool)
    assert pointing_game(maps, everything) == relevance_rank(maps, everything) == 1
    assert relevance_mass(maps, everything) == pytest.approx([1])
    assert np.isnan(mask_auc(maps, everything)).all()


@pytest.mark.parametrize("metric", PURE[:3])
def test_a_random_map_is_expected_to_score_the_masks_share_of_the_area(metric: Any) -> None:
    rng = np.random.default_rng(1)
    masks = np.zeros((3000, 8, 8), dtype=bool)
    masks[:, 2:6, 1:5] = True  # a quarter
    found = metric(rng.random(masks.shape), masks)
    assert abs(found.mean() - 0.25) < 4 * found.std() / np.sqrt(len(found))


@pytest.mark.parametrize("metric", PURE[:3])
def test_a_constant_map_scores_the_masks_share_of_the_area(metric: Any) -> None:
    _, masks = drawn()
    np.testing.assert_allclose(metric(np.full(masks.shape, 2.0), masks), masks.mean(axis=(1, 2)), rtol=1e-12)


def test_quantus_agrees_where_it_is_right() -> None:
    maps, masks = drawn()
    positive = np.abs(maps)  # Quantus sums signed values
    theirs = ("RelevanceMassAccuracy", "RelevanceRankAccuracy", "PointingGame")
    for ours, name in zip((relevance_mass, relevance_rank, pointing_game), theirs, strict=True):
        np.testing.assert_allclose(ours(positive, masks), quantus_scores(name, positive, masks), atol=1e-12)


def test_quantus_gives_an_empty_mask_a_hit_and_we_do_not() -> None:
    maps, masks = drawn(2)
    masks[0] = False
    assert bool(quantus_scores("PointingGame", np.abs(maps), masks)[0]) is True
    assert np.isnan(pointing_game(np.abs(maps), masks)[0])


def quantus_scores(name: str, maps: np.ndarray, masks: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import quantus

        metric = getattr(quantus, name)(abs=False, normalise=False, disable_warnings=True, display_progressbar=False)
        return metric.evaluate_batch(a_batch=maps[:, None].copy(), s_batch=masks[:, None].copy())


finite = st.integers(-50, 50).map(float)
maps_of = hnp.arrays(np.float64, (2, 4, 5), elements=finite)
masks_of_maps = hnp.arrays(np.bool_, (2, 4, 5))


@settings(max_examples=60, deadline=None)
@given(maps_of, masks_of_maps)
def test_properties(maps: np.ndarray, masks: np.ndarray) -> None:
    for metric in PURE:
        found = metric(maps, masks)
        assert ((found >= 0) | np.isnan(found)).all()
        assert ((found <= 1 + 1e-12) | np.isnan(found)).all()
        # A positive scale changes nothing; nor does the company of other images, nor where in the image a place is.
        np.testing.assert_allclose(metric(maps * 2.0**60, masks), found, rtol=1e-12)
        np.testing.assert_array_equal(metric(maps[::-1], masks[::-1]), found[::-1])
        np.testing.assert_array_equal(metric(maps[:1], masks[:1]), found[:1])
        np.testing.assert_allclose(metric(maps[:, ::-1], masks[:, ::-1]), found, rtol=1e-12)
    inside, outside = relevance_mass(maps, masks), relevance_mass(maps, ~masks)
    both = ~np.isnan(inside) & ~np.isnan(outside)
    np.testing.assert_allclose((inside + outside)[both], 1)
    auc = mask_auc(maps, masks) + mask_auc(maps, ~masks)
    np.testing.assert_allclose(auc[~np.isnan(auc)], 1)


def test_huge_and_tiny_values_stay_in_range() -> None:
    masks = mask([1, 0], [1, 0])
    for scale in (1e-310, 1e307):
        assert relevance_mass(MAP * scale, masks) == pytest.approx([6 / 7])


class Given:
    """A method that is never asked again."""

    name, title, place, family, source = "given", "given", Place.INPUT, Family.CONTROL, "given"

    def __call__(self, model: Model, images: Tensor, units: Sequence[Unit]) -> list[Heatmap]:
        raise AssertionError


def evidence(maps: np.ndarray, masks: np.ndarray | None, size: int) -> Evidence:
    units = tuple(Unit("0", 0) for _ in maps)
    heatmaps = tuple(Heatmap(values, unit, "given") for values, unit in zip(maps, units, strict=True))
    model = Model(nn.Identity(), ModelSpec("none"), Preprocess(), (), "")
    return Evidence(model, torch.zeros(len(maps), 3, size, size), units, heatmaps, Given(), masks)


@pytest.mark.parametrize(("metric", "pure"), list(zip(CLASSES, PURE, strict=True)))
def test_maps_are_resized_to_the_images(metric: Any, pure: Any) -> None:
    maps, _ = drawn(3, 4)
    masks = np.zeros((3, 8, 8), dtype=bool)
    masks[:, :4, :4] = True
    given = evidence(maps, masks, 8)
    np.testing.assert_array_equal(metric(given), pure(given.resized(), masks))
    assert metric.better is Better.HIGHER
    assert metric.needs_masks
    with pytest.raises(InterpError, match=f"'{metric.name}' needs masks of the objects, and none were given: give one per image"):
        metric(evidence(maps, None, 8))


def test_a_resized_maximum_stays_in_its_quarter() -> None:
    maps = np.zeros((1, 2, 2))
    maps[0, 1, 0] = 1
    masks = np.zeros((1, 16, 16), dtype=bool)
    masks[0, 8:, :8] = True
    assert PointingGame()(evidence(maps, masks, 16)) == [1]


def test_bad_tolerance() -> None:
    maps, masks = drawn(1)
    with pytest.raises(InterpError, match="`tolerance` is -1 px: give 0 or more"):
        pointing_game(maps, masks, -1)


def test_masks_of_another_shape() -> None:
    maps, masks = drawn(2)
    config.update("jaxtyping_disable", True)
    try:
        with pytest.raises(InterpError, match=r"`masks` has shape \(2, 4, 8\), but the maps have \(2, 8, 8\)"):
            relevance_mass(maps, masks[:, :4])
    finally:
        config.update("jaxtyping_disable", False)
