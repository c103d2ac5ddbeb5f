"""ROAD: exact imputations, grad-cam side by side, and the ties that grad-cam removes all at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st
from pytorch_grad_cam.metrics.perturbation_confidence import PerturbationConfidenceMetric, RemoveLeastRelevantFirst, RemoveMostRelevantFirst
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torch import Tensor

from interp.errors import InterpError
from interp.metrics.road import First, Road, RoadLeRF, RoadMoRF, imputed, road_curve

from .asking import (
    Watched,
    check_a_map_that_tells_nothing_is_nan,
    check_each_sample_stands_alone,
    convnet,
    distinct,
    given,
    noise,
    total,
    untouched,
)

NINE = np.arange(9.0).reshape(1, 3, 3)
SHARES = (20, 40, 60, 80)
PEER = pytest.mark.filterwarnings("ignore:__array_wrap__")  # grad-cam hands tensors to numpy


@pytest.mark.parametrize(("place", "expected"), [((1, 1), 4.0), ((0, 0), 2.4)])
def test_one_missing_pixel_of_nine(place: tuple[int, int], expected: float) -> None:
    missing = np.zeros((3, 3), dtype=bool)
    missing[place] = True
    filled = imputed(NINE, missing)
    assert filled[0][place] == pytest.approx(expected, abs=1e-12)
    np.testing.assert_array_equal(filled[0][~missing], NINE[0][~missing])


def test_missing_neighbours_are_unknowns_of_one_system() -> None:
    # Two pixels in a row of three: a = (b) / 1 and b = (a + 1) / 2 by their edge weights, so both are 1.
    np.testing.assert_allclose(imputed(np.array([[[9.0, 9.0, 1.0]]]), np.array([[True, True, False]])), [[[1, 1, 1]]])


@PEER
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_imputation_of_gradcam(share: float) -> None:
    image = noise(1, 24)[0]
    missing = np.random.default_rng(4).random((24, 24)) < share
    theirs = NoisyLinearImputer(noise=0.0)(image, torch.from_numpy(np.float32(~missing)))
    np.testing.assert_allclose(imputed(image.double().numpy(), missing), theirs, atol=1e-6)


@PEER
@pytest.mark.parametrize(("metric", "remove"), [(RoadMoRF, RemoveMostRelevantFirst), (RoadLeRF, RemoveLeastRelevantFirst)])
def test_the_scores_of_gradcam_where_no_values_are_tied(metric: type[RoadMoRF], remove: type[RemoveMostRelevantFirst]) -> None:
    model, images, maps = convnet(32), noise(2, 32), distinct(2, 32)
    targets = [ClassifierOutputSoftmaxTarget(i) for i in range(2)]
    theirs = []
    for share in SHARES:
        peer = PerturbationConfidenceMetric(remove(100 - share, NoisyLinearImputer(noise=0.0)))
        theirs.append(peer(images, maps, targets, model, return_diff=False))
    first = First.MOST if metric is RoadMoRF else First.LEAST
    ours = metric(SHARES, noise=0).curve(given(model, images, maps), first)
    np.testing.assert_allclose(ours, np.stack(theirs, axis=1), atol=1e-5)
    np.testing.assert_allclose(metric(SHARES, noise=0)(given(model, images, maps)), np.mean(theirs, axis=0), atol=1e-5)


def test_combined_is_half_the_difference() -> None:
    evidence = given(convnet(), noise(2), distinct(2))
    np.testing.assert_allclose(Road()(evidence), (RoadLeRF()(evidence) - RoadMoRF()(evidence)) / 2, atol=1e-12)


def missing_of(images: Tensor, maps: np.ndarray, first: First) -> np.ndarray:
    """Which pixels differ from the image, (percentiles, rows, cols)."""
    seen: list[Tensor] = []

    def keep(variants: Tensor, samples: object) -> np.ndarray:
        seen.append(variants)
        return np.zeros(len(variants))

    road_curve(keep, images, maps, first=first, percentiles=SHARES)
    return ((torch.cat(seen) - images) != 0).any(1).numpy()


def test_a_map_that_is_nine_tenths_zeros_loses_just_the_share_asked_for() -> None:
    values = np.zeros((1, 20, 20), dtype=np.float32)
    values[0].flat[:40] = np.arange(40, 0, -1)
    images = noise(1, 20)
    kept: list[Tensor] = []

    def keep(image: Tensor, mask: Tensor) -> Tensor:
        kept.append(mask)
        return image

    RemoveMostRelevantFirst(80, keep)(images[0], torch.from_numpy(values[0]))
    assert float(kept[0].sum()) == 0  # grad-cam leaves no pixel to impute from
    for first in First:
        assert missing_of(images, values, first).sum((1, 2)).tolist() == [80, 160, 240, 320]
    most, least = missing_of(images, values, First.MOST), missing_of(images, values, First.LEAST)
    assert most[0].ravel()[:40].all()
    assert not least[3].ravel()[:40].any()
    assert not (most[0] & least[3]).any()  # the two orders are each other's reverse, in the ties too


@settings(deadline=None, max_examples=30)
@sampled(st.integers(0, 10**6), st.integers(1, 35))
def test_imputed_values_lie_between_the_known_ones(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    image = random.random((2, 6, 6))
    missing = np.isin(random.permutation(36).reshape(6, 6), np.arange(count))
    filled = imputed(image, missing)
    for before, after in zip(image, filled, strict=True):
        assert before[~missing].min() - 1e-9 <= after.min()
        assert after.max() <= before[~missing].max() + 1e-9


def test_noise_is_small_falls_on_missing_pixels_alone_and_belongs_to_the_image() -> None:
    seen: list[Tensor] = []

    def keep(variants: Tensor, samples: object) -> np.ndarray:
        seen.append(variants)
        return np.zeros(len(variants))

    image = torch.full((1, 3, 40, 40), 0.5)
    maps = distinct(2, 40)
    for values, seed in ((maps[:1], 0), (maps[1:], 0), (maps[:1], 1)):
        road_curve(keep, image, values, first=First.MOST, percentiles=(90,), seed=seed)
    first, other_map, other_seed = (variants[0] - 0.5 for variants in seen)
    added = first[:, (first != 0).any(0)]
    assert added.shape[1] == 1440
    assert float(added.std()) == pytest.approx(0.01, rel=0.05)
    both = ((first != 0) & (other_map != 0)).all(0)
    torch.testing.assert_close(first[:, both], other_map[:, both], rtol=0, atol=1e-6)
    assert float((first - other_seed).abs().max()) > 0.01


@pytest.mark.parametrize("metric", [Road(), RoadMoRF(), RoadLeRF()])
def test_each_sample_stands_alone(metric: Road | RoadMoRF | RoadLeRF) -> None:
    evidence = given(convnet(), noise(4), distinct(4))
    check_each_sample_stands_alone(metric, evidence)
    check_a_map_that_tells_nothing_is_nan(metric, evidence)


def test_curves_of_zero_and_constant_maps_are_those_of_the_order_of_ties() -> None:
    model, images = convnet(), noise(2)
    zero, constant = (given(model, images, np.full((2, 5, 5), value)) for value in (0.0, 0.1))
    curve = RoadMoRF(noise=0).curve(zero, First.MOST)
    np.testing.assert_array_equal(curve, RoadMoRF(noise=0).curve(constant, First.MOST))
    assert not np.array_equal(curve, RoadMoRF(seed=1, noise=0).curve(zero, First.MOST))


def test_never_more_than_a_batch_at_once() -> None:
    score = Watched(total)
    road_curve(score, noise(3, 8), distinct(3, 8), first=First.MOST, batch_size=5)
    assert score.sizes == [5, 5, 2]


def test_nothing_is_left_in_the_model_or_the_global_generators() -> None:
    model, images = convnet(), noise(1)
    with untouched(model, images):
        Road()(given(model, images, distinct(1)))


def test_nothing_missing_changes_nothing() -> None:
    np.testing.assert_array_equal(imputed(NINE, np.zeros((3, 3), dtype=bool)), NINE)


def test_everything_missing_is_refused() -> None:
    with pytest.raises(InterpError, match=r"every pixel is missing, so there is nothing to impute from: leave at least one"):
        imputed(NINE, np.ones((3, 3), dtype=bool))


@pytest.mark.parametrize("percentiles", [(), (0,), (20, 100)])
def test_bad_percentiles(percentiles: tuple[int, ...]) -> None:
    evidence = given(convnet(), noise(1), distinct(1))
    with pytest.raises(InterpError, match=r"`percentiles` is \(.*\): give at least one, each above 0 and below 100"):
        Road(percentiles)(evidence)
