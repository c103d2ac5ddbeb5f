"""Colours as equations: zero is neutral, both signs look equally strong, a blend is a blend."""

import numpy as np
import pytest
from PIL import Image

from interp.figures import Kind, Scale, colors, overlay
from interp.figures.palette import MISSING, NEUTRAL, bilinear, grey, nearest

SIGNED = Scale(-2.0, 2.0, Kind.DIVERGING)
POSITIVE = Scale(0.0, 2.0, Kind.POSITIVE)
MAGNITUDES = np.linspace(0.02, 2.0, 100)


def linear(srgb):
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def lightness(srgb):
    """CIE L*, from 0 to 100."""
    luminance = linear(srgb) @ [0.2126, 0.7152, 0.0722]
    return np.where(luminance > (6 / 29) ** 3, 116 * np.cbrt(luminance) - 16, luminance * (29 / 3) ** 3)


def test_zero_is_the_neutral_grey_exactly():
    assert (colors(np.zeros((2, 3)), SIGNED) == NEUTRAL).all()
    assert NEUTRAL[0] == NEUTRAL[1] == NEUTRAL[2] > 0.9


def test_opposite_values_are_equally_light():
    above, below = lightness(colors(MAGNITUDES, SIGNED)), lightness(colors(-MAGNITUDES, SIGNED))
    np.testing.assert_allclose(above, below, atol=0.5)  # of 100; a just noticeable difference is about 1


def test_lightness_is_linear_in_magnitude():
    above = lightness(colors(MAGNITUDES, SIGNED))
    np.testing.assert_allclose(np.diff(above), (above[-1] - above[0]) / 99, atol=0.1)


def test_signs_stay_apart_for_a_deuteranope():
    # Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
    machado = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])
    above, below = (linear(colors(sign * MAGNITUDES[50:], SIGNED)) @ machado.T for sign in (1, -1))
    assert (above[:, 0] > above[:, 2] + 0.1).all()  # still yellowish
    assert (below[:, 2] > below[:, 0] + 0.1).all()  # still bluish


def test_positive_colours_only_get_lighter():
    assert (np.diff(lightness(colors(MAGNITUDES, POSITIVE))) > 0).all()


def test_colours_saturate_beyond_the_scale():
    assert (colors(np.array([-9.0, 9.0]), SIGNED) == colors(np.array([-2.0, 2.0]), SIGNED)).all()


def test_nan_is_no_value_of_the_scale():
    assert (colors(np.array([np.nan]), SIGNED) == MISSING).all()


def test_grey_keeps_the_brightness_of_every_pixel():
    image = np.random.default_rng(0).random((4, 5, 3))
    np.testing.assert_allclose(grey(image)[..., 1], image @ [0.299, 0.587, 0.114], atol=1e-15)
    np.testing.assert_allclose(grey((image * 255).astype(np.uint8)), grey((image * 255).astype(np.uint8) / 255))


def test_a_zero_map_only_fades_the_picture():
    image = np.random.default_rng(0).random((6, 8, 3))
    blended = overlay(image, np.zeros((2, 2)), SIGNED, alpha=0.25)
    np.testing.assert_allclose(blended, 0.75 * grey(image) + 0.25 * NEUTRAL, atol=1e-15)


def test_an_overlay_is_not_rescaled_by_its_maximum():
    image, values = np.full((4, 4, 3), 0.5), np.full((4, 4), 2.0)
    values[0, 0] = 0.0
    alone = overlay(image, np.full((4, 4), 2.0), SIGNED)
    assert (overlay(image, values, SIGNED)[1:] == alone[1:]).all()


def test_nan_under_an_overlay_does_not_spread():
    values = np.ones((2, 2))
    values[0, 0] = np.nan
    blended = overlay(np.zeros((8, 8, 3)), values, SIGNED)
    assert (blended[:4, :4] == 0.5 * MISSING).all()
    assert not (blended[4:] == 0.5 * MISSING).all(axis=-1).any()


@pytest.mark.parametrize("target", [(14, 21), (5, 7), (40, 7)])
def test_bilinear_is_what_pillow_does(target):
    values = np.random.default_rng(1).normal(size=(5, 7)).astype(np.float32)
    theirs = Image.fromarray(values).resize(target[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_allclose(bilinear(values, *target), np.asarray(theirs), atol=1e-5)


def test_nearest_repeats():
    values = np.arange(6.0).reshape(2, 3)
    assert (nearest(values, 6, 9) == values.repeat(3, axis=0).repeat(3, axis=1)).all()
