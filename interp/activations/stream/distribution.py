"""How the values of every channel are distributed: exact while they are few, by bins of all of them or of a sample beyond."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from interp.activations.stream.config import ScanConfig
from interp.activations.stream.sketch import Sketch, histogram, quantiles

# Values whose quantiles are found at once, in float64.
_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class Distribution:
    """Quantiles (channels, levels), each off by at most ``resolution``, and a histogram, of ``counted`` values of every channel."""

    counted: int
    quantiles: Float[np.ndarray, "c q"]
    resolution: Float[np.ndarray, " c"]
    edges: Float[np.ndarray, "c e"]
    counts: Int[np.ndarray, "c b"]

    @classmethod
    def of(cls, few: Float[Tensor, "c m"], config: ScanConfig, exponents: Int[Tensor, " c"]) -> Distribution:
        """Of the values themselves; ``exponents`` say which bins they fit into."""
        sketch = Sketch.of(few.to(exponents.device)[None], exponents)
        edges, counts = histogram(sketch.counts.cpu().numpy(), sketch.width, config.bins)
        parts = few.split(max(1, _AT_ONCE // few.shape[1]))
        found = np.concatenate([np.quantile(part.double().numpy(), config.levels, axis=1).T for part in parts])
        return cls(few.shape[1], found, np.zeros(len(few)), edges, counts)

    @classmethod
    def about(cls, sketch: Sketch, config: ScanConfig, low: Float[np.ndarray, " c"], high: Float[np.ndarray, " c"]) -> Distribution:
        """Of the values in a sketch; ``low`` and ``high`` are the ends of all, counted or not."""
        counts, width = sketch.counts.cpu().numpy(), sketch.width
        found = quantiles(counts, width, sketch.zeros.cpu().numpy(), low, high, config.levels)
        return cls(sketch.total, found, width, *histogram(counts, width, config.bins))
