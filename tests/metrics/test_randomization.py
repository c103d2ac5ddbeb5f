"""Randomization: what ignores the weights scores 1, what follows them does not, and the network comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from interp.core.method import Family, Heatmap, Place, frozen
from interp.core.model import Model, ModelSpec
from interp.core.randomize import Redraw, randomized_weights, weighted_layers
from interp.core.score import Scores
from interp.core.trace import model as trace
from interp.core.unit import Unit
from interp.errors import InterpError, Unsupported
from interp.images import Preprocess
from interp.metrics.agreement import Similarity, similarity
from interp.metrics.cascade import Order, Step, cascade, layer_groups, likeness, randomization_curve
from interp.metrics.evidence import Better, Evidence
from interp.metrics.randomization import EfficientRandomization, Randomization, SmoothRandomization, averaged, histogram_entropy


class Base:
    name: ClassVar[str] = "test"
    title: ClassVar[str] = "Test"
    place: ClassVar[Place] = Place.INPUT
    family: ClassVar[Family] = Family.CONTROL
    source: ClassVar[str] = "here"

    def maps(self, model: Model, images: Tensor, units: Sequence[Unit]) -> Tensor:
        raise NotImplementedError

    def __call__(self, model: Model, images: Tensor, units: Sequence[Unit]) -> list[Heatmap]:
        maps = self.maps(model, images, units).detach().numpy()
        return [Heatmap(frozen(values), unit, self.title) for values, unit in zip(maps, units, strict=True)]


class InputMagnitude(Base):
    def maps(self, model: Model, images: Tensor, units: Sequence[Unit]) -> Tensor:
        return images.abs().sum(1)


class Gradient(Base):
    def maps(self, model: Model, images: Tensor, units: Sequence[Unit]) -> Tensor:
        images = images.detach().requires_grad_()
        scores = Scores(model, units)
        score = scores(images)[torch.arange(len(units)), scores.columns(units)].sum()
        return torch.autograd.grad(score, images)[0].sum(1)


class Zero(Base):
    def maps(self, model: Model, images: Tensor, units: Sequence[Unit]) -> Tensor:
        return torch.zeros(len(images), *images.shape[2:])


class Failing(Base):
    """Fails once the weights are no longer those it was told."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def maps(self, model: Model, images: Tensor, units: Sequence[Unit]) -> Tensor:
        if not torch.equal(model.module[0].weight, self.weight):
            raise ZeroDivisionError
        return images.sum(1)


class FirstLayer(Base):
    """The first convolution's own maps: changed by nothing above it."""

    def maps(self, model: Model, images: Tensor, units: Sequence[Unit]) -> Tensor:
        outputs, _ = model.capture(["0"], images, truncate=True)
        return outputs["0"].sum(1)


@pytest.fixture(scope="module")
def model() -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(32, 4),
        )
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.3)
    return trace(module, ModelSpec("tiny"), Preprocess(size=(16, 16), resize=16))


LAYERS = ("0", "1", "3", "7")
IMAGES = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
UNITS = (Unit("7", 0), Unit("7", 1), Unit("7", 2))


def evidence(model: Model, method: Any, indices: Sequence[int] = (0, 1, 2)) -> Evidence:
    images, units = IMAGES[list(indices)], tuple(UNITS[i] for i in indices)
    return Evidence(model, images, units, tuple(method(model, images, units)), method)


METRICS = [Randomization(), SmoothRandomization(n_samples=2), EfficientRandomization()]


def test_groups() -> None:
    layers = ["a", "b", "c", "d", "e", "f", "g"]
    assert layer_groups(layers, 3) == [("a", "b", "c"), ("d", "e"), ("f", "g")]
    assert layer_groups(layers, 1) == [tuple(layers)]
    assert layer_groups(layers, 100) == [(layer,) for layer in layers]
    assert layer_groups([], 3) == []
    with pytest.raises(InterpError, match="`n_steps` is 0: give at least 1"):
        layer_groups(layers, 0)


def test_the_cascade_visits_the_layers_in_its_order(model: Model) -> None:
    assert weighted_layers(model) == LAYERS
    groups = {order: [step.layers for step in cascade(Gradient(), model, IMAGES, UNITS, order=order)] for order in Order}
    assert groups[Order.TOP_DOWN] == [("7",), ("3",), ("1",), ("0",)]
    assert groups[Order.BOTTOM_UP] == [("0",), ("1",), ("3",), ("7",)]
    assert groups[Order.INDEPENDENT] == groups[Order.TOP_DOWN]
    assert [step.layers for step in cascade(Gradient(), model, IMAGES, UNITS, n_steps=2)] == [("7", "3"), ("1", "0")]


