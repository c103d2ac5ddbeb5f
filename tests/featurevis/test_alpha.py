"""Opacity is a fourth channel with tensors of its own."""

from __future__ import annotations

import pytest
import torch

from interp.core.rng import generator
from interp.errors import InterpError, Unsupported
from interp.featurevis.alpha import Alpha
from interp.featurevis.cppn import Cppn
from interp.featurevis.param import FOURIER, Fourier, ImageParam, Pixels
from interp.featurevis.pyramid import Pyramid
from interp.featurevis.shared import Shared

SIZE = (12, 9)
TWO = [Alpha(), Alpha(Pixels(), Pixels()), Alpha(Shared(FOURIER, (2, 3)), Pyramid(2)), Alpha(Cppn(8, 2), Pixels(decorrelated=False))]


@pytest.mark.parametrize("param", TWO, ids=str)
def test_colours_are_the_bases_and_opacity_starts_near_one_half(param: Alpha) -> None:
    tensors = param.start(SIZE, [generator(0), generator(1)], "cpu")
    image = param.image(tensors, SIZE)
    base = param.base.start(SIZE, [generator(0), generator(1)], "cpu")
    assert all(torch.equal(a, b) for a, b in zip(tensors, base, strict=False)), "the base draws first"
    assert torch.equal(image[:, :3], param.base.image(base, SIZE))
    assert (image[:, 3] - 0.5).abs().mean() < 0.05
    assert (image[:, 3].flatten(1).std(1) > 1e-4).all()


@pytest.mark.parametrize("param", TWO, ids=str)
def test_colours_and_opacity_have_separate_tensors(param: Alpha) -> None:
    tensors = param.start(SIZE, [generator(0)], "cpu")
    weights = torch.randn(1, 1, *SIZE, generator=generator(2))
    image = param.image(tensors, SIZE)
    of_opacity = torch.autograd.grad((image[:, 3:] * weights).sum(), tensors, retain_graph=True, materialize_grads=True)
    of_colour = torch.autograd.grad((image[:, :3] * weights).sum(), tensors, materialize_grads=True)
    assert [bool(g.any()) for g in of_opacity] == [False] * (len(tensors) - param.channel.count) + [True] * param.channel.count
    assert [bool(g.any()) for g in of_colour] == [True] * (len(tensors) - param.channel.count) + [False] * param.channel.count


def test_opacity_is_the_sigmoid_of_one_channel_whatever_the_colours() -> None:
    tensor = torch.linspace(-3, 3, 12 * 9, dtype=torch.float64).view(1, 1, *SIZE)
    colours = torch.zeros(1, 3, *SIZE, dtype=torch.float64)
    for opacity in (Pixels(decorrelated=True), Pixels(decorrelated=False)):
        image = Alpha(Pixels(), opacity).image([colours, tensor], SIZE)
        torch.testing.assert_close(image[:, 3:], torch.sigmoid(tensor))


def test_three_channels_are_half_opaque() -> None:
    image = torch.rand(1, 3, *SIZE, dtype=torch.float64, generator=generator(0)) * 0.8 + 0.1
    shown = Alpha().image(Alpha().of(image), SIZE)
    torch.testing.assert_close(shown[:, :3], image)
    torch.testing.assert_close(shown[:, 3], torch.full((1, *SIZE), 0.5, dtype=torch.float64))


def test_groups_reach_the_base() -> None:
    own, common, opacity = Alpha(Shared(FOURIER, (2,))).start(SIZE, [generator(0, i) for i in range(4)], "cpu", 2)
    assert (len(own), len(common), len(opacity)) == (4, 2, 4)


def test_only_alpha_has_alpha() -> None:
    assert Alpha().alpha
    assert not any(param.alpha for param in (Pixels(), Fourier(), Pyramid(), Shared(), Cppn()))


def test_smallest_size_is_that_of_both() -> None:
    for param in (Alpha(Pyramid(4)), Alpha(FOURIER, Pyramid(4))):
        param.check((8, 8))
        with pytest.raises(InterpError, match="the smallest are 8 x 8 px"):
            param.check((8, 7))


def test_refuses_two_opacities() -> None:
    with pytest.raises(InterpError, match="give a parametrization without opacity"):
        Alpha(Alpha())


@pytest.mark.parametrize("opacity", [Cppn(8, 2), Shared()], ids=str)
def test_refuses_an_opacity_of_another_kind(opacity: ImageParam) -> None:
    with pytest.raises(Unsupported, match=r"the `opacity` of Alpha cannot be \w+: give Pixels, Fourier or Pyramid"):
        Alpha(FOURIER, opacity)
