"""A pyramid is a sum of enlarged grids, and takes an image apart by scale."""

from __future__ import annotations

import pytest
import torch

from interp.core.rng import generator
from interp.errors import InterpError
from interp.featurevis.param import Pixels
from interp.featurevis.pyramid import Pyramid


def test_sizes_halve_rounding_up() -> None:
    assert Pyramid(4).sizes((9, 14)) == [(9, 14), (5, 7), (3, 4), (2, 2)]


def test_values_are_the_sum_of_the_levels() -> None:
    param = Pyramid(3, decorrelated=False)
    tensors = param.start((8, 8), [generator(0)], "cpu")
    alone = []
    for kept in range(3):
        only = [t if level == kept else torch.zeros_like(t) for level, t in enumerate(tensors)]
        alone.append(torch.logit(param.image(only, (8, 8))))
    torch.testing.assert_close(sum(alone), torch.logit(param.image(tensors, (8, 8))))


def test_one_coarse_pixel_is_a_tent_of_known_height() -> None:
    """Doubling is bilinear between pixel centres: weights 1/4 and 3/4, so one pixel becomes (1, 3, 3, 1) / 4 along each axis."""
    param = Pyramid(2, decorrelated=False)
    fine, coarse = torch.zeros(1, 3, 8, 8, dtype=torch.float64), torch.zeros(1, 3, 4, 4, dtype=torch.float64)
    coarse[:, :, 1, 2] = 1
    line = torch.tensor([1, 3, 3, 1], dtype=torch.float64) / 4
    expected = torch.zeros(8, 8, dtype=torch.float64)
    expected[1:5, 3:7] = line[:, None] * line
    torch.testing.assert_close(torch.logit(param.image([fine, coarse], (8, 8)))[0, 0], expected)


def test_one_level_is_pixels() -> None:
    tensors = Pyramid(1).start((5, 6), [generator(4)], "cpu")
    assert torch.equal(tensors[0], Pixels().start((5, 6), [generator(4)], "cpu")[0])
    assert torch.equal(Pyramid(1).image(tensors, (5, 6)), Pixels().image(tensors, (5, 6)))


def test_an_even_image_lies_in_the_coarsest_level_alone() -> None:
    """What varies slowly is put where it is coarse: of a plain colour nothing is left to the finer levels."""
    *finer, coarsest = Pyramid(3).of(torch.tensor([0.7, 0.4, 0.2], dtype=torch.float64).view(1, 3, 1, 1).expand(1, 3, 8, 12))
    assert all(float(t.detach().abs().max()) < 1e-12 for t in finer)
    assert float(coarsest.detach().abs().max()) > 0.5


def test_equal_steps_of_all_levels_make_coarse_parts_move_most() -> None:
    """Moving every level by one unit along a plain gradient moves each pixel by the number of levels."""
    param = Pyramid(4, decorrelated=False)
    ones = [torch.ones_like(t) for t in param.start((16, 16), [generator(0)], "cpu")]
    torch.testing.assert_close(torch.logit(param.image(ones, (16, 16))), torch.full((1, 3, 16, 16), 4.0), rtol=1e-4, atol=1e-4)


def test_names_the_smallest_size() -> None:
    Pyramid(4).check((8, 9))
    with pytest.raises(InterpError, match=r"a Pyramid of 4 levels cannot write images of 7 x 90 px .* the smallest are 8 x 8 px"):
        Pyramid(4).check((7, 90))


@pytest.mark.parametrize("levels", [0, 17])
def test_refuses_levels(levels: int) -> None:
    with pytest.raises(InterpError, match=f"the `levels` of Pyramid are {levels}: give how many resolutions"):
        Pyramid(levels)


def test_refuses_sd() -> None:
    with pytest.raises(InterpError, match="`sd` of an image parametrization is 0"):
        Pyramid(sd=0.0)
