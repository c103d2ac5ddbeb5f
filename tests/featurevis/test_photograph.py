"""Ascent may start from a photograph, which is shown undistorted at any size."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from interp.core.rng import generator
from interp.errors import InterpError, Unsupported
from interp.featurevis.alpha import Alpha
from interp.featurevis.cppn import Cppn
from interp.featurevis.fixed import Fixed
from interp.featurevis.param import FOURIER, Fourier, ImageParam, Pixels
from interp.featurevis.photograph import Started
from interp.featurevis.pyramid import Pyramid
from interp.featurevis.shared import Shared

PIXELS = torch.rand(3, 16, 24, generator=generator(0)) * 0.9 + 0.05
PHOTO = Fixed.of(PIXELS, "noise")
BASES = [Pixels(), Fourier(decay=1.5), Pyramid(2), Shared(FOURIER, (2,))]


def generators(count: int) -> list[torch.Generator]:
    return [generator(0, i) for i in range(count)]


@pytest.mark.parametrize("base", BASES, ids=str)
def test_starts_as_the_photograph_itself(base: ImageParam) -> None:
    param = Started(base, PHOTO)
    tensors = param.start((16, 24), generators(2), "cpu")
    assert all(t.is_leaf and t.requires_grad for t in tensors)
    torch.testing.assert_close(param.image(tensors, (16, 24)).detach(), PIXELS.expand(2, 3, 16, 24), rtol=0, atol=1e-5)


def test_smaller_sizes_are_antialiased() -> None:
    """A fine checkerboard becomes grey; without antialiasing it would stay black or white."""
    fine = torch.zeros(3, 32, 32)
    fine[:, ::2, ::2] = fine[:, 1::2, 1::2] = 1
    shown = Started(Pixels(), Fixed.of(fine, "fine")).shown((8, 8))
    torch.testing.assert_close(shown[..., 1:-1, 1:-1], torch.full((1, 3, 6, 6), 0.5), rtol=0, atol=0.02)


def test_another_shape_shows_the_middle() -> None:
    param = Started(Pixels(), PHOTO)
    torch.testing.assert_close(param.shown((16, 16))[0], PIXELS[:, :, 4:20])
    torch.testing.assert_close(param.shown((8, 24))[0], PIXELS[:, 4:12])
    whole = F.interpolate(PIXELS[None], size=(8, 12), mode="bilinear", align_corners=False, antialias=True)
    torch.testing.assert_close(param.shown((8, 12)), whole)


@pytest.mark.parametrize("size", [(1, 1), (7, 33), (40, 3), (50, 70)], ids=str)
def test_any_size(size: tuple[int, int]) -> None:
    param = Started(Pixels(), PHOTO)
    image = param.image(param.start(size, generators(1), "cpu"), size)
    torch.testing.assert_close(image.detach(), param.shown(size), rtol=0, atol=2e-4)


def test_noise_adds_the_bases_own_start() -> None:
    (plain,) = Started(FOURIER, PHOTO).start((16, 24), generators(2), "cpu")
    (noisy,) = Started(FOURIER, PHOTO, 3.0).start((16, 24), generators(2), "cpu")
    torch.testing.assert_close(noisy - plain, 3 * FOURIER.start((16, 24), generators(2), "cpu")[0], rtol=1e-3, atol=1e-4)


def test_groups_and_opacity_are_the_bases() -> None:
    param = Started(Alpha(Shared(FOURIER, (2,))), PHOTO)
    assert param.alpha
    own, common, opacity = param.start((16, 24), generators(4), "cpu", 2)
    assert (len(own), len(common), len(opacity)) == (4, 2, 4)
    image = param.image([own, common, opacity], (16, 24)).detach()
    torch.testing.assert_close(image[:, :3], PIXELS.expand(4, 3, 16, 24), rtol=0, atol=1e-5)
    torch.testing.assert_close(image[:, 3], torch.full((4, 16, 24), 0.5))


def test_known_by_the_photographs_hash() -> None:
    assert Started(FOURIER, PHOTO) == Started(FOURIER, Fixed.of(PIXELS.clone(), "noise"))
    assert Started(FOURIER, PHOTO) != Started(FOURIER, Fixed.of(PIXELS.flip(2), "noise"))


def test_of_and_check_are_the_bases() -> None:
    assert torch.equal(Started(FOURIER, PHOTO).of(PIXELS[None])[0], FOURIER.of(PIXELS[None])[0])
    with pytest.raises(InterpError, match="the smallest are 8 x 8 px"):
        Started(Pyramid(4), PHOTO).check((4, 4))


def test_refuses_a_base_that_cannot_show_it() -> None:
    with pytest.raises(Unsupported, match="Cppn cannot start from an image"):
        Started(Cppn(), PHOTO).start((8, 8), generators(1), "cpu")


@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 3, 4, 4), (3, 0, 4)], ids=str)
def test_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(InterpError, match=f"the photograph 'bad' has shape {'x'.join(map(str, shape))}: give one image"):
        Started(FOURIER, Fixed.of(torch.zeros(shape), "bad"))


@pytest.mark.parametrize("low", [-1.0, float("nan")])
def test_refuses_values_beyond_black_and_white(low: float) -> None:
    with pytest.raises(InterpError, match=r"the photograph 'bad' has values from .*: give \[0, 1\] RGB, without normalization"):
        Started(FOURIER, Fixed.of(torch.full((3, 4, 4), low), "bad"))


@pytest.mark.parametrize("noise", [-0.1, float("inf")])
def test_refuses_noise(noise: float) -> None:
    with pytest.raises(InterpError, match="the `noise` of Started is"):
        Started(FOURIER, PHOTO, noise)
