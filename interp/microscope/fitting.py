"""The stage of Gabor fits: how Gabor-like the filters that see the picture itself are, beside noise treated in the same way."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from interp import kernels
from interp.core.depth import has_kernel
from interp.core.model import Model
from interp.errors import InterpError
from interp.kernels import gabor
from interp.microscope.store import Arrays
from interp.microscope.work import Stage

# Of the numbers: a change makes other results.
_FORMAT = 1


@dataclass(frozen=True)
class Fit(Stage):
    """The `kernels.gabor` fits of ``layer`` as float64, one number per channel.

    The fields of `gabor.Gabor` by their names; ``share``: how much of a filter's energy the fitted plane holds; ``p``: the rank of
    its R^2 among those of noise; ``gabor_like`` and ``blob``: 1 or 0.
    """

    layer: str
    seed: int
    format: int = _FORMAT

    def arrays(self, model: Model) -> Arrays:
        found = gabor.of(kernels.of(model, self.layer), self.seed)
        rows, cols = found.planes.shape[1:]
        arrays = {one.name: np.array([getattr(fit, one.name) for fit in found.fits]) for one in fields(gabor.Gabor)}
        arrays |= {"share": found.shares, "p": found.p, "gabor_like": found.gabor_like}
        arrays["blob"] = np.array([fit.blob(rows, cols) for fit in found.fits])
        return {name: np.asarray(values, np.float64) for name, values in arrays.items()}


def fitted(model: Model, layer: str) -> bool:
    """Whether ``layer`` is the first with kernels, which are wide enough for a fit to say something, one to a channel, and finite."""
    if layer != next((one.name for one in model.layers if has_kernel(model, one)), None):
        return False
    try:
        found = kernels.of(model, layer)
    except InterpError:
        return False
    wide = min(found.weights.shape[2:]) >= gabor.LEAST_SIDE
    return wide and len(found) == model.layer(layer).channels and bool(np.isfinite(found.weights).all())
