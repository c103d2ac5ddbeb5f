"""Sensitivity-max: by hand, and Captum's values for the same perturbed images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import captum.metrics
import numpy as np
import pytest
import torch
from torch import Tensor

from interp.core.method import Family, Heatmap, Place
from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.metrics.evidence import Evidence
from interp.metrics.sensitivity import SensitivityMax, nearby, sensitivity_max

from .asking import (
    Gradient,
    check_a_map_that_tells_nothing_is_nan,
    check_each_sample_stands_alone,
    convnet,
    heatmaps,
    linear,
    noise,
    untouched,
)


@dataclass(frozen=True)
class Slope:
    """The map is ``gain`` times the square of the first channel: it moves with the image as can be computed by hand."""

    name: ClassVar[str] = "slope"
    title: ClassVar[str] = "Slope"
    place: ClassVar[Place] = Place.INPUT
    family: ClassVar[Family] = Family.CONTROL
    source: ClassVar[str] = "a test"

    gain: float = 1.0

    def __call__(self, model: Model, images: Tensor, units: Sequence[Unit]) -> list[Heatmap]:
        return heatmaps(self.gain * images[:, 0].square().numpy(), units)


def asked(method: Slope | Gradient, count: int = 3) -> Evidence:
    model, images = convnet(), noise(count)
    units = tuple(Unit(model.output, i) for i in range(count))
    return Evidence(model, images, units, tuple(method(model, images, units)), method)


def test_captum() -> None:
    evidence = asked(Slope())
    changed = torch.stack([near for image in evidence.images for near in nearby(image, 0.02, 10)])
    theirs = captum.metrics.sensitivity_max(lambda x: (x[0][:, :1].square(),), evidence.images, lambda _: (changed,), n_perturb_samples=10)
    np.testing.assert_allclose(SensitivityMax()(evidence), theirs, rtol=1e-4)


def test_captum_on_a_gradient() -> None:
    model, images, target = convnet(), noise(2), [0, 1]
    units = [Unit(model.output, i) for i in target]

    @torch.enable_grad()  # Captum explains under no_grad
    def explain(x: tuple[Tensor, ...]) -> tuple[Tensor]:
        wanted = units if len(x[0]) == 2 else [unit for unit in units for _ in range(6)]
        return (torch.from_numpy(np.stack([h.values for h in Gradient()(model, x[0], wanted)])),)

    changed = torch.stack([near for image in images for near in nearby(image, 0.1, 6, seed=3)])
    theirs = captum.metrics.sensitivity_max(explain, images, lambda _: (changed,), n_perturb_samples=6)
    evidence = Evidence(model, images, tuple(units), tuple(Gradient()(model, images, units)), Gradient())
    ours = SensitivityMax(radius=0.1, n_samples=6, seed=3)(evidence)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert (ours > 0.01).all()


def test_by_hand() -> None:
    images = torch.full((1, 1, 2, 2), 0.5)
    maps = [np.array([[3.0, 4.0]])]
    moved = iter([np.array([[3.0, 4.5]]), np.array([[3.0, 5.0]]), np.array([[3.5, 4.0]])])
    found = sensitivity_max(lambda x, samples: [next(moved) for _ in samples], images, maps, n_samples=3, batch_size=2)
    np.testing.assert_allclose(found, [1 / 5])


def test_the_gradient_of_a_linear_score_does_not_move() -> None:
    model, images = linear(torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))), noise(2, 8)
    units = (Unit(model.output, 0), Unit(model.output, 1))
    found = SensitivityMax()(Evidence(model, images, units, tuple(Gradient()(model, images, units)), Gradient()))
    np.testing.assert_array_equal(found, [0, 0])


def test_the_scale_of_a_method_does_not_matter() -> None:
    np.testing.assert_allclose(SensitivityMax()(asked(Slope())), SensitivityMax()(asked(Slope(1e-6))), rtol=1e-5)


def test_perturbed_images_fill_the_radius_and_no_more() -> None:
    image = noise(1, 40)[0]
    steps = torch.stack([near - image for near in nearby(image, 0.02, 4)])
    assert float(steps.abs().max()) <= 0.02 + 1e-6
    assert float(steps.std()) == pytest.approx(0.02 / math.sqrt(3), rel=0.02)
    assert not torch.equal(steps[0], steps[1])
    longer = list(nearby(image, 0.02, 9))
    assert all(torch.equal(a, b) for a, b in zip(nearby(image, 0.02, 4), longer, strict=False))


def test_a_zero_map_has_no_scale() -> None:
    evidence = asked(Slope(0.0))
    assert np.isnan(SensitivityMax()(evidence)).all()


def test_a_map_that_breaks_nearby_is_nan() -> None:
    images, maps = noise(2, 4), [np.ones((2, 2)), np.ones((2, 2))]

    def breaks(x: Tensor, samples: Sequence[int]) -> list[np.ndarray]:
        return [np.full((2, 2), math.nan if i else 2.0) for i in samples]

    np.testing.assert_allclose(sensitivity_max(breaks, images, maps), [1, math.nan])


def test_each_sample_stands_alone() -> None:
    check_each_sample_stands_alone(SensitivityMax(n_samples=4), asked(Gradient()))
    check_a_map_that_tells_nothing_is_nan(SensitivityMax(n_samples=4), asked(Gradient()))


def test_never_more_than_a_batch_at_once_and_each_for_its_own_unit() -> None:
    seen: list[list[int]] = []

    def explain(x: Tensor, samples: Sequence[int]) -> list[np.ndarray]:
        seen.append(list(samples))
        return [np.ones((2, 2))] * len(x)

    sensitivity_max(explain, noise(2, 4), [np.ones((2, 2))] * 2, n_samples=3, batch_size=4)
    assert seen == [[0, 0, 0, 1], [1, 1]]


def test_nothing_is_left_in_the_model_or_the_global_generators() -> None:
    evidence = asked(Gradient(), 1)
    with untouched(evidence.model, evidence.images):
        SensitivityMax(n_samples=2)(evidence)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": 0}, r"`radius` is 0: give a number above 0, in \[0, 1\] image units"),
        ({"n_samples": 0}, r"`n_samples` is 0: give at least 1"),
        ({"batch_size": 0}, r"`batch_size` is 0: give at least 1"),
    ],
)
def test_bad_options(options: dict[str, int], message: str) -> None:
    metric, evidence = replace(SensitivityMax(), **options), asked(Slope(), 1)
    with pytest.raises(InterpError, match=message):
        metric(evidence)


def test_maps_of_another_size_are_refused() -> None:
    with pytest.raises(InterpError, match=r"the map of a perturbed image has shape \(3, 3\), but that of the image \(2, 2\)"):
        sensitivity_max(lambda x, samples: [np.ones((3, 3))] * len(x), noise(1, 4), [np.ones((2, 2))])
