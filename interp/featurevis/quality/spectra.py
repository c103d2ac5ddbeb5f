"""Amplitude spectra of images: how they fall with frequency, random images that share one, and checkerboards. Pure numpy.

Natural images have amplitudes that fall roughly as 1 / frequency (Field 1987); optimized ones often have too much at
high frequencies, and peaks at the highest, which strided layers leave (Odena, Dumoulin & Olah 2016).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from interp.errors import InterpError

# The amplitude (orthonormal FFT) that rounding to 8 bits has at every frequency: what is below it says nothing.
ROUNDING = 1 / (255 * math.sqrt(12))
_POINTS = 64
_PEAK, _AROUND = 1, 4
# So small an image has no room for the surroundings of three peaks.
_LEAST_FOR_PEAKS, _LEAST_FOR_RINGS = 4 * _AROUND, 4


@dataclass(frozen=True, eq=False)
class Radial:
    """A spectrum averaged over rings: the mean natural logarithm of the frequency (cycles per pixel) and of the amplitude in each."""

    log_frequency: Float[np.ndarray, " rings"]
    log_amplitude: Float[np.ndarray, " rings"]


def radial(image: Float[np.ndarray, "h w c"]) -> Radial:
    """The radially averaged log amplitude of an image, over its channels and over rings of frequencies.

    Ring k = 1 .. s // 2, with s the shorter side, holds the frequencies (fr, fc) for which s * hypot(fr, fc) rounds to k.
    Amplitudes are |FFT| with orthonormal scaling, no window, and never taken as lower than `ROUNDING`. The logarithm is
    averaged, so that the few frequencies on the axes, to which an image's unequal borders leak, count as few.

    Raises InterpError for an image below 4 px.
    """
    rows, cols, _ = image.shape
    side = min(rows, cols)
    if side < _LEAST_FOR_RINGS:
        raise InterpError(f"an image of {rows} x {cols} px (rows x cols) has no spectrum to speak of: give at least {_LEAST_FOR_RINGS} px")
    amplitude = np.abs(np.fft.fft2(image.astype(np.float64), axes=(0, 1), norm="ortho"))
    logs = np.log(np.maximum(amplitude, ROUNDING)).mean(2)
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(cols)[None])
    ring = np.rint(frequency * side).astype(np.int64)
    inside = (ring >= 1) & (ring <= side // 2)
    counts = np.bincount(ring[inside])[1:]
    # The mean of the logarithms, not the ring's nominal frequency: a power law then keeps its exponent exactly.
    log_frequency = np.bincount(ring[inside], weights=np.log(frequency[inside]))[1:] / counts
    return Radial(log_frequency, np.bincount(ring[inside], weights=logs[inside])[1:] / counts)


def mean_radial(images: Sequence[Float[np.ndarray, "h w c"]]) -> Radial:
    """The mean of the radial spectra of several images of one size; raises InterpError for none or several sizes."""
    if len({image.shape for image in images}) != 1:
        raise InterpError(f"a mean spectrum needs images of one size, and {len(images)} of several sizes were given: resize them")
    spectra = [radial(image) for image in images]
    return Radial(spectra[0].log_frequency, np.mean([s.log_amplitude for s in spectra], axis=0))


def slope(spectrum: Radial) -> float:
    """The exponent of the power law next to it: least squares of log amplitude on log frequency; about -1 for photographs."""
    x = spectrum.log_frequency - spectrum.log_frequency.mean()
    return float((x * spectrum.log_amplitude).sum() / np.square(x).sum())


def spectrum_distance(first: Radial, second: Radial) -> float:
    """The RMS difference of two spectra in natural logarithms, each less its own mean: 0 for those that differ by contrast alone.

    Both are interpolated linearly to 64 frequencies, evenly spaced in their logarithm over the range that both cover.
    """
    low = max(first.log_frequency[0], second.log_frequency[0])
    high = min(first.log_frequency[-1], second.log_frequency[-1])
    points = np.linspace(low, high, _POINTS)
    curves = [np.interp(points, s.log_frequency, s.log_amplitude) for s in (first, second)]
    difference = (curves[0] - curves[0].mean()) - (curves[1] - curves[1].mean())
    return float(np.sqrt(np.square(difference).mean()))


def random_phases(image: Float[np.ndarray, "h w c"], draws: int, generator: torch.Generator) -> Float[np.ndarray, "draws h w c"]:
    """Random images with the amplitude spectrum and the mean of each channel of ``image``: only the phases are drawn.

    The phases are those of white noise, so that they are symmetric as a real image's must be; each channel has its own.
    The images are not clipped to [0, 1], which would change their spectrum. (Phase randomization: Theiler et al. 1992.)
    """
    rows, cols, channels = image.shape
    noise = torch.randn(draws, rows, cols, channels, generator=generator).double().numpy()
    phases = np.fft.rfft2(noise, axes=(1, 2))
    size = np.abs(phases)
    phases = np.where(size > 0, phases / np.where(size > 0, size, 1), 1)
    spectrum = np.fft.rfft2(image.astype(np.float64), axes=(0, 1))
    drawn = np.abs(spectrum) * phases
    drawn[:, 0, 0] = spectrum[0, 0]
    return np.fft.irfft2(drawn, s=(rows, cols), axes=(1, 2)).astype(np.float32)


def checkerboard(image: Float[np.ndarray, "h w c"]) -> float | None:
    """How far the spectrum peaks at the highest frequency: about 1 for photographs and noise, hundreds for a checkerboard.

    Power (over the channels, under a Hann window, the mean removed) at the frequencies within 1 of (1/2, 0), (0, 1/2) and
    (1/2, 1/2) cycles per pixel, over the power within 4 around it: the mean of each, the largest of the three ratios. Rounding to 8
    bits is added to both. None for an image below 16 px.
    """
    rows, cols, _ = image.shape
    if min(rows, cols) < _LEAST_FOR_PEAKS:
        return None
    values = image.astype(np.float64) - image.mean((0, 1), dtype=np.float64)
    window = np.hanning(rows + 1)[:-1, None, None] * np.hanning(cols + 1)[None, :-1, None]
    power = np.square(np.abs(np.fft.fft2(values * window, axes=(0, 1), norm="ortho"))).mean(2) + ROUNDING**2 * np.square(window).mean()
    offsets = np.arange(-_AROUND, _AROUND + 1)
    near = np.abs(offsets) <= _PEAK
    peak = near[:, None] & near[None]
    ratios = []
    for row, col in ((rows // 2, 0), (0, cols // 2), (rows // 2, cols // 2)):
        block = power[np.ix_((row + offsets) % rows, (col + offsets) % cols)]
        ratios.append(block[peak].mean() / block[~peak].mean())
    return float(max(ratios))