@pytest.mark.parametrize("redraw", list(Redraw))
def test_each_step_randomizes_what_it_says(model: Model, redraw: Redraw) -> None:
    for order, random in (
        (Order.TOP_DOWN, [LAYERS[3:], LAYERS[2:], LAYERS[1:], LAYERS]),
        (Order.BOTTOM_UP, [LAYERS[:1], LAYERS[:2], LAYERS[:3], LAYERS]),
        (Order.INDEPENDENT, [("7",), ("3",), ("1",), ("0",)]),
    ):
        steps = cascade(Gradient(), model, IMAGES, UNITS, order=order, redraw=redraw, seed=5)
        for step, layers in zip(steps, random, strict=True):
            with randomized_weights(model, layers, 5, redraw):
                expected = Gradient()(model, IMAGES, UNITS)
            for a, b in zip(step.heatmaps, expected, strict=True):
                np.testing.assert_array_equal(a.values, b.values)


def test_what_lies_below_the_random_layers_is_exactly_as_before(model: Model) -> None:
    curve = randomization_curve(FirstLayer(), model, IMAGES, UNITS)
    np.testing.assert_allclose(curve.similarity[:3], 1, atol=1e-12)
    assert (curve.similarity[3] < 0.99).all()
    up = randomization_curve(FirstLayer(), model, IMAGES, UNITS, Order.BOTTOM_UP)
    np.testing.assert_array_equal(up.similarity, np.repeat(curve.similarity[3:], 4, axis=0))
    assert up.steps == (("0",), ("1",), ("3",), ("7",))


@pytest.mark.parametrize("order", list(Order))
def test_the_input_magnitude_scores_1(model: Model, order: Order) -> None:
    given = evidence(model, InputMagnitude())
    for kind in Similarity:
        np.testing.assert_allclose(Randomization(order=order, similarity=kind)(given), 1, atol=1e-12)
    np.testing.assert_allclose(SmoothRandomization(order=order, n_samples=2)(given), 1, atol=1e-12)
    np.testing.assert_array_equal(EfficientRandomization()(given), 0)


def test_a_gradient_does_not(model: Model) -> None:
    """And the number is the mean of the curve over steps."""
    given = evidence(model, Gradient())
    found = Randomization()(given)
    assert (found < 0.9).all()
    curve = randomization_curve(Gradient(), model, given.images, given.units)
    np.testing.assert_allclose(found, curve.similarity.mean(axis=0), rtol=1e-12)
    (step,) = cascade(Gradient(), model, given.images, given.units, n_steps=1)
    full = [similarity(a.values, b.values, Similarity.ABSOLUTE_SPEARMAN) for a, b in zip(given.heatmaps, step.heatmaps, strict=True)]
    np.testing.assert_allclose(Randomization(n_steps=1)(given), full, rtol=1e-12)
    np.testing.assert_allclose(curve.similarity[-1], full, rtol=1e-12)


def test_without_randomization_a_map_is_identical(model: Model) -> None:
    maps = tuple(Gradient()(model, IMAGES, UNITS))
    for kind in Similarity:
        np.testing.assert_allclose(likeness(maps, [Step((), maps)], kind), 1, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_the_network_and_the_generators_come_back(model: Model, metric: Any) -> None:
    given = evidence(model, Gradient())
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    rng, numpy_rng = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    metric(given)
    assert all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())
    assert torch.equal(rng, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_rng, np.random.get_state()[1])  # noqa: NPY002
    with pytest.raises(ZeroDivisionError):
        metric(evidence(model, Failing(before["0.weight"])))
    assert all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())


@pytest.mark.parametrize("metric", METRICS)
def test_an_image_scores_the_same_in_any_company(model: Model, metric: Any) -> None:
    together = metric(evidence(model, Gradient()))
    np.testing.assert_allclose(metric(evidence(model, Gradient(), (2, 0))), together[[2, 0]], rtol=1e-4)
    np.testing.assert_allclose(metric(evidence(model, Gradient(), (1,))), together[[1]], rtol=1e-4)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("batch_size", [1, 2])
def test_never_more_than_a_batch_at_once_and_the_same_numbers(model: Model, metric: Any, batch_size: int) -> None:
    sizes: list[int] = []

    class Counting(Gradient):
        def maps(self, model: Model, images: Tensor, units: Sequence[Unit]) -> Tensor:
            sizes.append(len(images))
            assert len(images) == len(units)
            return super().maps(model, images, units)

    given = evidence(model, Counting())
    whole = metric(given)
    assert max(sizes) == 3
    sizes.clear()
    np.testing.assert_allclose(replace(metric, batch_size=batch_size)(given), whole, rtol=1e-4)
    assert max(sizes) == batch_size
    assert sum(sizes) % 3 == 0


def test_a_curve_asks_a_batch_at_a_time_too(model: Model) -> None:
    whole = randomization_curve(Gradient(), model, IMAGES, UNITS)
    parts = randomization_curve(Gradient(), model, IMAGES, UNITS, batch_size=2)
    assert parts.steps == whole.steps
    np.testing.assert_allclose(parts.similarity, whole.similarity, rtol=1e-4)
    with pytest.raises(InterpError, match=r"`batch_size` is 0: give at least 1"):
        cascade(Gradient(), model, IMAGES, UNITS, batch_size=0)


