"""Images of one group have their coarse part in common; those of different groups have nothing in common."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from interp.core.rng import generator
from interp.errors import InterpError, Unsupported
from interp.featurevis.fixed import Fixed
from interp.featurevis.maco import Maco
from interp.featurevis.magnitude import Magnitude
from interp.featurevis.param import Fourier, Pixels
from interp.featurevis.shared import Shared

SIZE = (12, 16)


def six(param: Shared, group: int) -> list[torch.Tensor]:
    return param.start(SIZE, [generator(0, i) for i in range(6)], "cpu", group)


def test_own_tensors_are_per_image_and_shared_ones_per_group() -> None:
    tensors = six(Shared(Fourier(), (2, 5)), 3)
    assert [tuple(t.shape) for t in tensors] == [(6, 3, 12, 9, 2), (2, 3, 6, 8), (2, 3, 2, 3)]
    assert all(t.is_leaf and t.requires_grad for t in tensors)


@pytest.mark.parametrize("group", [1, 2, 3, 6])
def test_a_shared_number_reaches_its_own_group_only(group: int) -> None:
    param = Shared(Pixels(), (4,))
    own, common = six(param, group)
    for image in range(6):
        (gradient,) = torch.autograd.grad(param.image([own, common], SIZE)[image].sum(), common)
        reached = (gradient != 0).flatten(1).any(1).tolist()
        assert reached == [entry == image // group for entry in range(6 // group)]


def test_images_are_own_plus_enlarged_shared_values() -> None:
    param = Shared(Fourier(decorrelated=False), (2, 4), sd=0.5)
    own, half, quarter = six(param, 2)
    values = torch.logit(param.image([own, half, quarter], SIZE))
    alone = torch.logit(Fourier(decorrelated=False).image([own], SIZE))
    low = sum(F.interpolate(t, size=SIZE, mode="bilinear", align_corners=False) for t in (half, quarter))
    for image in range(6):
        torch.testing.assert_close((values - alone)[image], low[image // 2], rtol=1e-4, atol=1e-5)


def test_own_draws_do_not_depend_on_the_group() -> None:
    param = Shared()
    alone, pairs = (param.start((16, 16), [generator(0, i) for i in range(4)], "cpu", group) for group in (1, 2))
    assert torch.equal(alone[0], pairs[0])
    # A group's shared part is what its first image would have alone.
    assert all(torch.equal(a[::2], b) for a, b in zip(alone[1:], pairs[1:], strict=True))
    assert torch.equal(alone[0], Fourier().start((16, 16), [generator(0, i) for i in range(4)], "cpu")[0])


def test_one_objective_for_one_image_moves_the_whole_group() -> None:
    """The point of sharing: a step for the first image takes the second along, coarsely, and leaves the other group."""
    param = Shared(Pixels(decorrelated=False), (4,))
    tensors = param.start(SIZE, [generator(0, i) for i in range(4)], "cpu", 2)
    before = param.image(tensors, SIZE)
    gradients = torch.autograd.grad(before[0, :, :6].sum(), tensors)
    moved = param.image([t + 0.1 * g for t, g in zip(tensors, gradients, strict=True)], SIZE) - before
    assert (moved[1, :, :3] > 0.01).all()
    assert (moved[1, :, 10:].abs() < 1e-6).all()
    assert torch.equal(moved[2:], torch.zeros_like(moved[2:]))


def test_an_image_given_is_all_its_own() -> None:
    image = torch.rand(2, 3, *SIZE, generator=generator(0)) * 0.8 + 0.1
    own, *common = Shared(scales=(2, 4)).of(image)
    torch.testing.assert_close(own, Fourier().of(image)[0])
    assert all(t.shape[0] == 2 and not t.any() for t in common)


def test_names_the_smallest_size() -> None:
    Shared(scales=(4, 12)).check((12, 13))
    with pytest.raises(InterpError, match=r"Shared with scale 16 cannot write images of 12 x 16 px .* the smallest are 16 x 16 px"):
        Shared().check(SIZE)


def test_refuses_images_that_make_no_whole_groups() -> None:
    with pytest.raises(InterpError, match="6 images cannot be shared in groups of 4"):
        six(Shared(scales=(2,)), 4)


@pytest.mark.parametrize("scales", [(), (2, 1), (0,)])
def test_refuses_scales(scales: tuple[int, ...]) -> None:
    with pytest.raises(InterpError, match="the `scales` of Shared are"):
        Shared(scales=scales)


def test_refuses_a_base_that_does_not_add() -> None:
    with pytest.raises(Unsupported, match="the `base` of Shared cannot be Maco: give Pixels, Fourier or Pyramid"):
        Shared(Maco(Magnitude(Fixed.of(torch.ones(3, 8, 5), "flat"))))


def test_refuses_sd() -> None:
    with pytest.raises(InterpError, match="`sd` of an image parametrization is -1"):
        Shared(sd=-1.0)
