"""Noise has the distribution it says, each image its own; blur is a Gaussian of a width drawn for each image."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from interp.errors import InterpError
from interp.featurevis.smoothing import smooth
from interp.featurevis.transform import Blur, Noise

from .conftest import generators
from .photos import close, photos


def grey(n: int = 4, side: int = 64) -> torch.Tensor:
    return torch.full((n, 3, side, side), 0.5)


def test_noise_is_normal_with_its_standard_deviation() -> None:
    noise = Noise(0.1)(grey(), generators(4)) - 0.5
    assert noise.mean() == pytest.approx(0, abs=0.002)
    assert noise.std() == pytest.approx(0.1, abs=0.002)
    assert (noise.abs() < 0.1).float().mean() == pytest.approx(0.6827, abs=0.01), "a normal distribution's share within one sd"
    channels = noise.transpose(0, 1).flatten(1)
    assert (torch.corrcoef(channels) - torch.eye(3)).abs().max() < 0.03, "each channel has its own"


def test_the_even_part_keeps_within_its_bounds_and_reaches_them() -> None:
    noise = Noise(0.0, 0.2)(grey(), generators(4)) - 0.5
    assert noise.abs().max() <= 0.2 + 1e-6
    assert noise.max() > 0.199
    assert noise.min() < -0.199
    assert noise.std() == pytest.approx(0.4 / 12**0.5, abs=0.002)
    both = Noise(0.1, 0.2)(grey(), generators(4)) - 0.5
    assert both.std() == pytest.approx((0.1**2 + 0.4**2 / 12) ** 0.5, abs=0.003)


def test_noise_leaves_the_gradient_as_it_is_where_values_leave_their_range() -> None:
    images = torch.ones(1, 3, 8, 8).requires_grad_()
    noisy = Noise(0.2)(images, generators(1))
    assert noisy.max() > 1
    (gradient,) = torch.autograd.grad(noisy.sum(), images)
    assert torch.equal(gradient, torch.ones_like(images))


def test_no_noise_is_nothing() -> None:
    assert torch.equal(Noise(0.0)(grey(), generators(4)), grey())


def test_blur_is_a_gaussian_of_its_draw() -> None:
    images = photos(5, 20, 24)
    result = Blur(0.5, 2.0)(images, generators(5))
    draws = [0.5 + 1.5 * float(torch.rand((), generator=g, dtype=torch.float64)) for g in generators(5)]
    assert max(draws) - min(draws) > 0.3
    for i, sigma in enumerate(draws):
        # Cut at three times the largest width instead of its own.
        close(result[i], smooth(images[i : i + 1], sigma)[0], 0.01)
    fixed = Blur(1.5, 1.5)(images, generators(5))
    close(fixed, smooth(images, 1.5))


def test_a_blur_by_nothing_is_nothing() -> None:
    images = photos()
    assert torch.equal(Blur(0.0, 0.0)(images, generators(2)), images)
    assert torch.equal(Blur(1.0, 4.0)(torch.full((1, 3, 1, 1), 0.3), generators(1)), torch.full((1, 3, 1, 1), 0.3))


def test_a_wider_blur_leaves_less() -> None:
    images = photos(1, 40, 40)
    left = [float(Blur(sigma, sigma)(images, generators(1)).var()) for sigma in (0.0, 0.5, 1.0, 2.0)]
    assert left == sorted(left, reverse=True)
    assert left[-1] < 0.05 * left[0]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: Noise(-0.1), r"`sd` of Noise is -0\.1: give a share of the range of values, from 0 to 0\.5"),
        (lambda: Noise(0.1, 3.0), r"`uniform` of Noise is 3\.0"),
        (lambda: Noise(float("nan")), "`sd` of Noise is nan"),
        (lambda: Blur(2.0, 1.0), r"Blur goes from 2\.0 to 1\.0 px: give two standard deviations, the smaller first"),
        (lambda: Blur(-1.0, 1.0), r"Blur goes from -1\.0 to 1\.0 px"),
        (lambda: Blur(0.0, float("inf")), r"Blur goes from 0\.0 to inf px"),
        (lambda: Noise(0.1)(photos(), generators(3)), "with 3 generators"),
        (lambda: Blur(0.1, 1.0)(photos(), generators(1)), "with 1 generators"),
    ],
)
def test_refusals(bad: Callable[[], object], message: str) -> None:
    with pytest.raises(InterpError, match=message):
        bad()
