"""What a first-layer filter answers to gratings, from its weights alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.kernels.weights import Kernels

ORIENTATIONS = tuple(float(angle) for angle in np.arange(0, 180, 7.5))
FREQUENCIES = tuple(float(f) for f in np.linspace(0.02, 0.5, 25))


@dataclass(frozen=True, eq=False)
class Tuning:
    """Response of each filter to grey gratings of unit contrast, the same in all inputs, at the best phase.

    ``responses``: |sum over places of w exp(2 pi i f . x)|, w summed over inputs, in the weights' unit; (filters, orientations in degrees,
    frequencies in cycles per pixel). Orientation is that of the stripes, counter-clockwise as seen, 0 for horizontal ones.
    """

    layer: str
    orientations: tuple[float, ...]
    frequencies: tuple[float, ...]
    responses: Float[np.ndarray, "out orientations frequencies"]

    @property
    def preferred(self) -> tuple[Float[np.ndarray, " out"], Float[np.ndarray, " out"]]:
        """Orientation and frequency of the strongest response of each filter."""
        flat = self.responses.reshape(len(self.responses), -1).argmax(axis=1)
        rows, cols = np.unravel_index(flat, self.responses.shape[1:])
        return np.array(self.orientations)[rows], np.array(self.frequencies)[cols]

    @property
    def selectivity(self) -> Float[np.ndarray, " out"]:
        """1 less the circular variance of orientation, |sum r exp(2i t)| / sum r (Ringach et al. 2002), r the largest response over
        frequencies: 0 for no preference, 1 for one orientation alone."""
        best = self.responses.max(axis=2)
        turned = np.abs(best @ np.exp(2j * np.deg2rad(self.orientations)))
        total = best.sum(axis=1)
        result: np.ndarray = np.divide(turned, total, out=np.zeros_like(total), where=total > 0)
        return result


def of(kernels: Kernels, orientations: Sequence[float] = ORIENTATIONS, frequencies: Sequence[float] = FREQUENCIES) -> Tuning:
    """The `Tuning` of a layer's filters. It says what the layer does to pictures where its inputs are colours of a picture."""
    grey = kernels.weights.sum(axis=1, dtype=np.float64)
    rows, cols = grey.shape[1:]
    # The wave runs across the stripes: where they stand up, along the columns.
    across = np.deg2rad(90 - np.array(orientations))
    down, right = (np.outer(side, frequencies) for side in (np.sin(across), np.cos(across)))
    by_row = np.exp(2j * np.pi * down[..., None] * np.arange(rows))
    by_col = np.exp(2j * np.pi * right[..., None] * np.arange(cols))
    answers = np.abs(np.einsum("orc,tfr,tfc->otf", grey, by_row, by_col, optimize=True))
    return Tuning(kernels.layer, tuple(orientations), tuple(frequencies), answers)
