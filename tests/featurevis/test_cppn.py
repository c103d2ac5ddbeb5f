"""A network of coordinates gives the same picture at any size."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from interp import images
from interp.core.rng import generator
from interp.errors import InterpError, Unsupported
from interp.featurevis.cppn import Cppn, _activation
from interp.featurevis.param import colour_matrix


def test_fits_a_photograph_loosely() -> None:
    """Mean |difference| below .02, from .13 for grey, within 200 steps.

    Twice looser than for pixels, which reach .01: a smooth function has no fur.
    """
    cat = images.tensor(images.Image.fromarray(images.sample("cat").pixels))[None, :, :, 75:375]
    target = F.interpolate(cat, size=(24, 24), mode="bilinear", align_corners=False, antialias=True)
    param = Cppn(depth=4)
    tensors = param.start((24, 24), [generator(0)], "cpu")
    optimizer = torch.optim.Adam(tensors, lr=0.05)
    assert (param.image(tensors, (24, 24)) - target).abs().mean() > 0.1
    for _ in range(200):
        optimizer.zero_grad()
        (param.image(tensors, (24, 24)) - target).square().mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert (param.image(tensors, (24, 24)) - target).abs().mean() < 0.02


def test_one_layer_by_hand() -> None:
    """One hidden number that reads the column: sigmoid(.1 (a w1 + b w2) / sqrt 2), a and b the two activations."""
    param = Cppn(1, 1, decorrelated=False)
    first = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    last = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]], dtype=torch.float64)
    offsets = [torch.zeros(1, 1, 1, dtype=torch.float64), torch.tensor([[[0.0], [0.0], [2.0]]], dtype=torch.float64)]
    image = param.image([first, offsets[0], last, offsets[1]], (2, 4))[0]
    cols = math.sqrt(3) * torch.tensor([-0.75, -0.25, 0.25, 0.75], dtype=torch.float64)
    bent = torch.atan(cols / math.sqrt(2))
    expected = [bent / 0.6706, (bent**2 - 0.4497) / 0.3961]
    for channel in (0, 1):
        torch.testing.assert_close(image[channel], torch.sigmoid(0.1 * expected[channel] / math.sqrt(2)).expand(2, 4))
    torch.testing.assert_close(image[2], torch.full((2, 4), 1 / (1 + math.exp(-0.2)), dtype=torch.float64))


def test_decorrelated_colours_are_mixed_like_the_others() -> None:
    tensors = [t.detach().double() for t in Cppn(4, 2).start((5, 6), [generator(0)], "cpu")]
    values, mixed = (torch.logit(Cppn(4, 2, decorrelated).image(tensors, (5, 6))) for decorrelated in (False, True))
    torch.testing.assert_close(mixed, torch.einsum("ij,njhw->nihw", colour_matrix(values), values))


def test_activation_keeps_normal_numbers_normal() -> None:
    out = _activation(torch.randn(1, 1, 200_000, dtype=torch.float64, generator=generator(0)))[0]
    torch.testing.assert_close(out.mean(1), torch.zeros(2, dtype=torch.float64), rtol=0, atol=0.01)
    torch.testing.assert_close(out.std(1), torch.ones(2, dtype=torch.float64), rtol=0, atol=0.01)


@pytest.mark.parametrize("size", [(16, 16), (12, 20)], ids=str)
def test_the_same_picture_at_three_times_the_size(size: tuple[int, int]) -> None:
    """Pixel centres of the small image are those of the middle of each 3 x 3 pixels of the large one."""
    param = Cppn(8, 3)
    tensors = param.start(size, [generator(0), generator(1)], "cpu")
    small, large = param.image(tensors, size), param.image(tensors, (3 * size[0], 3 * size[1]))
    torch.testing.assert_close(large[:, :, 1::3, 1::3], small, rtol=0, atol=1e-5)


def test_rows_and_columns_have_one_scale() -> None:
    """The middle square of a wide image is the square image: nothing is stretched, and columns are columns."""
    param = Cppn(8, 3)
    tensors = param.start((6, 6), [generator(0)], "cpu")
    wide, square = param.image(tensors, (6, 12)), param.image(tensors, (12, 12))
    torch.testing.assert_close(wide, square[:, :, 3:9], rtol=0, atol=1e-5)


def test_tensors_do_not_depend_on_the_size() -> None:
    small, large = (Cppn().start(size, [generator(0)], "cpu") for size in ((4, 4), (90, 31)))
    assert all(torch.equal(a, b) for a, b in zip(small, large, strict=True))
    assert [tuple(t.shape) for t in Cppn(5, 2).start((4, 4), [generator(0)], "cpu")] == [
        (1, 5, 2),
        (1, 5, 1),
        (1, 5, 10),
        (1, 5, 1),
        (1, 3, 10),
        (1, 3, 1),
    ]


def test_one_pixel_is_an_image() -> None:
    Cppn().check((1, 1))
    assert Cppn().image(Cppn().start((1, 1), [generator(0)], "cpu"), (1, 1)).shape == (1, 3, 1, 1)


def test_has_no_inverse() -> None:
    with pytest.raises(Unsupported, match=r"Cppn cannot start from an image: .* use Fourier, Pixels or Pyramid"):
        Cppn().of(torch.rand(1, 3, 8, 8))


def test_refuses_width_and_depth() -> None:
    with pytest.raises(InterpError, match="the `width` of Cppn is 0"):
        Cppn(width=0)
    with pytest.raises(InterpError, match="the `depth` of Cppn is 0"):
        Cppn(depth=0)
