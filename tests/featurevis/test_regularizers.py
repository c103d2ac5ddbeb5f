"""What keeps an image plain: values against NumPy, limits, and gradients that press where they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from interp.core.model import Model
from interp.core.unit import Unit
from interp.errors import InterpError
from interp.featurevis import Objective
from interp.featurevis.objective import ALPHA, IMAGE
from interp.featurevis.regularizers import L1, L2, Blur, LInfinity, Opacity, TotalVariation
from interp.featurevis.units import Channel

from .ascending import LOUD, check_raised, noise

ALL: list[Objective] = [TotalVariation(), L1(), L2(), LInfinity(), Blur(), Blur(3.0), Opacity()]


def activations(images: torch.Tensor) -> dict[str, torch.Tensor]:
    return {IMAGE: images, ALPHA: images[:, :1]}


@pytest.mark.parametrize("power", [1.0, 4.0, 16.0])
def test_l_infinity_is_the_power_mean(power: float) -> None:
    images = noise(2, (5, 7)).double()
    expected = [-(np.mean(np.abs(image - 0.25) ** power) ** (1 / power)) for image in images.numpy()]
    np.testing.assert_allclose(LInfinity(0.25, power)({IMAGE: images}).numpy(), expected)


def test_l_infinity_nears_the_largest_distance() -> None:
    images = noise(2, (5, 7)).double()
    largest = (images - 0.5).abs().flatten(1).amax(1)
    values = torch.stack([-LInfinity(0.5, power)({IMAGE: images}) for power in (1.0, 4.0, 16.0, 256.0, 1000.0)])
    assert bool((values.diff(dim=0) > 0).all())
    assert bool((values <= largest).all())
    torch.testing.assert_close(values[-1], largest, rtol=0.01, atol=0)
    torch.testing.assert_close(-LInfinity(0.5, 1.0)({IMAGE: images}), -L1()({IMAGE: images}))
    torch.testing.assert_close(LInfinity(0.5, 2.0)({IMAGE: images}).square(), -L2()({IMAGE: images}))


def test_l_infinity_presses_on_what_stands_out_and_bears_a_flat_image() -> None:
    image = torch.full((1, 3, 4, 4), 0.5)
    image[0, 0, 0, 0], image[0, 1, 2, 3], image[0, 2, 1, 1] = 1.0, 0.02, 0.6
    image.requires_grad_()
    (gradient,) = torch.autograd.grad(LInfinity()({IMAGE: image}).sum(), image)
    assert float(gradient[0, 0, 0, 0]) < -0.1
    assert float(gradient[0, 1, 2, 3]) > 0.05
    assert abs(float(gradient[0, 2, 1, 1])) < 1e-6
    flat = torch.full((1, 3, 4, 4), 0.5, requires_grad=True)
    value = LInfinity()({IMAGE: flat})
    assert float(value.detach()) == pytest.approx(0, abs=1e-9)
    assert bool(torch.isfinite(torch.autograd.grad(value.sum(), flat)[0]).all())


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.5])
def test_blur_is_the_distance_to_the_blurred_image(sigma: float) -> None:
    images = noise(2, (12, 17)).double()
    radius = int(np.ceil(3 * sigma))
    blurred = gaussian_filter(images.numpy(), sigma, mode="mirror", radius=radius, axes=(2, 3))
    np.testing.assert_allclose(Blur(sigma)({IMAGE: images}).numpy(), -((images.numpy() - blurred) ** 2).mean((1, 2, 3)))


def test_blur_takes_detail_and_leaves_shapes() -> None:
    cols = torch.arange(64, dtype=torch.float64)
    fine, coarse = (0.5 + 0.4 * torch.cos(2 * torch.pi * cols / period) for period in (4, 32))
    images = torch.stack([fine, coarse])[:, None, None].expand(2, 3, 64, 64)
    values = Blur(2.0)({IMAGE: images})
    assert float(values[0]) < 20 * float(values[1]) < 0
    assert float(Blur(2.0)({IMAGE: torch.full((1, 3, 3, 3), 0.3)})) == pytest.approx(0, abs=1e-12), "smaller than the Gaussian"


def test_opacity_is_the_mean_of_alpha() -> None:
    alpha = noise(2, (4, 5))[:, :1]
    np.testing.assert_allclose(Opacity()({ALPHA: alpha}).numpy(), [-alpha[0].numpy().mean(), -alpha[1].numpy().mean()], rtol=1e-6)
    assert Opacity().layers == (ALPHA,)


@given(st.integers(0, 1000), st.sampled_from(ALL), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_all_are_penalties_of_each_image_by_itself(seed: int, objective: Objective, rows: int, cols: int) -> None:
    images = noise(3, (rows, cols), seed)
    values = objective(activations(images))
    assert values.shape == (3,)
    assert bool(((values <= 0) & (values >= -2)).all())
    alone = torch.cat([objective(activations(image[None])) for image in images])
    torch.testing.assert_close(values, alone)


def test_options_are_values() -> None:
    assert Blur(2.0) == Blur(2.0) != Blur(1.0)
    assert str(LInfinity(0.25)) == "LInfinity(grey=0.25, power=16.0)"
    plain = Blur(2.0)
    total = Channel(Unit("conv2", 3)) - 3 * plain
    assert total.layers == ("conv2", IMAGE)
    assert plain == Blur(2.0)
    assert len({str(objective) for objective in ALL}) == len(ALL)


def test_ascent_raises_each(cnn: Model, vit: Model) -> None:
    for model in (cnn, vit):
        check_raised(model, [o for o in ALL if not isinstance(o, Opacity)], LOUD)


def test_opacity_falls_under_gradient_steps() -> None:
    alpha = torch.full((1, 1, 3, 3), 0.8, requires_grad=True)
    (gradient,) = torch.autograd.grad(Opacity()({ALPHA: alpha}).sum(), alpha)
    torch.testing.assert_close(gradient, torch.full_like(alpha, -1 / 9))


def test_refusals(cnn: Model) -> None:
    with pytest.raises(InterpError, match=r"the `power` of LInfinity is 0\.5: give the exponent of the mean, from 1 to 1000"):
        LInfinity(power=0.5)
    for sigma in (0.0, -1.0, float("nan")):
        with pytest.raises(InterpError, match=f"the `sigma` of Blur is {sigma}: give the standard deviation of the Gaussian in pixels"):
            Blur(sigma)
    for objective in ALL:
        objective.validate(cnn, (8, 8))
