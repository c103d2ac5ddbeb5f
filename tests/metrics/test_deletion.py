"""Deletion and insertion: exact curves, Quantus side by side, every kind of map and unit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st
from torch import nn

from interp.core.baseline import Baseline, baseline
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported
from interp.metrics.deletion import Deletion, Insertion, Span, area, deletion_curve, insertion_curve, relative
from interp.metrics.scoring import Output

from .asking import (
    Watched,
    check_a_map_that_tells_nothing_is_nan,
    check_each_sample_stands_alone,
    convnet,
    distinct,
    given,
    linear,
    noise,
    total,
    untouched,
)

X = torch.tensor([[[[0.4, 0.3], [0.2, 0.1]]]])


def test_the_sum_of_four_pixels_in_two_steps() -> None:
    maps, nothing = X[:, 0].numpy(), torch.zeros_like(X)
    deletion, insertion = deletion_curve(total, X, maps, nothing, n_steps=2), insertion_curve(total, X, maps, nothing, n_steps=2)
    np.testing.assert_allclose(deletion, [[1, 0.3, 0]], atol=1e-7)
    np.testing.assert_allclose(insertion, [[0, 0.7, 1]], atol=1e-7)
    np.testing.assert_allclose([area(deletion), area(insertion)], [[0.4], [0.6]], atol=1e-7)


def test_the_same_by_the_metrics_themselves() -> None:
    model = linear(torch.ones(2, 1, 2, 2))
    evidence = given(model, X, X[:, 0].numpy())
    options = {"n_steps": 2, "output": Output.LOGIT, "baseline": Baseline.BLACK}
    np.testing.assert_allclose(Deletion(**options)(evidence), [0.4], atol=1e-6)
    np.testing.assert_allclose(Insertion(**options)(evidence), [0.6], atol=1e-6)
    np.testing.assert_allclose(Deletion(**options).curve(evidence), [[1, 0.3, 0]], atol=1e-6)


def test_a_constant_curve_has_its_own_height_as_area() -> None:
    np.testing.assert_allclose(area(np.full((2, 7), 0.3)), [0.3, 0.3])


def test_equal_shares_go_and_both_end_points_are_there() -> None:
    image = torch.ones(1, 3, 10, 10)
    curve = deletion_curve(total, image, distinct(1, 10), torch.zeros_like(image), n_steps=8)
    np.testing.assert_allclose(curve[0], 3 * (100 - np.rint(np.arange(9) * 12.5)))


@settings(deadline=None, max_examples=30)
@sampled(st.integers(0, 10**6))
def test_no_order_deletes_a_sum_faster_than_its_own_summands(seed: int) -> None:
    image = noise(1, 5, 2, seed)
    nothing = torch.zeros_like(image)
    summands = image.sum(1).numpy()
    best = area(deletion_curve(total, image, summands, nothing, n_steps=25))
    other = area(deletion_curve(total, image, distinct(1, 5, seed), nothing, n_steps=25))
    assert best[0] <= other[0] + 1e-6
    assert other[0] <= area(deletion_curve(total, image, -summands, nothing, n_steps=25))[0] + 1e-6


def test_insertion_is_the_deletion_of_the_negative_map_backwards() -> None:
    image, maps = noise(2, 8), distinct(2, 8)
    nothing = torch.zeros_like(image)
    backwards = deletion_curve(total, image, -maps, nothing, n_steps=4)[:, ::-1]
    np.testing.assert_allclose(insertion_curve(total, image, maps, nothing, n_steps=4), backwards, rtol=1e-12)


@pytest.mark.parametrize("softmax", [True, False])
def test_quantus_pixel_flipping(softmax: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import quantus
    model, images, maps = linear(torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))), noise(3, 8, 1), distinct(3, 8)
    flipping = quantus.PixelFlipping(features_in_step=4, normalise=False, perturb_baseline=0.0, disable_warnings=True)
    state = np.random.get_state()  # noqa: NPY002  Quantus may reseed the global generator
    theirs = flipping(model.module.eval(), images.numpy(), np.arange(3), maps[:, None], channel_first=True, softmax=softmax)
    np.random.set_state(state)  # noqa: NPY002
    metric = Deletion(n_steps=16, baseline=Baseline.BLACK, output=Output.SOFTMAX if softmax else Output.LOGIT)
    ours = metric.curve(given(model, images, maps))
    # Quantus leaves out the whole image, and its area is per step: neither has a scale that holds for another number of steps.
    np.testing.assert_allclose(ours[:, 1:], theirs, atol=1e-5)
    per_step = np.trapezoid(theirs, dx=1, axis=1)  # what its calculate_auc does, but for a name that numpy has dropped
    np.testing.assert_allclose(metric(given(model, images, maps)) * 16 - (ours[:, 0] + ours[:, 1]) / 2, per_step, atol=1e-4)


def test_probabilities_by_default_and_logits_if_asked() -> None:
    model, images = convnet(), noise(2)
    evidence = given(model, images, distinct(2))
    with torch.no_grad():
        logits = model(torch.cat([images, baseline(model, images, Baseline.MEAN)]))
    rows, classes = [0, 1, 2, 3], [0, 1, 0, 1]
    probability, logit = Deletion().curve(evidence), Deletion(output=Output.LOGIT).curve(evidence)
    assert probability.shape == (2, 33)
    np.testing.assert_allclose(probability[:, [0, -1]].T.ravel(), logits.softmax(1)[rows, classes], atol=1e-6)
    np.testing.assert_allclose(logit[:, [0, -1]].T.ravel(), logits[rows, classes], atol=1e-5)
    np.testing.assert_array_equal(Deletion(output=Output.SOFTMAX).curve(evidence), probability)


def test_insertion_starts_from_the_blurred_image() -> None:
    model, images = convnet(), noise(2)
    with torch.no_grad():
        expected = model(baseline(model, images, Baseline.BLUR)).softmax(1)[[0, 1], [0, 1]]
    np.testing.assert_allclose(Insertion().curve(given(model, images, distinct(2)))[:, 0], expected, atol=1e-6)


def test_a_unit_that_is_no_class_has_its_raw_score_beside_a_class_that_has_its_probability() -> None:
    model, images = convnet(), noise(2)
    units = [Unit("0", 3, (2, 5)), Unit(model.output, 1)]
    evidence = given(model, images, distinct(2), units)
    curve = Deletion().curve(evidence)
    with torch.no_grad():
        np.testing.assert_allclose(curve[0, 0], model.capture(["0"], images)[0]["0"][0, 3, 2, 5], atol=1e-6)
        np.testing.assert_allclose(curve[1, 0], model(images).softmax(1)[1, 1], atol=1e-6)
    with pytest.raises(Unsupported, match=r"'0:3@2,5' is no class, so it has no probability: use its score, or a unit of '6'"):
        Deletion(output=Output.SOFTMAX)(evidence)


def test_relative_curves_run_between_baseline_and_image() -> None:
    model = linear(torch.stack([torch.ones(1, 2, 2), -torch.ones(1, 2, 2)]))
    images = torch.cat([X, X])
    evidence = given(model, images, images[:, 0].numpy())
    options = {"n_steps": 2, "output": Output.LOGIT, "baseline": Baseline.BLACK, "span": Span.RELATIVE}
    # Class 1 scores lower with the image than without it: there is nothing to delete.
    np.testing.assert_allclose(Deletion(**options).curve(evidence), [[1, 0.3, 0], [math.nan] * 3], atol=1e-6)
    np.testing.assert_allclose(Insertion(**options).curve(evidence), [[0, 0.7, 1], [math.nan] * 3], atol=1e-6)
    np.testing.assert_allclose(Deletion(**options)(evidence), [0.4, math.nan], atol=1e-6)
    np.testing.assert_allclose(relative(np.array([[5.0, 4.0, 3.0]]), np.array([5.0]), np.array([3.0])), [[1, 0.5, 0]])


@pytest.mark.parametrize("metric", [Deletion(n_steps=4), Insertion(n_steps=4)])
def test_each_sample_stands_alone(metric: Deletion | Insertion) -> None:
    evidence = given(convnet(), noise(4), distinct(4))
    check_each_sample_stands_alone(metric, evidence)
    check_a_map_that_tells_nothing_is_nan(metric, evidence)


@pytest.mark.parametrize("metric", [Deletion(), Insertion()])
def test_curves_of_zero_and_constant_maps_are_those_of_the_order_of_ties(metric: Deletion | Insertion) -> None:
    model, images = convnet(), noise(2)
    zero = metric.curve(given(model, images, np.zeros((2, 5, 5))))
    np.testing.assert_array_equal(zero, metric.curve(given(model, images, np.full((2, 5, 5), 0.1))))
    assert not np.array_equal(zero, replace(metric, seed=1).curve(given(model, images, np.zeros((2, 5, 5)))))


def test_maps_are_taken_at_their_own_resolution_and_resized() -> None:
    model, images = convnet(), noise(1)
    evidence = given(model, images, distinct(1, 4))
    large = np.stack([evidence.heatmaps[0].resized((16, 16)).values])
    np.testing.assert_array_equal(Deletion()(evidence), Deletion()(given(model, images, large)))


def test_never_more_than_a_batch_at_once() -> None:
    score = Watched(total)
    image = noise(3, 8)
    deletion_curve(score, image, distinct(3, 8), torch.zeros_like(image), n_steps=9, batch_size=7)
    assert score.sizes == [7, 7, 7, 7, 2]


def test_nothing_is_left_in_the_model_or_the_global_generators() -> None:
    model, images = convnet(), noise(1)
    evidence = given(model, images, distinct(1))
    with untouched(model, images):
        Deletion(n_steps=2)(evidence)
        Insertion(n_steps=2, output=Output.LOGIT)(evidence)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (Deletion(n_steps=0), r"`n_steps` is 0, but the images have 256 pixels: give 1 to 256"),
        (Insertion(n_steps=300), r"`n_steps` is 300, but the images have 256 pixels: give 1 to 256"),
        (Deletion(batch_size=0), r"`batch_size` is 0: give at least 1"),
    ],
)
def test_bad_options(metric: Callable[..., np.ndarray], message: str) -> None:
    evidence = given(convnet(), noise(1), distinct(1))
    with pytest.raises(InterpError, match=message):
        metric(evidence)


def test_scores_that_are_not_finite_are_refused() -> None:
    model = convnet()
    last = model.module[-1]  # type: ignore[index]
    assert isinstance(last, nn.Linear)
    last.bias.data[0] = math.nan
    evidence = given(model, noise(1), distinct(1))
    with pytest.raises(InterpError, match=r"the score of '6:0' is nan, not a finite number"):
        Deletion(output=Output.LOGIT)(evidence)