@pytest.mark.parametrize("metric", METRICS)
def test_a_zero_map_is_not_defined(model: Model, metric: Any) -> None:
    assert np.isnan(metric(evidence(model, Zero()))).all()


def test_steps_at_which_a_map_vanishes_do_not_count(model: Model) -> None:
    class Vanishing(Gradient):
        def maps(self, model: Model, images: Tensor, units: Sequence[Unit]) -> Tensor:
            maps = super().maps(model, images, units)
            return maps if bool(model.module[0].weight.abs().max() > 0.3) else maps * 0

    given = evidence(model, Vanishing())
    curve = randomization_curve(Vanishing(), model, given.images, given.units)
    assert np.isnan(curve.similarity[3]).all(), "the first layer was reset"
    np.testing.assert_allclose(Randomization()(given), curve.similarity[:3].mean(axis=0), rtol=1e-12)
    assert np.isnan(EfficientRandomization()(given)).all()


@pytest.mark.parametrize("metric", [Randomization, SmoothRandomization, EfficientRandomization])
def test_the_seed_counts(model: Model, metric: Any) -> None:
    given = evidence(model, Gradient())
    first, again, other = metric(seed=1)(given), metric(seed=1)(given), metric(seed=2)(given)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_histogram_entropy_by_hand() -> None:
    assert histogram_entropy(np.arange(100.0).reshape(10, 10)) == pytest.approx(np.log(100))
    one = np.zeros((4, 4))
    one[0, 0] = 1
    assert histogram_entropy(one) == pytest.approx(-(15 / 16 * np.log(15 / 16) + np.log(1 / 16) / 16))
    assert histogram_entropy(5 - 3 * one) == pytest.approx(histogram_entropy(one))
    assert np.isnan(histogram_entropy(np.ones((3, 3))))
    assert np.isnan(histogram_entropy(np.array([[0.0, np.nan]])))
    with pytest.raises(InterpError, match="`bins` is 1: give at least 2"):
        histogram_entropy(one, 1)


def test_histogram_entropy_is_that_of_quantus() -> None:
    import warnings

    maps = np.random.default_rng(0).normal(size=(3, 12, 12))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from quantus.functions.complexity_func import discrete_entropy
    for values in maps:
        assert histogram_entropy(values) == pytest.approx(discrete_entropy(values, values), abs=0.02)


def test_the_rise_of_complexity_is_relative(model: Model) -> None:
    given = evidence(model, Gradient())
    (step,) = cascade(Gradient(), model, given.images, given.units, n_steps=1)
    before = np.array([histogram_entropy(heatmap.values) for heatmap in given.heatmaps])
    after = np.array([histogram_entropy(heatmap.values) for heatmap in step.heatmaps])
    np.testing.assert_allclose(EfficientRandomization()(given), after / before - 1, rtol=1e-12)
    assert EfficientRandomization.better is Better.HIGHER


def test_averages_over_noise_tend_to_the_map_without(model: Model) -> None:
    """|x| is linear where x > 0: the mean over samples differs from it by noise / sqrt(samples), by range and channels."""
    images = 0.5 + 0.5 * IMAGES
    exact = images.sum(1).numpy()
    found = np.stack([heatmap.values for heatmap in averaged(InputMagnitude(), model, images, UNITS, 200, 0.1, 0)])
    assert np.std(found - exact) == pytest.approx(0.1 * 0.5 * np.sqrt(3 / 200), rel=0.1)
    alone = averaged(InputMagnitude(), model, images[1:2], UNITS[1:2], 200, 0.1, 0)
    np.testing.assert_allclose(alone[0].values, found[1], rtol=1e-6)
    still = averaged(InputMagnitude(), model, images, UNITS, 3, 0, 0)
    np.testing.assert_allclose(np.stack([heatmap.values for heatmap in still]), exact, rtol=1e-6)


def test_much_noise_stays_within_half_the_images_range(model: Model) -> None:
    seen: list[Tensor] = []

    class Noting(InputMagnitude):
        def maps(self, model: Model, images: Tensor, units: Sequence[Unit]) -> Tensor:
            seen.append(images)
            model.checked(images)
            return super().maps(model, images, units)

    averaged(Noting(), model, IMAGES, UNITS, 5, 3.0, 0)
    assert all(float((images - IMAGES).abs().max()) <= 0.5 for images in seen)
    with pytest.raises(InterpError, match=r"`n_samples` is 0 and `noise` 0.1: give at least 1 sample"):
        averaged(Noting(), model, IMAGES, UNITS, 0, 0.1, 0)


def test_a_network_without_weights(model: Model) -> None:
    empty = trace(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), ModelSpec("empty"), Preprocess(size=(16, 16), resize=16))
    with pytest.raises(Unsupported, match="'empty' has no weights that its forward uses, so none can be randomized"):
        cascade(InputMagnitude(), empty, IMAGES, [Unit("1", 0)] * 3)
