"""The stage of weights: what can be said of every filter of a layer in numbers, with the test behind each verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interp.core.model import Model
from interp.errors import InterpError
from interp.kernels import statistics
from interp.microscope.store import Arrays
from interp.microscope.work import Stage

# Of the numbers: a change makes other results.
_FORMAT = 1
NONE = "none"


@dataclass(frozen=True)
class Weigh(Stage):
    """The columns of `kernels.statistics` of ``layer`` as float64 by their names, one number per channel.

    A layer without kernels, or whose filters are not its channels, has none of them: that is one array, ``NONE``.
    """

    layer: str
    seed: int
    format: int = _FORMAT

    def arrays(self, model: Model) -> Arrays:
        try:
            columns = statistics.of(model, self.layer, self.seed).columns()
        except InterpError:
            columns = {}
        count = model.layer(self.layer).channels
        found = {name: np.asarray(values, np.float64) for name, values in columns.items() if np.shape(values) == (count,)}
        # A store holds no empty set.
        return found or {NONE: np.zeros(1)}
