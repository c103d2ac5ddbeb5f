"""Average drop and increase: by hand, and beside grad-cam's multiplied images."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pytorch_grad_cam.metrics.cam_mult_image import DropInConfidence, IncreaseInConfidence
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torch import nn

from interp.core.baseline import Baseline
from interp.core.unit import Unit
from interp.errors import Unsupported
from interp.metrics.confidence import AverageDrop, AverageIncrease, drop, shown
from interp.metrics.scoring import Output

from .asking import (
    check_a_map_that_tells_nothing_is_nan,
    check_each_sample_stands_alone,
    convnet,
    distinct,
    given,
    linear,
    noise,
    untouched,
)


def test_the_positive_part_from_zero_to_one() -> None:
    np.testing.assert_allclose(shown(np.array([[-5.0, 0.0], [1.0, 4.0]])), [[0, 0], [0.25, 1]])
    np.testing.assert_allclose(shown(np.array([[2.0, 3.0], [4.0, 6.0]])), [[0, 0.25], [0.5, 1]])


@pytest.mark.parametrize("constant", [0.0, 3.0, -2.0])
def test_a_constant_map_shows_nothing(constant: float) -> None:
    np.testing.assert_array_equal(shown(np.full((2, 2), constant)), np.zeros((2, 2)))


def test_the_share_that_is_lost_and_no_gain() -> None:
    found = drop(np.array([0.8, 0.8, 0.5, 0.0, -1.0]), np.array([0.2, 0.9, 0.5, 0.1, -2.0]))
    np.testing.assert_allclose(found, [0.75, 0, 0, math.nan, math.nan])


def test_a_sum_seen_through_a_map() -> None:
    x = torch.tensor([[[[0.4, 0.3], [0.2, 0.1]]]])
    model = linear(torch.stack([torch.ones(1, 2, 2), -torch.ones(1, 2, 2)]))
    maps = np.array([[[2.0, 1.0], [-1.0, 0.0]]])
    one = given(model, x, maps, [Unit(model.output, 0)])
    # The map shows 0.4 whole and half of 0.3: 0.55 of 1 is left.
    np.testing.assert_allclose(AverageDrop(Output.LOGIT)(one), [0.45], atol=1e-6)
    np.testing.assert_allclose(AverageIncrease(Output.LOGIT)(one), [0])
    # On white, what is hidden counts 1: the sum rises.
    np.testing.assert_allclose(AverageDrop(Output.LOGIT, Baseline.WHITE)(one), [0])
    np.testing.assert_allclose(AverageIncrease(Output.LOGIT, Baseline.WHITE)(one), [1])
    # The raw score of class 1 is negative: it has no share to lose, but it does rise from -1 to -0.55.
    other = given(model, x, maps, [Unit(model.output, 1)])
    np.testing.assert_allclose(AverageDrop(Output.LOGIT)(other), [math.nan])
    np.testing.assert_allclose(AverageIncrease(Output.LOGIT)(other), [1])


def test_the_masked_probabilities_of_gradcam() -> None:
    model, images, maps = convnet(), noise(8), distinct(8)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (model.preprocess.mean, model.preprocess.std))
    bare = model.module.eval()  # grad-cam multiplies after the normalization
    masks = np.stack([shown(values) for values in maps])
    targets = [ClassifierOutputSoftmaxTarget(i % 4) for i in range(8)]
    lost = DropInConfidence()((images - mean) / std, masks, targets, bare)
    risen = IncreaseInConfidence()((images - mean) / std, masks, targets, bare)
    with torch.no_grad():
        whole = model(images).softmax(1)[range(8), [i % 4 for i in range(8)]].numpy()
    evidence = given(model, images, maps)
    np.testing.assert_allclose(AverageDrop(baseline=Baseline.MEAN)(evidence) * whole, lost, atol=1e-5)
    np.testing.assert_array_equal(AverageIncrease(baseline=Baseline.MEAN)(evidence), risen)
    assert 0 < risen.sum() < 8


def test_each_sample_stands_alone() -> None:
    evidence = given(convnet(), noise(4), distinct(4))
    check_each_sample_stands_alone(AverageDrop(), evidence)
    check_each_sample_stands_alone(AverageIncrease(), evidence)
    for metric in (AverageDrop(), AverageIncrease()):
        check_a_map_that_tells_nothing_is_nan(metric, evidence)


def test_a_map_without_positive_values_leaves_the_baseline() -> None:
    model, images = convnet(), noise(2)
    with torch.no_grad():
        black = model(torch.zeros_like(images)).softmax(1)[[0, 1], [0, 1]].double().numpy()
        whole = model(images).softmax(1)[[0, 1], [0, 1]].double().numpy()
    found = AverageDrop()(given(model, images, -1 - np.abs(distinct(2))))
    np.testing.assert_allclose(found, np.maximum(0, whole - black) / whole, atol=1e-6)


def test_a_probability_is_asked_of_a_class_alone() -> None:
    evidence = given(convnet(), noise(1), distinct(1), [Unit("0", 1)])
    assert np.isfinite(AverageIncrease()(evidence)).all()
    with pytest.raises(Unsupported, match=r"'0:1' is no class, so it has no probability"):
        AverageDrop(Output.SOFTMAX)(evidence)


def test_nothing_is_left_in_the_model_or_the_global_generators() -> None:
    model, images = convnet(), noise(1)
    assert isinstance(model.module, nn.Module)
    evidence = given(model, images, distinct(1))
    with untouched(model, images):
        AverageDrop()(evidence)
        AverageIncrease()(evidence)
