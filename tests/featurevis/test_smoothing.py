"""A blur of the gradient is the Gaussian it says, keeps mass, and knows rows from columns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from interp.errors import InterpError
from interp.featurevis.smoothing import blurred, smooth

from .photos import close, photos, vector


def point(rows: int = 41, cols: int = 51) -> torch.Tensor:
    image = torch.zeros(1, 1, rows, cols, dtype=torch.float64)
    image[0, 0, rows // 2, cols // 2] = 1
    return image


def test_zero_gives_the_gradient_back() -> None:
    gradient = photos()
    assert smooth(gradient, 0.0) is gradient
    assert torch.equal(smooth(gradient, 1e-6), gradient)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.5, 6.0])
def test_a_point_becomes_a_gaussian_of_mass_one(sigma: float) -> None:
    spot = smooth(point(), sigma)[0, 0]
    rows, cols = torch.arange(41.0).double() - 20, torch.arange(51.0).double() - 25
    expected = torch.exp(-(rows[:, None] ** 2 + cols**2) / (2 * sigma**2))
    near = (rows[:, None].abs() <= 3 * sigma) & (cols.abs() <= 3 * sigma)
    close(spot[near] / spot[20, 25], expected[near])
    assert float(spot.sum()) == pytest.approx(1, abs=1e-12)
    variance = float((spot * rows[:, None] ** 2).sum())
    # Sampled on pixels and cut at three standard deviations, it is a little narrower or wider.
    assert variance == pytest.approx(sigma**2, rel=0.15)
    close(spot, spot.flip(0))
    close(spot, spot.flip(1))


def test_it_is_scipys_gaussian_with_the_edges_mirrored() -> None:
    gradient = photos(2, 24, 30)
    expected = np.stack([[gaussian_filter(channel.numpy(), 2.0, mode="mirror", radius=6) for channel in image] for image in gradient])
    close(smooth(gradient, 2.0), torch.from_numpy(expected))


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 8), st.integers(1, 12), st.integers(1, 12))
def test_a_constant_stays_whatever_the_size(sigma: float, rows: int, cols: int) -> None:
    even = torch.full((2, 3, rows, cols), 0.7, dtype=torch.float64)
    close(smooth(even, sigma), even)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 3))
def test_the_mass_of_the_interior_is_kept(sigma: float) -> None:
    gradient = torch.zeros(2, 3, 40, 44, dtype=torch.float64)
    gradient[:, :, 10:-10, 10:-10] = photos(2, 20, 24) - 0.5
    close(smooth(gradient, sigma).sum((2, 3)), gradient.sum((2, 3)), 1e-10)


def test_rows_and_columns_images_and_channels_stay_apart() -> None:
    gradient = torch.zeros(2, 3, 9, 14, dtype=torch.float64)
    gradient[1, 2, 4, :] = 1
    spread = smooth(gradient, 1.0)
    assert torch.equal(spread[0], gradient[0])
    assert torch.equal(spread[1, :2], gradient[1, :2])
    close(spread[1, 2], spread[1, 2, :, :1].expand(9, 14))
    assert spread[1, 2, 3, 0] > 0.2
    transposed = smooth(gradient.transpose(2, 3).contiguous(), 1.0)
    close(transposed.transpose(2, 3), spread)


def test_each_image_has_its_own_width() -> None:
    images = photos(3, 20, 24)
    mixed = blurred(images, vector(0.0, 1.0, 2.0), 2.0)
    assert torch.equal(mixed[0], images[0])
    close(mixed[2], smooth(images[2:], 2.0)[0])
    # A kernel that is cut further out differs by what lies there.
    close(mixed[1], smooth(images[1:2], 1.0)[0], 0.01)


def test_layout_and_precision_are_kept_for_what_they_hold() -> None:
    gradient = photos(2, 20, 24, torch.float32)
    last = gradient.contiguous(memory_format=torch.channels_last)
    close(smooth(last, 1.5), smooth(gradient, 1.5), 1e-6)
    assert smooth(gradient, 1.5).dtype == torch.float32


@pytest.mark.parametrize("sigma", [-1.0, float("nan"), float("inf")])
def test_refusals(sigma: float) -> None:
    with pytest.raises(InterpError, match=f"gradient cannot be smoothed by {sigma} px: give a standard deviation, 0 or more"):
        smooth(photos(), sigma)
