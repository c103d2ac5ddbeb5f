"""Every parametrization can show a photograph, turns back into the images it came from, and is a value."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from interp import images
from interp.core.rng import generator
from interp.errors import InterpError
from interp.featurevis.alpha import Alpha
from interp.featurevis.cppn import Cppn
from interp.featurevis.fixed import Fixed
from interp.featurevis.maco import Maco
from interp.featurevis.magnitude import Magnitude
from interp.featurevis.param import Fourier, ImageParam, Pixels, colour_matrix
from interp.featurevis.photograph import Started
from interp.featurevis.pyramid import Pyramid
from interp.featurevis.shared import Shared
from interp.runs.plain import plain

PHOTO = Fixed.of(torch.rand(3, 20, 30, generator=generator(0, "photo")), "noise")
FLAT = Magnitude(Fixed.of(torch.ones(3, 8, 5), "flat"))
PARAMS = [Pixels(decorrelated=False), Pixels(), Fourier(decorrelated=False), Fourier(), Fourier(decay=1.5)]
INVERTIBLE = [*PARAMS, Pyramid(1), Pyramid(2), Pyramid(3, decorrelated=False), Shared(scales=(2,)), Shared(Pyramid(2), (2, 3))]
OPAQUE = [Alpha(Fourier()), Alpha(Shared(Pyramid(2), (2,)), Pyramid(2))]
EVERY = [*INVERTIBLE, *OPAQUE, Started(Fourier(), PHOTO), Maco(FLAT), Cppn(8, 3)]
FITTED = [*PARAMS, Pyramid(), Pyramid(decorrelated=False), Shared(), Shared(Pixels()), Alpha(Fourier()), Alpha(Pixels(), Pixels())]


@pytest.fixture(scope="module")
def photograph() -> torch.Tensor:
    cat = images.tensor(images.Image.fromarray(images.sample("cat").pixels))
    return F.interpolate(cat[None], size=(48, 64), mode="bilinear", align_corners=False, antialias=True)


@pytest.mark.parametrize("param", FITTED, ids=str)
def test_fits_a_photograph(param: ImageParam, photograph: torch.Tensor) -> None:
    size = (48, 64)
    tensors = param.start(size, [generator(0)], "cpu")
    optimizer = torch.optim.Adam(tensors, lr=0.05)
    for step in range(1000):
        image = param.image(tensors, size)[:, :3]
        if step % 20 == 0 and float((image - photograph).abs().mean().detach()) < 0.01:
            return
        optimizer.zero_grad()
        (image - photograph).square().mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    pytest.fail(f"mean |difference| {float((image - photograph).abs().mean()):.4f} after 1000 steps")


@pytest.mark.parametrize("size", [(7, 9), (8, 6), (5, 12), (4, 4)], ids=str)
@pytest.mark.parametrize("param", [*INVERTIBLE, *OPAQUE], ids=str)
def test_image_to_tensors_to_image(param: ImageParam, size: tuple[int, int]) -> None:
    param.check(size)
    image = 0.05 + 0.9 * torch.rand(2, 4 if param.alpha else 3, *size, dtype=torch.float64, generator=generator(0))
    tensors = param.of(image)
    assert all(t.is_leaf and t.requires_grad and t.shape[0] == 2 for t in tensors)
    assert [t.shape for t in tensors] == [t.shape for t in param.start(size, [generator(0), generator(1)], "cpu")]
    torch.testing.assert_close(param.image(tensors, size).detach(), image, rtol=0, atol=1e-12)


@pytest.mark.parametrize("param", PARAMS, ids=str)
def test_one_row_or_column_is_an_image(param: ImageParam) -> None:
    for size in ((1, 4), (6, 1), (1, 1)):
        image = 0.05 + 0.9 * torch.rand(1, 3, *size, dtype=torch.float64, generator=generator(0))
        torch.testing.assert_close(param.image(param.of(image), size).detach(), image, rtol=0, atol=1e-12)


@pytest.mark.parametrize("param", INVERTIBLE, ids=str)
def test_black_and_white_come_back_within_a_hundredth(param: ImageParam) -> None:
    image = torch.zeros(1, 3, 8, 8)
    image[:, :, ::2, ::3] = 1
    torch.testing.assert_close(param.image(param.of(image), (8, 8)).detach(), image, rtol=0, atol=1e-2)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(EVERY), st.integers(4, 17), st.integers(4, 17))
def test_any_size_gives_images_in_range_whose_tensors_all_matter(param: ImageParam, rows: int, cols: int) -> None:
    param.check((rows, cols))
    tensors = param.start((rows, cols), [generator(0), generator(1)], "cpu")
    image = param.image(tensors, (rows, cols))
    assert image.shape == (2, 4 if param.alpha else 3, rows, cols)
    assert 0 <= float(image.detach().min()) <= float(image.detach().max()) <= 1
    weights = torch.randn(image.shape, generator=generator(2))
    gradients = torch.autograd.grad((image * weights).sum(), tensors)
    assert all(bool(torch.isfinite(g).all()) and bool((g.flatten(1) != 0).any(1).all()) for g in gradients)


@pytest.mark.parametrize("param", EVERY, ids=str)
def test_images_do_not_depend_on_their_neighbours(param: ImageParam) -> None:
    three = param.start((12, 9), [generator(0, i) for i in range(3)], "cpu")
    one = param.start((12, 9), [generator(0, 1)], "cpu")
    assert all(torch.equal(t[1], o[0]) for t, o in zip(three, one, strict=True))
    torch.testing.assert_close(param.image(three, (12, 9))[1], param.image(one, (12, 9))[0])
    (gradient, *_) = torch.autograd.grad(param.image(three, (12, 9))[1].square().sum(), three)
    assert (gradient[1] != 0).any()
    assert (gradient[[0, 2]] == 0).all(), "no image's tensors reach another's pixels"


@pytest.mark.parametrize("param", [*INVERTIBLE, *OPAQUE, Maco(FLAT), Cppn(8, 3)], ids=str)
def test_images_have_their_own_draws_and_global_ones_change_nothing(param: ImageParam) -> None:
    two = param.start((12, 9), [generator(0, 0), generator(0, 1)], "cpu")
    assert all(not torch.equal(t[0], t[1]) for t in two)
    torch.rand(3)
    again = param.start((12, 9), [generator(0, 0), generator(0, 1)], "cpu")
    assert all(torch.equal(a, b) for a, b in zip(two, again, strict=True))


def test_options_are_values_with_a_short_manifest() -> None:
    entries = [json.dumps(plain(param, "param"), sort_keys=True) for param in EVERY]
    assert len(set(entries)) == len(set(map(repr, EVERY))) == len(set(EVERY)) == len(EVERY), "each tells itself from the others"
    assert max(map(len, entries)) < 500
    for param in EVERY:
        assert dataclasses.replace(param) == param  # type: ignore[type-var]
        assert "tensor" not in repr(param)


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


def test_gradient_falls_with_decay_and_plain_ascent_with_twice_it() -> None:
    """The gradient at the tensors is the spectrum's, times 1 / f ** decay; a step along it moves the spectrum by that again."""
    size, decay = (8, 12), 0.75
    weights = torch.randn(1, 3, *size, dtype=torch.float64, generator=generator(5))
    frequency = torch.hypot(torch.fft.fftfreq(8, dtype=torch.float64)[:, None], torch.fft.rfftfreq(12, dtype=torch.float64)[None])
    frequency[0, 0] = 1 / 12
    found = []
    for param in (Fourier(False, decay), Fourier(False, 0.0)):
        (tensor,) = (t.detach().double().mul(0).requires_grad_() for t in param.start(size, [generator(0)], "cpu"))
        (gradient,) = torch.autograd.grad((param.image([tensor], size) * weights).sum(), tensor)
        moved = torch.logit(param.image([1e-6 * gradient], size))
        found.append((torch.view_as_complex(gradient), torch.fft.rfft2(moved)))
    (scaled, step), (flat, flat_step) = found
    torch.testing.assert_close(scaled, flat / frequency**decay)
    torch.testing.assert_close(step, flat_step / frequency ** (2 * decay), rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize("param", [*INVERTIBLE, *OPAQUE, Cppn()], ids=str)
def test_start_is_near_grey_but_not_grey(param: ImageParam) -> None:
    image = param.image(param.start((16, 24), [generator(0, i) for i in range(3)], "cpu"), (16, 24)).detach()
    assert (image - 0.5).abs().mean() < 0.05
    assert (image.flatten(1).std(1) > 1e-4).all()


@pytest.mark.parametrize("bad", [lambda: Fourier(sd=0.0), lambda: Pixels(sd=-1.0)])
def test_refuses_sd(bad: type) -> None:
    with pytest.raises(InterpError, match="`sd` of an image parametrization"):
        bad()


def test_refuses_decay() -> None:
    with pytest.raises(InterpError, match="`decay` of Fourier is -1"):
        Fourier(decay=-1.0)
