"""What stands for "nothing there", pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from interp.core.baseline import Baseline, baseline, blurred


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 20, 30, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("kind", "level"), [(Baseline.BLACK, 0.0), (Baseline.WHITE, 1.0), (Baseline.GREY, 0.5)])
def test_levels_are_the_same_everywhere(trap_model, images, kind, level):
    found = baseline(trap_model, images, kind)
    assert found.shape == images.shape
    assert bool((found == level).all())


def test_the_mean_is_zero_to_the_network_and_not_black(trap_model, images):
    found = baseline(trap_model, images, Baseline.MEAN)
    assert torch.equal(found[1, :, 7, 9], torch.tensor([0.485, 0.456, 0.406]))
    assert not trap_model.normalized(found).any()
    found += 1  # memory of its own, image by image and pixel by pixel
    assert torch.equal(found[0, :, 0, 0], torch.tensor([1.485, 1.456, 1.406]))


def test_the_blur_is_a_tenth_of_the_shorter_side_reflected(trap_model, images):
    sigma = 2.0
    expected = images.double().numpy()
    for axis in (2, 3):
        expected = gaussian_filter1d(expected, sigma, axis=axis, mode="mirror", radius=6)
    found = baseline(trap_model, images, Baseline.BLUR)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    assert torch.equal(found, blurred(images, sigma))


def test_the_window_ends_where_the_reflection_does():
    """On 4 x 9 pixels, sigma 2 reaches 3 rows (not 6) and 6 columns."""
    images = torch.rand(1, 1, 4, 9, generator=torch.Generator().manual_seed(1))
    expected = gaussian_filter1d(images.double().numpy(), 2.0, axis=2, mode="mirror", radius=3)
    expected = gaussian_filter1d(expected, 2.0, axis=3, mode="mirror", radius=6)
    np.testing.assert_allclose(blurred(images, 2.0).numpy(), expected, atol=1e-6)


@settings(max_examples=30)
@given(st.integers(2, 12), st.integers(2, 12), st.floats(0, 1))
def test_a_plain_image_is_its_own_blur_and_values_stay_in_range(rows, cols, level):
    plain = torch.full((1, 3, rows, cols), level)
    np.testing.assert_allclose(blurred(plain, min(rows, cols) / 10), plain, atol=1e-6)
    image = torch.rand(1, 3, rows, cols, generator=torch.Generator().manual_seed(rows * cols))
    smooth = blurred(image, min(rows, cols) / 3)
    assert image.min() - 1e-6 <= smooth.min() <= smooth.max() <= image.max() + 1e-6


def test_the_images_are_left_alone(trap_model, images):
    before = images.clone()
    for kind in Baseline:
        baseline(trap_model, images, kind).zero_()
    assert torch.equal(images, before)
