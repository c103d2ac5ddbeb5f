"""Colours that everyone can tell apart, and that say no more than the numbers do.

Signed values: blue below zero, orange above, a light grey at zero; the two sides are built in
CIELAB with equal lightness at equal magnitude, so neither sign looks stronger, also in grey
print. Blue and orange differ under every common colour vision deficiency. Positive values:
matplotlib's perceptually uniform inferno.
"""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

from interp.figures.scale import Kind, Scale

Array = NDArray[Any]
Floats = NDArray[np.float64]

# Okabe and Ito's colours for lines, without the yellow that white paper swallows.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MISSING = np.array([0.82, 0.82, 0.82])  # under the hatching that marks NaN

_LIGHTNESS = (96.5, 36.0)  # at zero, at full magnitude
# CIELAB hue in degrees and chroma at full magnitude: as vivid as sRGB allows without clipping.
_BLUE, _ORANGE = (274.0, 41.0), (52.0, 62.0)
_STEPS = 128


def _lab_to_srgb(lab: Floats) -> Floats:
    """CIE 1976 L*a*b* (D65) to sRGB (IEC 61966-2-1), clipped to the gamut."""
    f_y = (lab[..., 0] + 16) / 116
    f = np.stack([f_y + lab[..., 1] / 500, f_y, f_y - lab[..., 2] / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.95047, 1.0, 1.08883]
    to_rgb = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
    linear = np.clip(xyz @ to_rgb.T, 0, 1)
    return np.asarray(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def _side(hue: float, chroma: float) -> Floats:
    """From just off zero to full magnitude: lightness falls linearly, chroma rises with a soft knee."""
    magnitude = np.arange(1, _STEPS + 1) / _STEPS
    lightness = _LIGHTNESS[0] + (_LIGHTNESS[1] - _LIGHTNESS[0]) * magnitude
    radius = chroma * np.sin(magnitude * np.pi / 2) ** 0.9
    angle = np.deg2rad(hue)
    return _lab_to_srgb(np.stack([lightness, radius * np.cos(angle), radius * np.sin(angle)], axis=-1))


def _diverging() -> Floats:
    grey = float(_lab_to_srgb(np.array([_LIGHTNESS[0], 0.0, 0.0]))[1])
    return np.concatenate([_side(*_BLUE)[::-1], np.full((1, 3), grey), _side(*_ORANGE)])


_TABLES: dict[Kind, Floats] = {
    Kind.DIVERGING: _diverging(),
    Kind.POSITIVE: matplotlib.colormaps["inferno"](np.arange(256))[:, :3].astype(np.float64),
}

NEUTRAL = _TABLES[Kind.DIVERGING][_STEPS]  # the colour of exactly zero on a diverging scale


def colors(values: Array, scale: Scale) -> Floats:
    """Values of any shape to sRGB in [0, 1], shape (*values.shape, 3); NaN becomes `MISSING`."""
    table = _TABLES[scale.kind]
    place = np.clip((values - scale.low) / (scale.high - scale.low), 0, 1) * (len(table) - 1)
    stops = np.arange(len(table))
    mapped = np.stack([np.interp(place, stops, table[:, channel]) for channel in range(3)], axis=-1)
    return np.where(np.isnan(values)[..., None], MISSING, mapped)


def as_float(image: Array) -> Floats:
    """uint8 or float pixels as float64 in [0, 1]."""
    return image / 255.0 if image.dtype == np.uint8 else image.astype(np.float64)


def as_bytes(image: Array) -> NDArray[np.uint8]:
    """uint8 or float pixels as uint8, rounded."""
    return image if image.dtype == np.uint8 else np.round(image * 255.0).astype(np.uint8)


def grey(image: Array) -> Floats:
    """The picture's luma (ITU-R BT.601) in three equal channels: its brightness, without its colour."""
    luma = as_float(image) @ np.array([0.299, 0.587, 0.114])
    return np.repeat(luma[..., None], 3, axis=-1)


def overlay(image: Array, values: Array, scale: Scale, alpha: float = 0.5) -> Floats:
    """`(1 - alpha) * grey(image) + alpha * colors(values)`, and nothing else.

    The blend is not divided by its maximum, as some tools do: brightness stays comparable
    between panels. The map (h, w) is first upsampled bilinearly to the image (H, W, 3).
    """
    height, width = image.shape[:2]
    missing = nearest(np.isnan(values), height, width)
    smooth = bilinear(np.nan_to_num(values), height, width)
    return (1 - alpha) * grey(image) + alpha * colors(np.where(missing, np.nan, smooth), scale)


def bilinear(values: Array, height: int, width: int) -> Floats:
    """Bilinear resampling with pixel centres at half-integers and clamped borders."""
    rows, columns = _weights(values.shape[0], height), _weights(values.shape[1], width)
    return np.asarray(rows @ values.astype(np.float64) @ columns.T)


def nearest(values: Array, height: int, width: int) -> Array:
    """Nearest-neighbour resampling with the same pixel centres as `bilinear`."""
    rows = (np.arange(height) + 0.5) * values.shape[0] / height
    columns = (np.arange(width) + 0.5) * values.shape[1] / width
    return np.asarray(values[rows.astype(int)[:, None], columns.astype(int)])


def _weights(source: int, target: int) -> Floats:
    """(target, source): each output position as a mean of its two neighbours; rows sum to one."""
    centre = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    return np.asarray(np.clip(1 - np.abs(centre[:, None] - np.arange(source)), 0, None))
