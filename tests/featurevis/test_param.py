"""Parametrizations can show a photograph, and spectra turn back into the images they came from."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from interp import images
from interp.core.rng import generator
from interp.errors import InterpError
from interp.featurevis.param import Fourier, ImageParam, Pixels, colour_matrix

PARAMS = [Pixels(decorrelated=False), Pixels(), Fourier(decorrelated=False), Fourier(), Fourier(decay=1.5)]


@pytest.fixture(scope="module")
def photograph() -> torch.Tensor:
    cat = images.tensor(images.Image.fromarray(images.sample("cat").pixels))
    return F.interpolate(cat[None], size=(23, 32), mode="area").double().clamp(0.02, 0.98)


@pytest.mark.parametrize("param", PARAMS, ids=str)
def test_fits_a_photograph(param: ImageParam, photograph: torch.Tensor) -> None:
    size = (23, 32)
    (tensor,) = param.start(size, [generator(0)], "cpu")
    first, second = torch.zeros_like(tensor), torch.zeros_like(tensor)
    target = photograph.float()
    for step in range(1, 1001):
        image = param.image([tensor], size)
        if step % 20 == 1 and float((image - target).abs().mean().detach()) < 0.01:
            return
        (gradient,) = torch.autograd.grad((image - target).square().mean(), tensor)
        first.lerp_(gradient, 0.1)
        second.lerp_(gradient.square(), 0.001)
        with torch.no_grad():
            tensor.sub_(0.05 * (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8))
    pytest.fail(f"mean |difference| {float((image - target).abs().mean()):.4f} after 1000 steps")


@pytest.mark.parametrize("size", [(7, 9), (8, 6), (5, 12), (1, 4), (6, 1)], ids=str)
@pytest.mark.parametrize("param", PARAMS, ids=str)
def test_image_to_tensors_to_image(param: ImageParam, size: tuple[int, int]) -> None:
    image = 0.05 + 0.9 * torch.rand(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    tensors = param.of(image)
    assert all(t.is_leaf and t.requires_grad and t.shape[0] == 2 for t in tensors)
    assert [t.shape for t in tensors] == [t.shape for t in param.start(size, [generator(0), generator(1)], "cpu")]
    torch.testing.assert_close(param.image(tensors, size).detach(), image, rtol=0, atol=1e-12)


def test_decorrelated_colours_have_lucids_covariance() -> None:
    matrix = colour_matrix(torch.zeros(1, dtype=torch.float64))
    norm = (0.26**2 + 0.27**2 + 0.27**2) ** 0.5
    expected = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0, -0.05], [0.27, -0.09, 0.03]], dtype=torch.float64) / norm
    torch.testing.assert_close(matrix, expected)
    noise = torch.randn(1, 3, 200, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values = torch.logit(Pixels().image([noise], (200, 200))).flatten(2)[0]
    torch.testing.assert_close(torch.cov(values), matrix @ matrix.T, rtol=0.05, atol=0.01)
    assert (torch.corrcoef(values) > 0.7).all(), "natural colours vary mostly in brightness"


def test_one_coefficient_is_one_wave_along_the_right_axis() -> None:
    rows, cols = 6, 11
    tensor = torch.zeros(1, 3, rows, cols // 2 + 1, 2, dtype=torch.float64)
    tensor[0, :, 2, 0, 0] = 1
    values = torch.logit(Fourier(decorrelated=False).image([tensor], (rows, cols)))
    # Two cycles over the rows, constant along each row. The scale is 1 / (2/6); half the amplitude is in the mirror coefficient.
    wave = torch.cos(2 * torch.pi * 2 * torch.arange(rows, dtype=torch.float64) / rows) * 3 / 4 / (rows * cols) ** 0.5
    torch.testing.assert_close(values, wave[:, None].expand(1, 3, rows, cols))


def test_spectrum_falls_with_decay() -> None:
    size = (64, 64)
    for decay in (0.0, 1.0, 2.0):
        param = Fourier(decorrelated=False, decay=decay)
        values = torch.logit(param.image([t.double() for t in param.start(size, [generator(3)], "cpu")], size).detach())
        power = torch.fft.rfft2(values).abs().mean(1)[0]
        slope = torch.log(power[0, 16:32].mean() / power[0, 2:4].mean()) / torch.log(torch.tensor(23.5 / 2.5))
        assert abs(float(slope) + decay) < 0.3


def test_start_is_near_grey_and_each_image_has_its_own_draws() -> None:
    for param in PARAMS:
        size = (16, 24)
        three = param.start(size, [generator(0, i) for i in range(3)], "cpu")
        one = param.start(size, [generator(0, 1)], "cpu")
        assert torch.equal(three[0][1], one[0][0])
        assert not torch.equal(three[0][0], three[0][1])
        image = param.image(three, size)
        assert image.shape == (3, 3, 16, 24)
        assert (image - 0.5).abs().mean() < 0.05


@pytest.mark.parametrize("bad", [lambda: Fourier(sd=0.0), lambda: Pixels(sd=-1.0)])
def test_refuses_sd(bad: type) -> None:
    with pytest.raises(InterpError, match="`sd` of an image parametrization"):
        bad()


def test_refuses_decay() -> None:
    with pytest.raises(InterpError, match="`decay` of Fourier is -1"):
        Fourier(decay=-1.0)
