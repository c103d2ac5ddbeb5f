"""Spectra: power laws keep their exponents, random images keep their spectrum, checkerboards stand out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.errors import InterpError
from interp.featurevis.quality.spectra import (
    ROUNDING,
    checkerboard,
    mean_radial,
    radial,
    random_phases,
    slope,
    spectrum_distance,
)

from .conftest import flat, noise

SIZES = [(32, 32), (33, 33), (24, 40), (41, 25)]


def power_law(size: tuple[int, int], exponent: float, seed: int = 0) -> np.ndarray:
    """Amplitude (orthonormal) exactly frequency ** -exponent, random phases."""
    rows, cols = size
    spectrum = np.fft.rfft2(np.random.default_rng(seed).standard_normal((rows, cols, 3)), axes=(0, 1))
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(cols)[None])
    frequency[0, 0] = 1
    spectrum *= (frequency[..., None] ** -exponent) / np.abs(spectrum)
    return np.fft.irfft2(spectrum, s=size, axes=(0, 1), norm="ortho") + 0.5


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.0, 2.5])
def test_a_power_law_has_its_exponent_as_slope(size: tuple[int, int], exponent: float) -> None:
    assert slope(radial(power_law(size, exponent))) == pytest.approx(-exponent, abs=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_the_radial_spectrum_is_what_its_text_says(size: tuple[int, int]) -> None:
    image = noise(*size, 3)
    rows, cols = size
    logs: dict[int, list[float]] = {}
    frequencies: dict[int, list[float]] = {}
    for channel in range(3):
        # The transform written out as two matrices.
        left = np.exp(-2j * np.pi * np.outer(np.arange(rows), np.arange(rows)) / rows)
        right = np.exp(-2j * np.pi * np.outer(np.arange(cols), np.arange(cols)) / cols)
        spectrum = left @ image[..., channel].astype(np.float64) @ right / math.sqrt(rows * cols)
        for r in range(rows):
            for c in range(cols):
                f = math.hypot(min(r, rows - r) / rows, min(c, cols - c) / cols)
                ring = round(f * min(size))
                if 1 <= ring <= min(size) // 2:
                    logs.setdefault(ring, []).append(math.log(max(abs(spectrum[r, c]), ROUNDING)))
                    frequencies.setdefault(ring, []).append(math.log(f))
    found = radial(image)
    np.testing.assert_allclose(found.log_amplitude, [np.mean(logs[k]) for k in sorted(logs)], rtol=1e-9)
    np.testing.assert_allclose(found.log_frequency, [np.mean(frequencies[k]) for k in sorted(logs)], rtol=1e-9)


def test_distance_forgets_contrast_and_measures_exponents() -> None:
    first, second = power_law((64, 64), 1.0), power_law((64, 64), 1.75, seed=1)
    assert spectrum_distance(radial(first), radial(0.5 + 3 * (first - 0.5))) == pytest.approx(0, abs=1e-9)
    x = radial(first).log_frequency
    points = np.linspace(x[0], x[-1], 64)
    assert spectrum_distance(radial(first), radial(second)) == pytest.approx(0.75 * points.std(), rel=1e-9)
    assert spectrum_distance(radial(second), radial(first)) == pytest.approx(0.75 * points.std(), rel=1e-9)
    # Other sizes share only a part of the frequencies, and a power law is the same in all of them.
    assert spectrum_distance(radial(first), radial(power_law((32, 48), 1.0))) == pytest.approx(0, abs=1e-9)


def test_mean_spectrum_is_the_geometric_mean() -> None:
    mean = mean_radial([power_law((32, 32), 1.0), power_law((32, 32), 2.0)])
    np.testing.assert_allclose(mean.log_amplitude, -1.5 * mean.log_frequency, atol=1e-9)


def test_a_flat_image_is_all_rounding() -> None:
    spectrum = radial(flat(0.2, 0.5, 0.7))
    np.testing.assert_allclose(spectrum.log_amplitude, math.log(ROUNDING), rtol=1e-12)
    assert slope(spectrum) == pytest.approx(0, abs=1e-12)
    assert checkerboard(flat(0.2, 0.5, 0.7)) == pytest.approx(1)
    np.testing.assert_allclose(random_phases(flat(0.2, 0.5, 0.7), 2, torch.Generator()), np.stack([flat(0.2, 0.5, 0.7)] * 2), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 20), st.integers(2, 20), st.integers(0, 9))
def test_random_images_keep_spectrum_and_mean(rows: int, cols: int, seed: int) -> None:
    image = noise(rows, cols, 3, seed=seed)
    drawn = random_phases(image, 3, torch.Generator().manual_seed(seed))
    assert drawn.shape == (3, rows, cols, 3)
    np.testing.assert_allclose(drawn.mean((1, 2)), np.broadcast_to(image.mean((0, 1)), (3, 3)), atol=1e-5)
    for copy in drawn:
        np.testing.assert_allclose(np.abs(np.fft.fft2(copy, axes=(0, 1))), np.abs(np.fft.fft2(image, axes=(0, 1))), atol=1e-4, rtol=1e-4)
    again = random_phases(image, 3, torch.Generator().manual_seed(seed))
    np.testing.assert_array_equal(drawn, again)


def test_random_images_differ_and_have_their_own_phase_in_each_channel() -> None:
    grey = np.repeat(noise(32, 32, 1), 3, axis=2)
    one, two = random_phases(grey, 2, torch.Generator().manual_seed(0))
    for a, b in ((one, grey), (one, two), (one[..., 0], one[..., 1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.2


@pytest.mark.parametrize("pattern", [lambda r, c: r + c, lambda r, c: r + 0 * c, lambda r, c: c + 0 * r], ids=["both", "rows", "cols"])
@pytest.mark.parametrize("size", [(32, 32), (33, 48)])
def test_alternating_pixels_stand_out(pattern, size: tuple[int, int]) -> None:  # type: ignore[no-untyped-def]
    rows, cols = np.mgrid[: size[0], : size[1]]
    signs = np.where(pattern(rows, cols) % 2, 1.0, -1.0)[..., None]
    smooth = 0.02 * power_law(size, 1.0)
    plain, marked = checkerboard(smooth), checkerboard(smooth + 0.05 * signs)
    assert plain is not None
    assert marked is not None
    assert plain < 10
    assert marked > 50
    # Alone, under a Hann window, its power lies on the peak; around it there is rounding, and little more at odd sizes.
    alone = checkerboard(0.5 + 0.1 * np.repeat(signs, 3, 2))
    assert alone is not None
    assert alone > (1e4 if size == (32, 32) else 100)


def test_noise_and_borders_are_no_checkerboard() -> None:
    assert all((checkerboard(noise(32, 32, 3, seed=s)) or 99) < 6 for s in range(20))
    ramp = np.repeat(np.linspace(0, 1, 64)[:, None, None], 64, 1).repeat(3, 2) + 0.02 * noise(64, 64, 3)
    assert (checkerboard(ramp) or 99) < 6


def test_small_images() -> None:
    assert checkerboard(noise(15, 40, 3)) is None
    with pytest.raises(InterpError, match=r"an image of 3 x 9 px \(rows x cols\) has no spectrum"):
        radial(noise(3, 9, 3))
    assert np.isfinite(slope(radial(noise(4, 4, 3))))
    with pytest.raises(InterpError, match="needs images of one size, and 2 of several sizes were given"):
        mean_radial([noise(8, 8, 3), noise(8, 9, 3)])
    with pytest.raises(InterpError, match="needs images of one size, and 0"):
        mean_radial([])
